"""Which VirtualServices hold the routes of a target: those that it names, and what they delegate to.

`missing` says what the adapter has yet to fetch; `parts` is what `routes.py` searches.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from canary.api.canary import Canary
from canary.api.service import MESH

from .destinations import CLUSTER_DOMAIN

PERSONAL = ("queryParams", "sourceLabels", "sourceNamespace")
"""Conditions that pick single users or callers, beside headers."""
_OF_THE_URL = ("uri", "scheme", "method", "authority")
"""Istio ignores these among the headers of a match."""


def names_users(route: Mapping[str, Any]) -> bool:
    """Whether any alternative of the route's match is for single users or callers; they would move with all
    others."""
    return any(_picks(one) for one in route.get("match") or ())


def _picks(match: Mapping[str, Any]) -> bool:
    headers = (name for name in match.get("headers") or {} if name not in _OF_THE_URL and not name.startswith(":"))
    return any(True for _ in headers) or any(match.get(one) for one in PERSONAL)


Data = Mapping[str, Any]
KIND = "VirtualService"


@dataclass(frozen=True, order=True)
class Ref:
    """A VirtualService."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Scope:
    """What may move at all."""

    namespace: str
    """Of the Canary."""
    names: tuple[str, ...]
    """VirtualServices, as `name` in the Canary's namespace or as `name.namespace`. The part behind the last dot
    is always a namespace, so a VirtualService with a dot in its own name is written with it."""
    host: str | None = None
    """The host whose subsets are the versions, where the routes know several."""
    routes: tuple[str, ...] = ()
    """Only routes with these names, where given."""
    domain: str = CLUSTER_DOMAIN
    confined: bool = False
    """Whether VirtualServices of other namespaces are out of bounds, those that routes are delegated to included."""
    personal: bool = False
    """Whether routes for single users or callers move as well: those of a target that has a primary do, because its
    manifest says with `service.match` which requests are routed."""

    def beyond(self, refs: Iterable["Ref"]) -> "Ref | None":
        """The first of these that is out of bounds."""
        return next((ref for ref in refs if self.confined and ref.namespace != self.namespace), None)

    @property
    def refs(self) -> tuple[Ref, ...]:
        """The VirtualServices that are named."""
        return tuple(dict.fromkeys(_ref(name, self.namespace) for name in self.names))

    def __str__(self) -> str:
        return ", ".join(self.names)


@dataclass(frozen=True)
class RoutePart:
    """One VirtualService of the target."""

    ref: Ref
    data: Data
    personal: bool = False
    """Only single users are delegated to it."""
    labelled: bool = True
    """Whether sourceLabels tell its callers apart. Where a match names gateways, Istio ignores them."""


def ref_of(virtual_service: Data) -> Ref:
    """What the object is called."""
    metadata = virtual_service.get("metadata") or {}
    return Ref(metadata.get("namespace") or "default", metadata.get("name") or "")


def parts(virtual_services: Iterable[Data], scope: Scope) -> list[RoutePart]:
    """The VirtualServices of the target in order, each once; Istio delegates one level deep only."""
    there = {ref_of(one): one for one in virtual_services}
    roots = [RoutePart(ref, there[ref], labelled=_in_mesh(there[ref])) for ref in scope.refs if ref in there]
    named = {root.ref for root in roots}
    reached: dict[Ref, RoutePart] = {}
    for root in roots:
        for ref, route in delegates(root.data):
            if ref in there and ref not in named:
                known = reached.get(ref, RoutePart(ref, there[ref], personal=True))
                for_users = known.personal and names_users(route)
                labelled = known.labelled and root.labelled and not _names_gateways(route)
                reached[ref] = RoutePart(ref, there[ref], for_users, labelled)
    return [*roots, *reached.values()]


def missing(virtual_services: Sequence[Data], scope: Scope) -> tuple[Ref, ...]:
    """Those that belong to the target and aren't among these. Asked again with more, it may find delegates."""
    there = {ref_of(one) for one in virtual_services}
    roots = parts(virtual_services, scope)
    wanted = [*scope.refs, *(ref for root in roots if root.ref in scope.refs for ref, _ in delegates(root.data))]
    return tuple(ref for ref in dict.fromkeys(wanted) if ref not in there)


def delegates(virtual_service: Data) -> Iterator[tuple[Ref, Data]]:
    """What the http routes hand over to, and the route that does."""
    for route in (virtual_service.get("spec") or {}).get("http") or ():
        delegate = route.get("delegate")
        if delegate:
            namespace = delegate.get("namespace") or ref_of(virtual_service).namespace
            yield Ref(namespace, delegate.get("name") or ""), route


def _in_mesh(virtual_service: Data) -> bool:
    """Whether callers with a sidecar hear of it, and not gateways alone."""
    gateways = (virtual_service.get("spec") or {}).get("gateways") or [MESH]
    return MESH in gateways


def _names_gateways(route: Data) -> bool:
    """Whether any alternative of its match does; its delegate's alternatives take them over."""
    return any(one.get("gateways") for one in route.get("match") or ())


def _ref(name: str, namespace: str) -> Ref:
    bare, dot, other = name.rpartition(".")
    return Ref(other, bare) if dot else Ref(namespace, name)


def scope_of(canary: Canary, namespace: str) -> Scope:
    """Which VirtualServices and routes a Canary may move."""
    spec = canary.spec
    return Scope(namespace, (spec.target_ref.name, *spec.virtual_services), spec.host, spec.routes)
