"""What a RouteConfiguration says of a pair of clusters, and how it says something else. Pure, on plain data.

A route *moves* when it sends weight to one of the pair and isn't for single users. `read` tells the traffic
state of the routes that move; `apply` returns the configuration with another state and all else equal.
`weights.py` knows a single route; what is added is marked, so that it is known again and taken away. `discovery.py`
keeps the file that all this stands in.

Data is as Envoy's JSON and YAML have it, in snake_case, be it from the file or from /config_dump.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from canary.api.plan import Match, StringMatch, Traffic
from canary.api.status import Unmoved
from canary.engine.errors import Rejected
from canary.engine.next_traffic import exposed
from canary.engine.split import shares

from . import weights

Data = dict[str, Any]

_CAMEL = ("virtualHosts", "weightedClusters", "requestMirrorPolicies", "queryParameters", "filterMetadata")
"""Envoy reads these spellings too; a file with both would say things twice."""


@dataclass(frozen=True)
class RouteScope:
    """Which routes may move at all."""

    name: str
    """The RouteConfiguration."""
    routes: tuple[str, ...] = ()
    """Only routes with these names, where given."""
    host: str | None = None
    """Only virtual hosts that list this domain, where given."""


@dataclass(frozen=True)
class RouteState:
    """What the routes that move say together."""

    shares: Mapping[str, float]
    """Per cent by cluster; the mean where several routes move."""
    traffic: Traffic | None
    """None where they disagree, or where nothing moves."""
    described: str = ""
    """The state in words, where `traffic` is None."""
    unmoved: tuple[Unmoved, ...] = ()
    """What reaches a cluster and isn't ours to move; see RouteSeen."""


@dataclass(frozen=True)
class FoundRoutes:
    """A route, with those of ours right in front of it that catch single users for it."""

    route: Data
    in_front: tuple[Data, ...]
    label: str
    allowed: bool
    """Whether the scope lets it move."""

    @property
    def movable(self) -> bool:
        """Whether it sends requests to clusters by name, and isn't for single users."""
        return self.allowed and bool(weights.weights_of(self.route)) and not names_users(self.route)

    def moves(self, stable: str, canary: str) -> bool:
        """Whether it sends weight to one of the pair."""
        sent = weights.weights_of(self.route)
        return self.movable and bool(sent.get(stable) or sent.get(canary))


def read(config: Mapping[str, Any], scope: RouteScope, stable: str | None, canary: str) -> RouteState:
    """The state of the routes that move.

    While the stable cluster isn't known, those that name the canary count, or all where none does. Raises Rejected
    for a route whose weights don't say who is sent where.
    """
    found = [one for host in _hosts(config) for one in _found(host, scope)]
    pair = None if stable is None else (stable, canary)
    state = _undecided(found, canary) if pair is None else _decided(found, scope, pair)
    return replace(state, unmoved=(*state.unmoved, *_copied_above(config, pair)))


def apply(config: Mapping[str, Any], scope: RouteScope, stable: str, canary: str, traffic: Traffic) -> Data:
    """The configuration that asks for `traffic` in every route that moves; equal to `config` if it does already.

    Raises Rejected where no route moves, or where one can't be made to say that.
    """
    _check_spelling(config)
    changed: Data = deepcopy(dict(config))
    found = {id(host): list(_found(host, scope)) for host in _hosts(changed)}
    moving = [one for routes in found.values() for one in routes if one.moves(stable, canary)]
    if not moving:
        raise Rejected(_nothing_moves(scope, stable, canary))
    if exposed(traffic):
        _check_weights(moving)
    for host in _hosts(changed):
        routes = [route for one in found[id(host)] for route in _written(one, stable, canary, traffic)]
        if "routes" in host:
            host["routes"] = routes
    return changed


def _written(one: FoundRoutes, stable: str, canary: str, traffic: Traffic) -> list[Data]:
    """The route and those in front of it, as `traffic` wants them."""
    if not one.moves(stable, canary):
        return [*one.in_front, one.route]
    weights.copy(one.route, canary, traffic.mirror)
    weights.send(one.route, stable, canary, traffic.weight)
    return [*in_front(one.route, canary, traffic.match), one.route]


def _decided(found: Sequence[FoundRoutes], scope: RouteScope, pair: tuple[str, str]) -> RouteState:
    moving = [one for one in found if one.moves(*pair)]
    _check_weights(moving)
    traffic, described = _agreed(moving, *pair, scope)
    return RouteState(_mean(moving), traffic, described, _unmoved(found, moving, pair))


def _undecided(found: Sequence[FoundRoutes], canary: str) -> RouteState:
    movable = [one for one in found if one.movable]
    naming = [one for one in movable if canary in weights.weights_of(one.route)]
    _check_weights(naming)
    moving = naming or movable
    mean = {cluster: share for cluster, share in _mean(moving).items() if share or cluster == canary}
    if set(mean) == {canary} and moving:
        return RouteState(mean, Traffic(weight=100), unmoved=_unmoved(found, moving, None))
    said = ", ".join(f"{cluster} has {share:g}%" for cluster, share in mean.items())
    return RouteState(mean, None, said or "no route sends requests to a cluster", _unmoved(found, moving, None))


def _agreed(moving: Sequence[FoundRoutes], stable: str, canary: str, scope: RouteScope) -> tuple[Traffic | None, str]:
    """The state that all of them are in; or None, and what each says."""
    if not moving:
        return None, _nothing_moves(scope, stable, canary)
    states = {one.label: _state(one, stable, canary) for one in moving}
    first, *others = states.values()
    if isinstance(first, Traffic) and all(other == first for other in others):
        return first, ""
    said = [state if isinstance(state, str) else _words(state, canary) for state in states.values()]
    return None, "; ".join(f"{label}: {words}" for label, words in zip(states, said, strict=True))


def _state(one: FoundRoutes, stable: str, canary: str) -> Traffic | str:
    """What one route says of the pair, in words where that isn't a state that could have been asked for."""
    sent = weights.weights_of(one.route)
    exact = 100 * sent.get(canary, 0) / (sent.get(canary, 0) + sent.get(stable, 0))
    match = matches_of(one.route, canary, one.in_front)
    if match is None:
        return "another client changed a marked route in front of it"
    if abs(exact - round(exact)) > weights.ROUNDING:
        return f"{exact:.4g}% to {canary}"
    return Traffic(weight=round(exact), mirror=weights.copied(one.route, canary), match=match)


def _words(traffic: Traffic, canary: str) -> str:
    words = [f"{traffic.weight}% to {canary}"]
    words += [f"{traffic.mirror}% copied"] if traffic.mirror else []
    words += [f"{len(traffic.match)} matches"] if traffic.match else []
    return ", ".join(words)


def _mean(moving: Sequence[FoundRoutes]) -> dict[str, float]:
    each = [shares(weights.weights_of(one.route)) for one in moving]
    names = dict.fromkeys(name for one in each for name in one)
    return {name: sum(one.get(name, 0.0) for one in each) / len(each) for name in names}


def _unmoved(
    found: Sequence[FoundRoutes], moving: Sequence[FoundRoutes], pair: tuple[str, str] | None
) -> tuple[Unmoved, ...]:
    """What reaches one of the pair without us, or any cluster while the pair isn't known; and third shares."""
    ours = {id(one.route) for one in moving}
    listed: list[Unmoved] = []
    for one in found:
        if chosen := weights.chosen_by(one.route):
            # It may reach any cluster; that it reaches stable is what breaks once that is stopped.
            listed.append(Unmoved(route=f"{one.label} by {chosen}", version=pair[0] if pair else ""))
        sent = [cluster for cluster, weight in weights.weights_of(one.route).items() if weight]
        if id(one.route) not in ours:
            listed += [Unmoved(route=one.label, version=name) for name in sent if pair is None or name in pair]
        elif pair is not None:
            listed += [Unmoved(version=name) for name in sent if name not in pair]
        copies = [name for name in weights.mirrored(one.route) if pair is None or name in pair]
        listed += [Unmoved(route=one.label, version=name, copies=True) for name in copies]
    return tuple(dict.fromkeys(listed))


def _copied_above(config: Mapping[str, Any], pair: tuple[str, str] | None) -> tuple[Unmoved, ...]:
    """Mirrors that stand at a virtual host, or at the whole configuration, for routes without their own."""
    places = [(f"all of {config.get('name', 'the routes')}", config)]
    places += [(f"virtual host {host.get('name', '')}".rstrip(), host) for host in _hosts(config)]
    return tuple(
        Unmoved(route=label, version=name, copies=True)
        for label, place in places
        for name in weights.copied_to(place)
        if pair is None or name in pair
    )


def _hosts(config: Mapping[str, Any]) -> list[Data]:
    return config.get("virtual_hosts") or []


def _found(host: Data, scope: RouteScope) -> Iterator[FoundRoutes]:
    here = scope.host is None or scope.host in (host.get("domains") or ())
    for in_front, route in grouped(host.get("routes") or ()):
        allowed = here and (not scope.routes or route.get("name") in scope.routes)
        yield FoundRoutes(route, in_front, _label(host, route), allowed)


def _label(host: Mapping[str, Any], route: Mapping[str, Any]) -> str:
    """What people call the route: its name, else what it matches."""
    if route.get("name"):
        return str(route["name"])
    match = route.get("match") or {}
    kind = next((one for one in match if isinstance(match[one], str)), None)
    what = f"{kind} {match[kind]}" if kind else "a route"
    return f"{what} of {host.get('name', 'a virtual host')}"


def _nothing_moves(scope: RouteScope, stable: str, canary: str) -> str:
    where = f"route{'s' if len(scope.routes) > 1 else ''} {', '.join(scope.routes)}" if scope.routes else "route"
    host = f" for {scope.host}" if scope.host else ""
    return f"no {where} of {scope.name}{host} sends requests to {stable} or {canary}"


def _check_weights(moving: Sequence[FoundRoutes]) -> None:
    """Raises Rejected where Envoy's runtime may replace the weights: what is written then isn't what is served."""
    for one in moving:
        prefix = weights.runtime_prefix(one.route)
        if prefix:
            raise Rejected(
                f"{one.label} has runtime_key_prefix: {prefix}, so Envoy's runtime can replace its weights, and what "
                f"canary writes may not be what is served; remove runtime_key_prefix from the route"
            )


def _check_spelling(config: Mapping[str, Any]) -> None:
    places: list[Mapping[str, Any]] = [config]
    for host in _hosts(config):
        for route in host.get("routes") or ():
            places += [route.get(part) or {} for part in ("match", "route", "metadata")]
    wrong = next((name for place in places for name in _CAMEL if name in place), None)
    if wrong is not None:
        raise Rejected(f"the route file says {wrong}; write such fields in snake_case, as Envoy's documentation does")


PERSONAL = ("query_parameters", "cookies", "dynamic_metadata", "filter_state")
"""Conditions of a route that pick single users, beside headers."""


def is_ours(route: Mapping[str, Any]) -> bool:
    """Whether the whole route was made here."""
    return bool(weights.mark_of(route).get(weights.MATCH))


def names_users(route: Mapping[str, Any]) -> bool:
    """Whether the route is for single users. Envoy matches method and authority as headers, too: those aren't."""
    match = route.get("match") or {}
    headers = (str(one.get("name", "")) for one in match.get("headers") or ())
    return any(not name.startswith(":") for name in headers) or any(match.get(one) for one in PERSONAL)


def grouped(routes: Iterable[Data]) -> Iterator[tuple[tuple[Data, ...], Data]]:
    """Each route with those of ours right in front of it; ours that have nothing behind them stand alone."""
    waiting: list[Data] = []
    for route in routes:
        if is_ours(route):
            waiting.append(route)
        else:
            yield tuple(waiting), route
            waiting = []
    yield from (((), route) for route in waiting)


def in_front(route: Mapping[str, Any], canary: str, matches: Iterable[Match]) -> list[Data]:
    """The routes that send the users of each match to the canary. Raises Rejected for what Envoy can't match."""
    return [_in_front(route, canary, match) for match in matches]


def matches_of(route: Mapping[str, Any], canary: str, ours: Sequence[Data]) -> tuple[Match, ...] | None:
    """What the routes in front of `route` match; None where one isn't as it was made."""
    matches = []
    for one in ours:
        match = _match_of(route, one)
        if match is None or _in_front(route, canary, match) != one:
            return None
        matches.append(match)
    return tuple(matches)


def _in_front(route: Mapping[str, Any], canary: str, match: Match) -> Data:
    made: Data = deepcopy(dict(route))
    weights.copy(made, canary, 0)
    weights.put_mark(made, {})
    _aim(made["route"], canary)
    condition = made.setdefault("match", {})
    for field, added in (("headers", match.headers), ("query_parameters", match.query_params)):
        if added:
            condition[field] = [*condition.get(field, ()), *(_matcher(name, how) for name, how in added.items())]
    if match.source_labels:
        raise Rejected("a standalone Envoy knows no sourceLabels to match")
    if not match.headers and not match.query_params:
        raise Rejected("a match without headers and queryParams would send everybody to the canary")
    weights.put_mark(made, {weights.MATCH: True})
    return made


def _aim(action: Data, canary: str) -> None:
    """The canary alone; what the user set for its entry of the weighted clusters goes on to hold."""
    entries = action.pop("weighted_clusters", {}).get("clusters", [])
    entry: Data = next((one for one in entries if one.get("name") == canary), {})
    if set(entry) - {"name", "weight"}:
        action["weighted_clusters"] = {"clusters": [{**entry, "weight": weights.WHOLE}]}
    else:
        action["cluster"] = canary


def _matcher(name: str, how: StringMatch) -> Data:
    """As envoy.type.matcher.v3.StringMatcher; an expression must match the whole value, as in Istio."""
    if how.exact is not None:
        return {"name": name, "string_match": {"exact": how.exact}}
    if how.prefix is not None:
        return {"name": name, "string_match": {"prefix": how.prefix}}
    if how.regex is not None:
        return {"name": name, "string_match": {"safe_regex": {"regex": how.regex}}}
    raise Rejected(f"the match of {name} says neither exact nor prefix nor regex")


def _match_of(route: Mapping[str, Any], ours: Mapping[str, Any]) -> Match | None:
    """The conditions that `ours` has beyond those of `route`."""
    try:
        headers, params = (
            {one["name"]: _how(one["string_match"]) for one in _beyond(route, ours, field)}
            for field in ("headers", "query_parameters")
        )
    except (KeyError, TypeError):
        return None
    return Match(headers=headers, query_params=params) if headers or params else None


def _beyond(route: Mapping[str, Any], ours: Mapping[str, Any], field: str) -> list[Data]:
    before = (route.get("match") or {}).get(field) or []
    after: list[Data] = (ours.get("match") or {}).get(field) or []
    return after[len(before) :]


def _how(matcher: Mapping[str, Any]) -> StringMatch:
    regex = matcher["safe_regex"]["regex"] if "safe_regex" in matcher else None
    return StringMatch(exact=matcher.get("exact"), prefix=matcher.get("prefix"), regex=regex)
