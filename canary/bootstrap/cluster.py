"""A rollout in a Kubernetes cluster with Istio: its state in a ConfigMap, its lock a Lease, both of the target.

Imports `kubernetes`, so bootstrap imports this file only for a target that needs it.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from canary.api.canary import Canary
from canary.api.status import Status, Version
from canary.engine.desired import Desired
from canary.engine.errors import Invalid, Rejected
from canary.engine.observed import Missing
from canary.istio.scope import Scope
from canary.kube import connection, rbac
from canary.kube.client import Client, Object
from canary.kube.connection import Connection
from canary.kube.lease import Identity
from canary.kube.resources import CONFIG_MAPS
from canary.manifests.target import ManifestTarget
from canary.metrics.credentials import from_environment
from canary.metrics.prometheus import Prometheus
from canary.metrics.promql import Dialect
from canary.rollout.ports import Parts
from canary.routers.istio import IstioRouter
from canary.stores import lease
from canary.stores.configmap import ConfigMapStore
from canary.stores.configmap_inbox import ConfigMapInbox
from canary.stores.lease import Lease
from canary.stores.objects import DESCRIBED, HOLDS, MANAGED, Objects
from canary.workloads.kubernetes import KubernetesWorkloads

from . import evidence
from .site import READS, Memory, Place, Run, Silent, WallClock, keeping

KIND = "VirtualService"


@dataclass(frozen=True)
class ClusterTarget:
    """What the manifest wants, in the namespace that it is used in; the revision is what really runs."""

    manifest: ManifestTarget
    namespace: str
    workloads: KubernetesWorkloads

    def desired(self) -> Desired:
        found = self.manifest.desired()
        metadata = found.canary.metadata.but(namespace=self.namespace)
        return replace(found, canary=found.canary.but(metadata=metadata))

    def wanted(self) -> Version | Missing:
        version = self.manifest.wanted()
        if isinstance(version, Missing):
            return version
        revision = self.workloads.revision(version.name)
        return revision if isinstance(revision, Missing) else version.but(revision=revision)


@contextmanager
def opened(place: Place, manifest: ManifestTarget) -> Iterator[Run]:
    """Raises Invalid for credentials or a manifest that can't be used, Unreachable or Rejected."""
    with closing(connected(place)) as wire:
        namespace = _namespace(place, manifest.desired().canary, wire.namespace)
        with wired(place, manifest, Client(wire), namespace) as run:
            yield run


@contextmanager
def wired(place: Place, manifest: ManifestTarget, client: Client, namespace: str) -> Iterator[Run]:
    """All parts of a run, around one client of the cluster. Raises as `opened` does."""
    canary = manifest.desired().canary
    with ExitStack() as stack:
        objects = objects_of(canary.spec.target_ref.name, namespace, canary.metadata.name)
        held = Lease(client, objects, Identity.mine())
        guarded = client.guarded(held.check)
        router = IstioRouter(guarded, scope_of(canary, namespace))
        workloads = KubernetesWorkloads(client, namespace, router.selector)
        store, inbox = ConfigMapStore(guarded, objects), ConfigMapInbox(guarded, objects)
        url = evidence.server(place.prometheus or canary.spec.metrics_server, client)
        prometheus = Prometheus(url, from_environment(os.environ), Dialect("istio"))
        stack.callback(prometheus.close)
        parts = Parts(
            target=ClusterTarget(manifest, namespace, workloads),
            router=router,
            workloads=workloads,
            metrics=prometheus,
            store=store,
            inbox=inbox,
            notifier=Silent(),
            clock=WallClock(),
            pool=stack.enter_context(ThreadPoolExecutor(READS, thread_name_prefix="read")),
        )
        yield Run(
            parts=parts,
            lock=lambda patience: _held(held, inbox, store, patience),
            post=inbox.post,
            author=ConfigMapInbox(client, objects).author(),
            howto=f"{objects.target} -n {objects.namespace}",
        )


def remembered(client: Client, namespace: str, target: str) -> Memory | None:
    """What runs of the VirtualService of this name remember; None where nothing has run."""
    objects = objects_of(target, namespace, target)
    store = ConfigMapStore.at(client, objects.namespace, KIND, objects.target)
    return None if store is None else _memory(client, store)


def running(place: Place, everywhere: bool = False) -> tuple[Memory, ...]:
    """Of every target in the namespace on which something has run, by name."""
    wire = connected(place)
    return runs(Client(wire), "" if everywhere else place.namespace or wire.namespace)


def runs(client: Client, namespace: str) -> tuple[Memory, ...]:
    """As `running`; an empty namespace stands for all."""
    found = client.find(CONFIG_MAPS, namespace, {**MANAGED, HOLDS: "state"})
    in_order = sorted(found, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))
    return tuple(_whatever(client, one["metadata"]["namespace"], one) for one in in_order if _target_in(one))


def role_of(place: Place) -> str:
    """The least Role for the manifest's target, in YAML."""
    canary = _canary(place)
    namespace = _namespace(place, canary, _usual(place))
    objects = objects_of(canary.spec.target_ref.name, namespace, canary.metadata.name)
    targets = [ref.name for ref in scope_of(canary, namespace).refs]
    return rbac.role(f"canary-{canary.metadata.name}", namespace, targets, objects.name)


def scope_of(canary: Canary, namespace: str) -> Scope:
    """Which VirtualServices and routes a Canary may move."""
    spec = canary.spec
    return Scope(namespace, (spec.target_ref.name, *spec.virtual_services), spec.host, spec.routes)


def objects_of(target: str, namespace: str, canary: str) -> Objects:
    """State and lock of the VirtualService that a Canary of this namespace calls `target`: `name`, `name.namespace`.

    They lie where it lies, so that all who move it meet there, from whichever namespace.
    """
    [ref] = Scope(namespace, (target,)).refs
    return Objects(ref.namespace, KIND, ref.name, canary)


@contextmanager
def _held(held: Lease, inbox: ConfigMapInbox, store: ConfigMapStore, patience: float) -> Iterator[None]:
    """The lock; actions that were taken long ago are put away while it is held.

    What keeps us from seeing people's actions is said at once: later they would only seem to be ignored.
    """
    with lease.held(held, patience):
        inbox.look()
        yield
        stored = store.load()
        if stored is not None:
            inbox.remove_taken(stored.status, datetime.now(UTC))


def _whatever(client: Client, namespace: str, found: Object) -> Memory:
    """One state that can't be read doesn't hide the others: its row says why."""
    target, canary = _target_in(found), str((found.get("data") or {}).get("canary") or "")
    store = ConfigMapStore(client, Objects(namespace, KIND, target, canary or target))
    try:
        return _memory(client, store)
    except Rejected as error:
        return _memory(client, store, Status(message=str(error)))


def _memory(client: Client, store: ConfigMapStore, status: Status | None = None) -> Memory:
    """`status` is for a state that can't be read."""
    objects = store.objects
    stored = store.load() if status is None else None
    inbox, lock = ConfigMapInbox(client, objects), Lease(client, objects, Identity.mine())
    return Memory(
        name=objects.canary,
        store=store,
        post=keeping(inbox.post),
        holder=lambda: lease.holder(lock, datetime.now(UTC)),
        author=inbox.author(),
        howto=f"{objects.target} -n {objects.namespace}",
        status=stored.status if stored is not None else status or Status(),
        namespace=objects.namespace,
    )


def _target_in(found: Object) -> str:
    """The VirtualService that a state says it is of; empty where it says nothing."""
    kind, _, target = str((found["metadata"].get("annotations") or {}).get(DESCRIBED) or "").partition("/")
    return target if kind == KIND else ""


def named(place: Place, name: str | None, usual: str) -> tuple[str, str, str]:
    """Namespace, Canary and target that are meant: a name may be either's; a manifest names both. Raises Invalid."""
    if name is not None:
        return place.namespace or usual, name, name
    canary = _canary(place)
    return _namespace(place, canary, usual), canary.metadata.name, canary.spec.target_ref.name


def _canary(place: Place) -> Canary:
    if not place.manifests:
        raise Invalid("name the manifest with -f, or the target by its name")
    return ManifestTarget(place.manifests, place.policy, place.prometheus).desired().canary


def _namespace(place: Place, canary: Canary, usual: str) -> str:
    """As kubectl has it: the manifest's own; --namespace must not contradict it."""
    written = canary.metadata.namespace if "namespace" in canary.metadata.model_fields_set else None
    if written and place.namespace and written != place.namespace:
        raise Invalid(f"metadata.namespace: {written} isn't --namespace {place.namespace}")
    return written or place.namespace or usual


def _usual(place: Place) -> str:
    """The namespace of the credentials, which may be missing where only a Role is printed."""
    try:
        with closing(connected(place)) as wire:
            return wire.namespace
    except Invalid:
        return "default"


def connected(place: Place) -> Connection:
    """The wire to the cluster. Raises Invalid for credentials that can't be read."""
    return Connection(_place(place))


def _place(place: Place) -> connection.Place:
    return connection.Place(kubeconfig=place.kubeconfig, context=place.context, namespace=place.namespace)
