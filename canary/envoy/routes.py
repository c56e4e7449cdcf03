"""What a RouteConfiguration says of a pair of clusters, and how it says something else. Pure, on plain data.

A route *moves* when it sends weight to one of the pair and isn't for single users. `read` tells the traffic
state of the routes that move; `apply` returns the configuration with another state and all else equal.
`weights.py` and `matching.py` know a single route; what they add is marked (`marks.py`), so that it is known
again and taken away. `discovery.py` keeps the file that all this stands in.

Data is as Envoy's JSON and YAML have it, in snake_case, be it from the file or from /config_dump.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from canary.api.plan import Traffic
from canary.engine.errors import Rejected
from canary.engine.split import shares

from . import matching, weights

Data = dict[str, Any]

_CAMEL = ("virtualHosts", "weightedClusters", "requestMirrorPolicies", "queryParameters", "filterMetadata")
"""Envoy reads these spellings too; a file with both would say things twice."""


@dataclass(frozen=True)
class Scope:
    """Which routes may move at all."""

    name: str
    """The RouteConfiguration."""
    routes: tuple[str, ...] = ()
    """Only routes with these names, where given."""
    host: str | None = None
    """Only virtual hosts that list this domain, where given."""


@dataclass(frozen=True)
class State:
    """What the routes that move say together."""

    shares: Mapping[str, float]
    """Per cent by cluster; the mean where several routes move."""
    traffic: Traffic | None
    """None where they disagree, or where nothing moves."""
    described: str = ""
    """The state in words, where `traffic` is None."""
    unmoved: tuple[str, ...] = ()
    """Routes that reach the canary and aren't ours to move."""


@dataclass(frozen=True)
class Found:
    """A route, with those of ours right in front of it that catch single users for it."""

    route: Data
    in_front: tuple[Data, ...]
    label: str
    allowed: bool
    """Whether the scope lets it move."""

    @property
    def movable(self) -> bool:
        """Whether it sends requests to clusters by name, and to nobody in particular."""
        return self.allowed and bool(weights.weights_of(self.route)) and not matching.names_users(self.route)

    def moves(self, stable: str, canary: str) -> bool:
        """Whether it sends weight to one of the pair."""
        sent = weights.weights_of(self.route)
        return self.movable and bool(sent.get(stable) or sent.get(canary))


def read(config: Mapping[str, Any], scope: Scope, stable: str | None, canary: str) -> State:
    """The state of the routes that move.

    While the stable cluster isn't known, those that name the canary count, or all where none does.
    """
    found = [one for host in _hosts(config) for one in _found(host, scope)]
    if stable is None:
        return _undecided(found, canary)
    moving = [one for one in found if one.moves(stable, canary)]
    traffic, described = _agreed(moving, stable, canary, scope)
    return State(_mean(moving), traffic, described, _unmoved(found, moving, canary))


def apply(config: Mapping[str, Any], scope: Scope, stable: str, canary: str, traffic: Traffic) -> Data:
    """The configuration that asks for `traffic` in every route that moves; equal to `config` if it does already.

    Raises Rejected where no route moves, or where one can't be made to say that.
    """
    _check_spelling(config)
    changed: Data = deepcopy(dict(config))
    found = {id(host): list(_found(host, scope)) for host in _hosts(changed)}
    if not any(one.moves(stable, canary) for routes in found.values() for one in routes):
        raise Rejected(_nothing_moves(scope, stable, canary))
    for host in _hosts(changed):
        routes = [route for one in found[id(host)] for route in _written(one, stable, canary, traffic)]
        if "routes" in host:
            host["routes"] = routes
    return changed


def _written(one: Found, stable: str, canary: str, traffic: Traffic) -> list[Data]:
    """The route and those in front of it, as `traffic` wants them."""
    if not one.moves(stable, canary):
        return [*one.in_front, one.route]
    weights.copy(one.route, canary, traffic.mirror)
    weights.send(one.route, stable, canary, traffic.weight)
    return [*matching.in_front(one.route, canary, traffic.match), one.route]


def _undecided(found: Sequence[Found], canary: str) -> State:
    movable = [one for one in found if one.movable]
    moving = [one for one in movable if canary in weights.weights_of(one.route)] or movable
    mean = {cluster: share for cluster, share in _mean(moving).items() if share or cluster == canary}
    if set(mean) == {canary} and moving:
        return State(mean, Traffic(weight=100), unmoved=_unmoved(found, moving, canary))
    said = ", ".join(f"{cluster} has {share:g}%" for cluster, share in mean.items())
    return State(mean, None, said or "no route sends requests to a cluster", _unmoved(found, moving, canary))


def _agreed(moving: Sequence[Found], stable: str, canary: str, scope: Scope) -> tuple[Traffic | None, str]:
    """The state that all of them are in; or None, and what each says."""
    if not moving:
        return None, _nothing_moves(scope, stable, canary)
    states = {one.label: _state(one, stable, canary) for one in moving}
    first, *others = states.values()
    if isinstance(first, Traffic) and all(other == first for other in others):
        return first, ""
    said = [state if isinstance(state, str) else _words(state, canary) for state in states.values()]
    return None, "; ".join(f"{label}: {words}" for label, words in zip(states, said, strict=True))


def _state(one: Found, stable: str, canary: str) -> Traffic | str:
    """What one route says of the pair, in words where that isn't a state that could have been asked for."""
    sent = weights.weights_of(one.route)
    exact = 100 * sent.get(canary, 0) / (sent.get(canary, 0) + sent.get(stable, 0))
    match = matching.matches_of(one.route, canary, one.in_front)
    if match is None:
        return "a marked route in front of it was changed by somebody else"
    if abs(exact - round(exact)) > weights.ROUNDING:
        return f"{exact:.4g}% to {canary}"
    return Traffic(weight=round(exact), mirror=weights.copied(one.route, canary), match=match)


def _words(traffic: Traffic, canary: str) -> str:
    words = [f"{traffic.weight}% to {canary}"]
    words += [f"{traffic.mirror}% copied"] if traffic.mirror else []
    words += [f"{len(traffic.match)} matches"] if traffic.match else []
    return ", ".join(words)


def _mean(moving: Sequence[Found]) -> dict[str, float]:
    each = [shares(weights.weights_of(one.route)) for one in moving]
    names = dict.fromkeys(name for one in each for name in one)
    return {name: sum(one.get(name, 0.0) for one in each) / len(each) for name in names}


def _unmoved(found: Sequence[Found], moving: Sequence[Found], canary: str) -> tuple[str, ...]:
    """Labels of the routes that reach the canary by themselves; a user's mirror of a moving route is one, too."""
    ours = {id(one.route) for one in moving}
    reach = [one for one in found if id(one.route) not in ours and weights.weights_of(one.route).get(canary)]
    copy = [one for one in found if weights.mirrors_to(one.route, canary) and not weights.copied(one.route, canary)]
    return tuple(dict.fromkeys([one.label for one in reach] + [f"{one.label} (copies)" for one in copy]))


def _hosts(config: Mapping[str, Any]) -> list[Data]:
    return config.get("virtual_hosts") or []


def _found(host: Data, scope: Scope) -> Iterator[Found]:
    here = scope.host is None or scope.host in (host.get("domains") or ())
    for in_front, route in matching.grouped(host.get("routes") or ()):
        allowed = here and (not scope.routes or route.get("name") in scope.routes)
        yield Found(route, in_front, _label(host, route), allowed)


def _label(host: Mapping[str, Any], route: Mapping[str, Any]) -> str:
    """What people call the route: its name, else what it matches."""
    if route.get("name"):
        return str(route["name"])
    match = route.get("match") or {}
    kind = next((one for one in match if isinstance(match[one], str)), None)
    what = f"{kind} {match[kind]}" if kind else "a route"
    return f"{what} of {host.get('name', 'a virtual host')}"


def _nothing_moves(scope: Scope, stable: str, canary: str) -> str:
    where = f"route{'s' if len(scope.routes) > 1 else ''} {', '.join(scope.routes)}" if scope.routes else "route"
    host = f" for {scope.host}" if scope.host else ""
    return f"no {where} of {scope.name}{host} sends requests to {stable} or {canary}"


def _check_spelling(config: Mapping[str, Any]) -> None:
    places: list[Mapping[str, Any]] = [config]
    for host in _hosts(config):
        for route in host.get("routes") or ():
            places += [route.get(part) or {} for part in ("match", "route", "metadata")]
    wrong = next((name for place in places for name in _CAMEL if name in place), None)
    if wrong is not None:
        raise Rejected(f"the route file says {wrong}; write such fields in snake_case, as Envoy's documentation does")
