"""Which routes of the target move: those of the pair that are for everybody.

A route moves when it sends weight to stable, or when it is on its way already (it is marked, or lists both).
A route that has always gone to the canary alone is the user's business. `reading.py` and `patch.py` come next.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import managed, marks
from .destinations import DestinationNames, Pair, resolve, subsets
from .scope import Ref, RoutePart, Scope, names_users
from .weights import weighed

Data = Mapping[str, Any]

KINDS = ("http", "tcp", "tls")


@dataclass(frozen=True)
class Route:
    """One of the user's routes, with those of ours right in front of it."""

    ref: Ref
    kind: str
    number: int
    """Its place among the user's routes of its kind."""
    key: str
    """What it is called in the annotation."""
    data: Data
    in_front: tuple[Data, ...]
    allowed: bool
    """Whether the scope lets it move."""
    personal: bool
    """Whether it is for single users, and the scope leaves those alone."""
    mark: marks.Mark | None
    labelled: bool = True
    """Whether sourceLabels tell its callers apart."""

    @property
    def place(self) -> tuple[Ref, str, int]:
        return self.ref, self.kind, self.number

    @cached_property
    def destinations(self) -> tuple[Data, ...]:
        """Where it sends requests; none for redirects, direct responses and delegates."""
        return tuple(entry.get("destination") or {} for entry in self.data.get("route") or ())

    @property
    def reached(self) -> tuple[Data, ...]:
        """Destinations that have weight."""
        weights = weighed(self.data.get("route") or ())
        return tuple(one for one, weight in zip(self.destinations, weights, strict=True) if weight)

    def weights(self, names: DestinationNames) -> dict[str, int]:
        """Weight by version."""
        found: dict[str, int] = {}
        for destination, weight in zip(self.destinations, weighed(self.data.get("route") or ()), strict=True):
            version = names.version(destination, self.ref.namespace)
            found[version] = found.get(version, 0) + weight
        return found

    def movable(self, names: DestinationNames) -> bool:
        """Whether it sends requests to versions, and isn't for single users."""
        whole = any(names.is_whole(one, self.ref.namespace) for one in self.destinations)
        return self.allowed and not self.personal and not whole and any(self.weights(names).values())

    def label(self, apart: bool) -> str:
        """What people call it; with its VirtualService where there are several."""
        name = self.data.get("name") or f"{self.kind}[{self.number}]"
        return f"{name} of {self.ref}" if apart else str(name)


def found(parts: Iterable[RoutePart], scope: Scope) -> list[Route]:
    """All routes of the user."""
    return [route for part in parts for kind in KINDS for route in _found(part, kind, scope)]


def moving(routes: Sequence[Route], names: DestinationNames, pair: Pair) -> list[Route]:
    """Those that move. Where none has stable, the pair has gone over wholly: those that have the canary.

    A marked route goes on to move, also if its owner has changed its match: what canary increased, it can decrease.
    """
    sent = {route.place: route.weights(names) for route in routes}
    reaching = [one for one in routes if sent[one.place].get(pair.stable) or sent[one.place].get(pair.canary)]
    under_way = [
        one
        for one in reaching
        if (one.mark is not None and one.mark.of(pair))
        or (one.movable(names) and (sent[one.place].get(pair.stable) or pair.stable in sent[one.place]))
    ]
    return under_way or [one for one in reaching if one.movable(names)]


def names_for(
    routes: Sequence[Route], rules: Sequence[Data] | None, scope: Scope, stable: str | None, canary: str
) -> DestinationNames:
    """How to call the destinations of these routes. The host is the scope's, else the only one that fits."""
    asked = tuple(name for name in (canary, stable) if name is not None)
    hosts = _hosts(routes, rules, scope, asked)
    return DestinationNames(scope.namespace, asked, hosts[0] if len(hosts) == 1 else None, scope.domain)


def several_hosts(
    routes: Sequence[Route], rules: Sequence[Data] | None, scope: Scope, asked: Sequence[str]
) -> list[str]:
    """The hosts between which only the manifest can choose; empty where the choice is clear."""
    hosts = _hosts(routes, rules, scope, asked)
    return hosts if len(hosts) > 1 else []


def _hosts(routes: Sequence[Route], rules: Sequence[Data] | None, scope: Scope, asked: Sequence[str]) -> list[str]:
    """Resolved hosts that can have the subsets, as few as the scope and the requested names allow."""
    if scope.host:
        return [resolve(scope.host, scope.namespace, scope.domain)]
    seen: dict[str, set[str | None]] = {}
    for route in routes:
        for one in route.destinations:
            host = resolve(one.get("host") or "", route.ref.namespace, scope.domain)
            seen.setdefault(host, set()).add(one.get("subset") or None)
    if any(None in seen.get(resolve(name, scope.namespace, scope.domain), ()) for name in asked):
        return []
    defined = {host: set(subsets(rules or (), host, scope.namespace, scope.domain)) for host in seen}
    canary, *others = asked
    tries: list[list[str]] = [
        [host for host in seen if canary in seen[host]],
        [host for host in seen if canary in defined[host]],
        [host for host in seen if any(name in seen[host] for name in others)],
        [host for host in seen if any(seen[host]) and not others],
    ]
    return next((hosts for hosts in tries if hosts), [])


def _found(part: RoutePart, kind: str, scope: Scope) -> Iterator[Route]:
    known = marks.read(part.data)
    users = [(ours, route) for ours, route in managed.grouped(of(part.data, kind)) if route is not None]
    keys = marks.keys(kind, (route for _, route in users))
    for number, ((in_front, route), key) in enumerate(zip(users, keys, strict=True)):
        allowed = not scope.routes or route.get("name") in scope.routes
        for_users = not scope.personal and (part.personal or names_users(route))
        mark = known.get(key)
        yield Route(part.ref, kind, number, key, route, in_front, allowed, for_users, mark, part.labelled)


def of(virtual_service: Data, kind: str) -> Sequence[Any]:
    """Its routes of one kind, ours among them."""
    return (virtual_service.get("spec") or {}).get(kind) or ()
