"""What commands need of rollouts in a cluster: a Canary object where there is one, else what runs remember.

Imports `kubernetes` through `cluster.py`, so bootstrap imports this file only when a cluster is asked.
"""

from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from canary.api.canary import Canary
from canary.api.revision import build_of
from canary.api.status import Status, Version
from canary.engine.did_you_mean import did_you_mean
from canary.engine.errors import CanaryError, Invalid, Rejected
from canary.engine.observed import Cause, Missing, RouteSeen
from canary.engine.pairs import IN_CLUSTER, listed
from canary.engine.targets import target_of
from canary.kube.client import Client, Object, written
from canary.kube.errors import Failure, Forbidden, NotFound, Unserved
from canary.kube.resources import FLAGGERS
from canary.registry import cluster_for, template_for, workloads_for
from canary.rollout.fencing import for_person
from canary.routers.cluster import ClusterRouter
from canary.stores import lease, presence
from canary.stores.canary_object import CanaryObject, canary_of, every, found_by_name
from canary.stores.presence import Presence
from canary.workloads.kept import promoted_revisions
from canary.workloads.kubernetes import KubernetesWorkloads

from . import cluster
from .site import Followed, Memory, Place


def memory(place: Place, name: str | None) -> Memory:
    """Of the Canary of this name, else of the target that it may be as well. Raises Invalid for neither."""
    wire = cluster.connected(place)
    client = for_person(Client(wire))
    namespace, canary, target = cluster.named(place, name, wire.namespace)
    try:
        found = found_by_name(client, namespace, canary)
    except Forbidden as error:
        return _without_kinds(client, namespace, target, error)
    if found is not None:
        there = _memory(client, found)
        return replace(there, run=_run_beside(client, there))
    run = cluster.remembered(client, namespace, target)
    if run is None:
        raise Invalid(_nothing(client, namespace, canary, target))
    return run


def _run_beside(client: Client, there: Memory) -> Memory | None:
    """The run that holds the target of a Canary object now, by the target's Lease."""
    spec = there.object.canary.spec if there.object is not None else None
    lock = cluster.lock_of(client, there.namespace, spec) if spec is not None else None
    if spec is None or lock is None:
        return None
    try:
        found = lease.holding(lock, datetime.now(UTC))
        if found is None or not found.alive or found.leader:
            return None
        return cluster.remembered(client, there.namespace, cluster.routed(spec))
    except CanaryError:
        return None  # who may not read a Lease or a ConfigMap follows the object


def _without_kinds(client: Client, namespace: str, target: str, error: Forbidden) -> Memory:
    """A user of runs only needs no permission for our kinds; a missing one is reported when it is needed."""
    with suppress(Forbidden):
        run = cluster.remembered(client, namespace, target)
        if run is not None:
            return run
    raise error


def running(place: Place, everywhere: bool) -> tuple[Memory, ...]:
    """Canary objects, and targets of runs; one of the two where the other may not be read."""
    wire = cluster.connected(place)
    client = for_person(Client(wire))
    namespace = "" if everywhere else place.namespace or wire.namespace
    found: list[Memory] = []
    refused: list[Forbidden] = []
    for read in (_objects, cluster.runs):
        try:
            found += read(client, namespace)
        except Forbidden as error:
            refused.append(error)
    if len(refused) > 1:
        raise refused[0]
    return tuple(sorted(found, key=lambda one: (one.namespace, one.name)))


def flaggers(place: Place, everywhere: bool) -> tuple[Object, ...]:
    """Flagger's objects, each kind by name. Raises Invalid if the cluster has none."""
    wire = cluster.connected(place)
    client = for_person(Client(wire))
    namespace = "" if everywhere else place.namespace or wire.namespace
    found: list[Object] = []
    for resource in FLAGGERS:
        with suppress(Unserved):
            each = client.find(resource, namespace)
            found += [{"apiVersion": resource.api_version, "kind": resource.kind, **one} for one in each]
    if not found:
        raise Invalid(
            f"there are no objects of Flagger in {f'namespace {namespace}' if namespace else 'the cluster'}"
        )
    return tuple(found)


def _objects(client: Client, namespace: str) -> tuple[Memory, ...]:
    return tuple(_listed(client, one) for one in every(client, namespace))


def _listed(client: Client, found: Object) -> Memory:
    """One status that can't be read doesn't hide the others: its row says why."""
    try:
        return _memory(client, found, asks=False)
    except Rejected as error:
        return _memory(client, {**found, "status": Status(message=str(error)).wire()}, asks=False)


def _memory(client: Client, found: Object, asks: bool = True) -> Memory:
    """With `asks`, who is asking is found out: actions carry that."""
    canary = canary_of(found)
    namespace, name = canary.metadata.namespace, canary.metadata.name
    there, behind = CanaryObject(client, namespace, name), Behind(client, namespace)
    template = template_for(client, canary.spec, namespace, lambda: canary)

    def read() -> Canary | None:
        with suppress(NotFound):
            return there.read()
        return None

    followed = Followed(
        read=read,
        desired_version=behind.desired_version,
        post=there.post,
        want=there.want,
        events=lambda: there.events(canary.metadata.uid),
        destinations=behind.destinations,
        canary=canary,
        presence=lambda: _presence(client, canary),
        put_back=None if template is None else template.put_back,
    )
    return Memory(
        name=name,
        store=there,
        post=there.post,
        holder=lambda: None,
        author=_me(client) if asks else "",
        howto=f"{name} -n {namespace}",
        status=canary.status or Status(),
        proves=True,
        namespace=namespace,
        object=followed,
        saved=written(found, "status"),
        presence=followed.presence,
        promoted=lambda: promoted_revisions(client, namespace, name) if template else (),
    )


def _presence(client: Client, canary: Canary) -> Presence | None:
    lock = cluster.lock_of(client, canary.metadata.namespace, canary.spec)
    return None if lock is None else presence.of_lease(lock)


@dataclass
class Behind:
    """What runs behind the version that a Canary wants; what says where that is, is read once."""

    client: Client
    namespace: str
    _scope: Hashable = None
    _router: ClusterRouter | None = None
    _workloads: KubernetesWorkloads | None = None
    _canary: Canary | None = None

    def desired_version(self, canary: Canary) -> Version | Missing:
        """One request, more at first; after something was missing, all is read again."""
        if self._aim(canary) is None:
            kind = canary.spec.target_ref.kind
            return Missing(Cause.INVALID, f"spec.targetRef.kind: {kind} isn't supported in a cluster")
        self._canary = canary
        if self._workloads is None:
            self._workloads = workloads_for(self.client, canary.spec, self.namespace, self._selector, self._manifest)
        _, name = target_of(canary).names(canary)
        revision = self._workloads.revision(name)
        if isinstance(revision, Missing):
            self._router = None
            return revision
        found = Version(name=name, revision=revision)
        return _known(canary.status, found) if self._workloads.blind else found

    def destinations(self, canary: Canary) -> frozenset[str]:
        """Subsets or hosts that the routes can name; empty if that isn't known."""
        router = self._aim(canary)
        seen = router.read(None, canary.spec.version or "") if router is not None else None
        return seen.destinations or frozenset() if isinstance(seen, RouteSeen) else frozenset()

    def _aim(self, canary: Canary) -> ClusterRouter | None:
        provider = cluster_for(canary.spec)
        if provider is None:
            return None
        scope = provider, provider.scope(canary, self.namespace, False)
        if self._router is None or scope != self._scope:
            self._router, self._scope = provider.router(self.client, scope[1]), scope
        return self._router

    def _manifest(self) -> Canary:
        if self._canary is None:
            raise AssertionError("a Canary comes before what runs behind it")
        return self._canary

    def _selector(self, version: str) -> Mapping[str, str] | Missing:
        if self._router is None:
            raise AssertionError("a scope comes before its selectors")
        return self._router.selector(version)


def _known(status: Status | None, found: Version) -> Version:
    """The same build as the controller knows it, who reads more: the newest that it has begun with."""
    rollout = status.rollout if status else None
    known = (rollout and rollout.canary_version, status and status.failed, status and status.stable)
    same = (one.revision for one in known if one and build_of(one.revision) == build_of(found.revision))
    return found.but(revision=next(same, found.revision))


def _me(client: Client) -> str:
    with suppress(Failure):
        return client.me()
    return ""


def _nothing(client: Client, namespace: str, canary: str, target: str) -> str:
    """The message if neither exists, with a suggestion."""
    names: list[str] = []
    with suppress(CanaryError):
        names += [str(one["metadata"]["name"]) for one in every(client, namespace)]
    with suppress(CanaryError):
        names += [one.howto.split()[0] for one in cluster.runs(client, namespace)]
    meant = did_you_mean(canary, names)
    kinds = listed((pair.kind for pair in IN_CLUSTER), "or")
    where = f"nothing has run for the {kinds} {target} in namespace {namespace}"
    return f"{where}, and there is no Canary {canary}{meant}"
