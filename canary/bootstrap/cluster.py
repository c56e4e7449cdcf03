"""A rollout in a Kubernetes cluster: its state in a ConfigMap, its lock a Lease, both of the target.

Imports `kubernetes`, so bootstrap imports this file only for a target that needs it.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime

from canary.api.canary import Canary, CanarySpec
from canary.api.status import Status
from canary.engine.errors import CanaryError, Invalid, Rejected
from canary.engine.pairs import dialect_for
from canary.engine.resolved import ResolvedSpec
from canary.kube import rbac
from canary.kube.client import Client, ClusterAccess, Object
from canary.kube.connection import Connection
from canary.kube.lease import Identity
from canary.kube.resources import CONFIG_MAPS
from canary.manifests.target import ManifestTarget, NamespacedTarget, in_namespace
from canary.metrics import discovery
from canary.metrics.credentials import from_environment
from canary.metrics.prometheus import Prometheus
from canary.metrics.promql import Dialect
from canary.metrics.providers.adapter import Providers, Routed, Surroundings
from canary.metrics.secrets import FOLDER, ClusterSecrets, NoSecrets
from canary.metrics.secrets import from_environment as secrets_of
from canary.ports import Parts
from canary.primary.names import named_objects
from canary.registry import (
    CLUSTER,
    cluster_for,
    cluster_of_routes,
    primary_for,
    run_permissions,
    template_for,
    workloads_for,
)
from canary.rollout.drive import WallClock
from canary.rollout.fencing import Fence, FencedRouter, Purpose, for_lock
from canary.routers.cluster import ClusterProvider
from canary.stores import lease, presence
from canary.stores.configmap import ConfigMapInbox, ConfigMapStore
from canary.stores.lease import RunLease
from canary.stores.objects import DESCRIBED, HOLDS, MANAGED, Objects
from canary.webhooks.calls import HookCaller, HookCalls
from canary.webhooks.credentials import SecretOf, folder_secrets, hook_secrets
from canary.webhooks.notifications import HookNotifications
from canary.workloads.kept import promoted_revisions

from .site import READS, Memory, Place, Run, Silent, headers_of, keeping


@contextmanager
def opened(place: Place, manifest: ManifestTarget) -> Iterator[Run]:
    """Raises Invalid for credentials or a manifest that can't be used, Unreachable or Rejected."""
    with closing(connected(place)) as wire:
        namespace = _namespace(place, manifest.resolved().manifest, wire.namespace)
        with wired(place, manifest, Client(wire), namespace) as run:
            yield run


@contextmanager
def wired(place: Place, manifest: ManifestTarget, client: Client, namespace: str) -> Iterator[Run]:
    """All parts of a run, around one client of the cluster. Raises as `opened` does."""
    canary = manifest.resolved().manifest

    def now() -> Canary:
        return in_namespace(manifest.resolved(), namespace).manifest

    with ExitStack() as stack:
        provider = provider_of(canary)
        objects = objects_of(provider, routed(canary.spec), namespace, canary.metadata.name)
        held = RunLease(for_lock(client), objects, Identity.mine())
        fence = Fence(held.check)
        router = provider.router(fence.client(client, Purpose.TRAFFIC), provider.scope(canary, namespace, False))
        workloads = workloads_for(client, canary.spec, namespace, router.selector, now)
        writes = fence.client(client, Purpose.PRIMARY)
        primary = primary_for(writes, canary.spec, namespace, now, fence.primary)
        template = template_for(writes, canary.spec, namespace, now, fence.primary)
        store = ConfigMapStore(fence.client(client, Purpose.STATUS), objects)
        inbox = ConfigMapInbox(fence.client(client, Purpose.ACTIONS), objects)
        target = NamespacedTarget(manifest, namespace, workloads.revision)
        hooks = HookCalls(HookCaller(quoted=lambda url: True), namespace, _hook_secrets(client, namespace))
        parts = Parts(
            target=target,
            router=FencedRouter(router, fence),
            workloads=workloads,
            metrics=stack.enter_context(_metrics(place, manifest, client)),
            store=store,
            inbox=inbox,
            notifier=Silent(),
            clock=WallClock(),
            primary=primary,
            alerts=HookNotifications(hooks, target.resolved),
            hooks=hooks,
            pool=stack.enter_context(ThreadPoolExecutor(READS, thread_name_prefix="read")),
        )
        yield Run(
            parts=parts,
            lock=lambda patience: _held(held, inbox, store, patience),
            post=inbox.post,
            author=ConfigMapInbox(client, objects).author(),
            howto=f"{objects.target} -n {objects.namespace}",
            put_back=None if template is None else template.put_back,
        )


@contextmanager
def _metrics(place: Place, manifest: ManifestTarget, client: Client) -> Iterator[Routed]:
    """The Prometheus of the run, and the other providers that its MetricTemplates name. Raises Invalid."""
    resolved = manifest.resolved()
    url = _server(place, resolved, client)
    dialect = Dialect(dialect_for(resolved.manifest.spec))
    secrets = secrets_of(os.environ, ClusterSecrets(client))
    with ExitStack() as stack:
        prometheus = Prometheus(url, from_environment(os.environ), dialect)
        stack.callback(prometheus.close)
        providers = Providers(Surroundings(secrets, headers_of(manifest), client.send))
        stack.callback(providers.close)
        yield Routed(prometheus, providers, url)


def _hook_secrets(client: Client, namespace: str) -> SecretOf:
    if os.environ.get(FOLDER):
        return folder_secrets(secrets_of(os.environ, NoSecrets()))
    return hook_secrets(client, namespace)


def _server(place: Place, resolved: ResolvedSpec, client: Client) -> str | None:
    """The Prometheus to ask; None if none is found and the manifest asks it nothing. Raises Invalid."""
    try:
        return discovery.server(place.prometheus or resolved.manifest.spec.metrics_server, client)
    except Invalid:
        if resolved.asks_server:
            raise
        return None


def remembered(client: Client, namespace: str, target: str) -> Memory | None:
    """What runs of the target of this name remember; None where nothing has run."""
    for provider in CLUSTER:
        objects = objects_of(provider, target, namespace, target)
        store = ConfigMapStore.at(client, objects.namespace, objects.kind, objects.target)
        if store is not None:
            return _memory(client, store)
    return None


def runs(client: Client, namespace: str) -> tuple[Memory, ...]:
    """Of every target in the namespace on which something has run, by name; an empty namespace stands for all."""
    found = client.find(CONFIG_MAPS, namespace, {**MANAGED, HOLDS: "state"})
    in_order = sorted(found, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))
    return tuple(_memory_of(client, one["metadata"]["namespace"], one) for one in in_order if _target_in(one)[1])


def role_of(place: Place) -> str:
    """The least Role for the manifest's target, in YAML."""
    resolved = _resolved(place)
    canary = resolved.manifest
    namespace = _namespace(place, canary, _usual(place))
    provider = provider_of(canary)
    objects = objects_of(provider, routed(canary.spec), namespace, canary.metadata.name)
    targets = [ref.name for ref in provider.references(namespace, canary.spec.wire())]
    made = named_objects(canary) if provider.provisioning else {}
    secrets = {one.provider.secret for one in resolved.policy.metrics if one.provider and one.provider.secret}
    gates = [gate.request for step in resolved.plan.steps for gate in step.gates if gate.request]
    hooks = (*resolved.policy.webhooks, *resolved.webhooks, *gates)
    secrets |= {hook.secret_ref.name for hook in hooks if hook.secret_ref}
    named = rbac.RunObjects(
        namespace, {"target": targets, "own": [objects.name], "credentials": sorted(secrets), **made}
    )
    return rbac.role(f"canary-{canary.metadata.name}", named, (*run_permissions(provider), *rbac.RUN_SECRETS))


def provider_of(canary: Canary) -> ClusterProvider:
    """Who routes the target. Raises Invalid for one that is in no cluster."""
    found = cluster_for(canary.spec)
    if found is None:
        raise Invalid(f"spec.targetRef.kind: {canary.spec.target_ref.kind} isn't an object of a cluster")
    return found


def routed(spec: CanarySpec) -> str:
    """The name of the object with the weights, by which runs and controllers know a target."""
    provider = cluster_for(spec)
    return spec.apex if provider is not None and provider.provisioning is not None else spec.target_ref.name


def objects_of(provider: ClusterProvider, target: str, namespace: str, canary: str) -> Objects:
    """State and lock of the object that a Canary of this namespace calls `target`: `name`, `name.namespace`.

    They lie where it lies, so that all who move it meet there, from whichever namespace.
    """
    ref = provider.named(namespace, target)
    return Objects(ref.namespace, ref.kind, ref.name, canary)


@contextmanager
def _held(
    held: RunLease, inbox: ConfigMapInbox, store: ConfigMapStore, patience: float
) -> Iterator[Callable[[], None]]:
    """The lock; old processed actions are removed while it is held.

    What keeps us from seeing people's actions is said at once: later they would only seem to be ignored.
    """
    with lease.held(held, patience):
        inbox.look()
        yield held.check
        with suppress(CanaryError):  # the run is over; a state that can't be read now doesn't change its outcome
            stored = store.load()
            if stored is not None:
                inbox.remove_taken(stored.status, datetime.now(UTC))


def _memory_of(client: Client, namespace: str, found: Object) -> Memory:
    """One state that can't be read doesn't hide the others: its row says why."""
    (kind, target), canary = _target_in(found), str((found.get("data") or {}).get("canary") or "")
    store = ConfigMapStore(client, Objects(namespace, kind, target, canary or target))
    try:
        return _memory(client, store)
    except Rejected as error:
        return _memory(client, store, Status(message=str(error)))


def _memory(client: Client, store: ConfigMapStore, status: Status | None = None) -> Memory:
    """`status` is for a state that can't be read."""
    objects = store.objects
    stored = store.load() if status is None else None
    inbox, lock = ConfigMapInbox(client, objects), RunLease(client, objects, Identity.mine())
    return Memory(
        name=objects.canary,
        store=store,
        post=keeping(inbox.post),
        holder=lambda: lease.holder(lock, datetime.now(UTC)),
        author=inbox.author(),
        howto=f"{objects.target} -n {objects.namespace}",
        status=stored.status if stored is not None else status or Status(),
        saved=stored.at if stored is not None else None,
        presence=lambda: presence.of_lease(lock),
        promoted=lambda: promoted_revisions(client, objects.namespace, objects.canary),
        namespace=objects.namespace,
    )


def lock_of(client: Client, namespace: str, spec: CanarySpec) -> RunLease | None:
    """The Lease of the target of a Canary of this namespace; None for one that is in no cluster."""
    provider, target = cluster_for(spec), routed(spec)
    if provider is None:
        return None
    return RunLease(client, objects_of(provider, target, namespace, target), Identity.mine())


def _target_in(found: Object) -> tuple[str, str]:
    """Kind and name of the target that a state says it is of; empty where it says nothing."""
    kind, _, target = str((found["metadata"].get("annotations") or {}).get(DESCRIBED) or "").partition("/")
    return (kind, target) if cluster_of_routes(kind) is not None else ("", "")


def named(place: Place, name: str | None, usual: str) -> tuple[str, str, str]:
    """Namespace, Canary and target; a name may be that of either, a manifest names both. Raises Invalid."""
    if name is not None:
        return place.namespace or usual, name, name
    canary = _canary(place)
    return _namespace(place, canary, usual), canary.metadata.name, routed(canary.spec)


def _canary(place: Place) -> Canary:
    return _resolved(place).manifest


def _resolved(place: Place) -> ResolvedSpec:
    if not place.manifests:
        raise Invalid("name the manifest with -f, or the target by its name")
    return place.named.resolved()


def _namespace(place: Place, canary: Canary, usual: str) -> str:
    """As kubectl has it: the manifest's own; --namespace must not contradict it."""
    written = canary.metadata.namespace if "namespace" in canary.metadata.model_fields_set else None
    if written and place.namespace and written != place.namespace:
        raise Invalid(f"metadata.namespace: {written} isn't --namespace {place.namespace}")
    return written or place.namespace or usual


def _usual(place: Place) -> str:
    """The namespace of the credentials, which may be missing where only a Role is printed."""
    with suppress(Invalid), closing(connected(place)) as wire:
        return wire.namespace
    return "default"


def connected(place: Place) -> Connection:
    """The wire to the cluster. Raises Invalid for credentials that can't be read."""
    return Connection(ClusterAccess(place.kubeconfig, place.context, place.namespace))
