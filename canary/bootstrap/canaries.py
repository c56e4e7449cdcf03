"""What commands need of rollouts in a cluster: a Canary object where there is one, else what runs remember.

Imports `kubernetes` through `cluster.py`, so bootstrap imports this file only when a cluster is asked.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from canary.api.canary import Canary
from canary.api.status import Status, Version
from canary.engine.errors import CanaryError, Invalid, Rejected
from canary.engine.nearest import did_you_mean
from canary.engine.observed import Kind, Missing
from canary.istio.scope import Scope
from canary.kinds.object import CanaryObject, canary_of
from canary.kube import requests
from canary.kube.client import Client, Object
from canary.kube.errors import Absent, Failure, Forbidden, Refused
from canary.kube.resources import CANARIES
from canary.routers.istio import IstioRouter
from canary.workloads.kubernetes import KubernetesWorkloads

from . import cluster
from .site import Followed, Memory, Place

PAGE = 500
"""Canaries of a list that are in memory as a whole at once."""


def memory(place: Place, name: str | None) -> Memory:
    """Of the Canary of this name, else of the VirtualService that it may be as well. Raises Invalid for neither."""
    wire = cluster.connected(place)
    client = Client(wire)
    namespace, canary, target = cluster.named(place, name, wire.namespace)
    try:
        found = _found(client, namespace, canary)
    except Forbidden as error:
        return _without_kinds(client, namespace, target, error)
    run = cluster.remembered(client, namespace, target) if found is None else _memory(client, found)
    if run is None:
        raise Invalid(_nothing(client, namespace, canary, target))
    return run


def _without_kinds(client: Client, namespace: str, target: str, error: Forbidden) -> Memory:
    """Who only runs from here needs no permission for our kinds; it is told where it is missed."""
    with suppress(Forbidden):
        run = cluster.remembered(client, namespace, target)
        if run is not None:
            return run
    raise error


def running(place: Place, everywhere: bool) -> tuple[Memory, ...]:
    """Canary objects, and targets of runs; one of the two where the other may not be read."""
    wire = cluster.connected(place)
    client = Client(wire)
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


def _objects(client: Client, namespace: str) -> tuple[Memory, ...]:
    return tuple(_listed(client, one) for one in _pages(client, namespace))


def _found(client: Client, namespace: str, name: str) -> Object | None:
    """None where there is no such Canary, or where the cluster doesn't know the kind."""
    try:
        return client.get(CANARIES, namespace, name)
    except Absent:
        return None
    except Refused as error:
        if error.missing.kind is Kind.UNAVAILABLE:
            return None
        raise


def _pages(client: Client, namespace: str) -> Iterator[Object]:
    """Every Canary; none where the cluster doesn't know the kind."""
    after = ""
    while True:
        try:
            page = client.send(requests.listing(CANARIES, namespace, limit=PAGE, after=after))
        except Refused as error:
            if error.missing.kind is Kind.UNAVAILABLE:
                return
            raise
        yield from page.get("items") or ()
        after = str((page.get("metadata") or {}).get("continue") or "")
        if not after:
            return


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

    def read() -> Canary | None:
        try:
            return there.read()
        except Absent:
            return None

    followed = Followed(
        read=read,
        wanted=behind.wanted,
        post=there.post,
        want=there.want,
        events=lambda: there.events(canary.metadata.uid),
        destinations=behind.destinations,
        canary=canary,
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
    )


@dataclass
class Behind:
    """What runs behind the version that a Canary wants; what says where that is, is read once."""

    client: Client
    namespace: str
    _scope: Scope | None = None
    _router: IstioRouter | None = None
    _workloads: KubernetesWorkloads = field(init=False)

    def __post_init__(self) -> None:
        self._workloads = KubernetesWorkloads(self.client, self.namespace, self._selector)

    def wanted(self, canary: Canary) -> Version | Missing:
        """One request, more at first; after something was missing, all is read anew."""
        name, kind = canary.spec.version or "", canary.spec.target_ref.kind
        if kind != cluster.KIND:
            return Missing(Kind.INVALID, f"spec.targetRef.kind: {kind} isn't looked after in a cluster")
        self._aim(canary)
        revision = self._workloads.revision(name)
        if isinstance(revision, Missing):
            self._router = None
            return revision
        return Version(name=name, revision=revision)

    def destinations(self, canary: Canary) -> frozenset[str]:
        """Subsets or hosts that the routes can name; empty where that can't be told."""
        seen = self._aim(canary).read(None, canary.spec.version or "")
        return frozenset() if isinstance(seen, Missing) else seen.destinations or frozenset()

    def _aim(self, canary: Canary) -> IstioRouter:
        scope = cluster.scope_of(canary, self.namespace)
        if self._router is None or scope != self._scope:
            self._router, self._scope = IstioRouter(self.client, scope), scope
        return self._router

    def _selector(self, version: str) -> Mapping[str, str] | Missing:
        if self._router is None:
            raise AssertionError("a scope comes before its selectors")
        return self._router.selector(version)


def _me(client: Client) -> str:
    try:
        return client.me()
    except Failure:
        return ""


def _nothing(client: Client, namespace: str, canary: str, target: str) -> str:
    """What is said where there is neither, with the name that was probably meant."""
    names: list[str] = []
    with suppress(CanaryError):
        names += [str(one["metadata"]["name"]) for one in _pages(client, namespace)]
    with suppress(CanaryError):
        names += [one.howto.split()[0] for one in cluster.runs(client, namespace)]
    meant = did_you_mean(canary, names)
    where = f"nothing has run for the VirtualService {target} in namespace {namespace}"
    return f"{where}, and there is no Canary {canary}{meant}"
