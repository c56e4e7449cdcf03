"""What stands beside weights: http routes of ours that catch single users, and copies of requests. Pure.

A `Match` of the traffic state becomes a route right in front of the one that moves: a copy of it with our
conditions added to each of its own and the canary as its only destination. Such routes are known by their name;
what they say is read back by making them again and comparing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from canary.api.plan import Match, StringMatch, Traffic
from canary.api.service import MESH
from canary.engine.errors import Rejected

from .marks import Mark
from .weights import Order, entry_of

Data = dict[str, Any]

PREFIX = "canary-controller.dev.match-"
STICKY = "canary-controller.dev.cookie-"
"""Names of routes that are wholly ours begin so; `sticky.py` makes the latter."""
MIRRORS = ("mirror", "mirrors", "mirrorPercentage", "mirror_percentage", "mirrorPercent", "mirror_percent")
_OURS = ("mirror", "mirrorPercentage")
_CONDITIONS = (("headers", "headers"), ("queryParams", "query_params"), ("sourceLabels", "source_labels"))


def is_ours(route: Mapping[str, Any]) -> bool:
    """Whether the whole route was made here."""
    return str(route.get("name") or "").startswith((PREFIX, STICKY))


def grouped(routes: Iterable[Data]) -> Iterator[tuple[tuple[Data, ...], Data | None]]:
    """Each route of the user with ours right in front of it; None where ours have none behind them."""
    waiting: list[Data] = []
    for route in routes:
        if is_ours(route):
            waiting.append(route)
        else:
            yield tuple(waiting), route
            waiting = []
    if waiting:
        yield tuple(waiting), None


def sends_to(route: Mapping[str, Any], order: Order) -> bool:
    """Whether a route of ours was made for this canary."""
    versions = [order.version(entry) for entry in route.get("route") or ()]
    shared = versions == [order.pair.stable, order.pair.canary]
    return shared or versions == [order.pair.canary] or (is_sticky(route) and versions == [order.pair.stable])


def is_sticky(route: Mapping[str, Any]) -> bool:
    """Whether a route of ours is for users who have a cookie."""
    return str(route.get("name") or "").startswith(STICKY)


def in_front(route: Mapping[str, Any], mark: Mark | None, order: Order, traffic: Traffic) -> list[Data]:
    """The routes that send the users of each match to the canary, or a share of their requests.

    Raises Rejected for a condition that is empty, or that chooses no one.
    """
    for match in traffic.match:
        _chooses(route, match)
    numbered = ((f"{PREFIX}{number}", match) for number, match in enumerate(traffic.match, 1))
    made = [for_some(route, mark, order, match, name, order.pair.canary) for name, match in numbered]
    share = traffic.match_weight
    if share is None:
        return made
    both = [
        {**entry_of(route, order, version), "weight": weight}
        for version, weight in ((order.pair.stable, 100 - share), (order.pair.canary, share))
    ]
    return [{**one, "route": deepcopy(both)} for one in made]


def _chooses(route: Mapping[str, Any], match: Match) -> None:
    """Raises Rejected for a condition that all requests of the route meet."""
    users = _alternatives(route, match)
    for field, wanted in _conditions(match).items():
        for name, how in wanted.items():
            if users and all((one.get(field) or {}).get(name) == how for one in users):
                raise Rejected(f"all requests of the route have this {name}, so the condition chooses none of them")


def matches_of(
    route: Mapping[str, Any], mark: Mark | None, order: Order, ours: Sequence[Mapping[str, Any]]
) -> Traffic | None:
    """What the routes in front of `route` match, and how much of it; None where one isn't as it was made."""
    matches = tuple(_match_of(route, one) for one in ours)
    known = tuple(match for match in matches if match is not None)
    if len(known) < len(matches):
        return None
    found = Traffic(match=known, match_weight=_share(ours))
    try:
        made = in_front(route, mark, order, found)
    except Rejected:
        return None
    return found if made == list(ours) else None


def _share(ours: Sequence[Mapping[str, Any]]) -> int | None:
    """The canary's share of what the first of our routes catches; None for all of it."""
    entries: list[Data] = list(ours[0].get("route") or ()) if ours else []
    weight = entries[1].get("weight") if len(entries) == 2 else None
    return weight if isinstance(weight, int) and 0 < weight < 100 else None


def copied(route: Mapping[str, Any], mark: Mark | None, order: Order) -> float:
    """Per cent of requests that we copy to the canary."""
    mirror = route.get("mirror") or {}
    if mark is None or not mark.mirror or order.names.version(mirror, order.namespace) != order.pair.canary:
        return 0
    return float((route.get("mirrorPercentage") or {}).get("value", 100))


def copy(route: Data, mark: Mark | None, order: Order, percent: int) -> tuple[Data, Mark | None]:
    """The route with `percent` of its requests copied to the canary, and its mark.

    Raises Rejected where the user copies requests already.
    """
    if mark is not None and mark.mirror:
        route = {field: value for field, value in route.items() if field not in _OURS}
        mark = replace(mark, mirror=False)
    if not percent:
        return route, mark
    if any(field in route for field in MIRRORS):
        raise Rejected("a route mirrors requests already, so they can't be copied to the canary as well")
    destination = entry_of(route, order, order.pair.canary)["destination"]
    mark = replace(mark or Mark(*order.pair), mirror=True)
    return {**route, "mirror": destination, "mirrorPercentage": {"value": percent}}, mark


def mirrored(route: Mapping[str, Any]) -> list[Data]:
    """Where the route copies requests to."""
    single = [route["mirror"]] if route.get("mirror") else []
    return single + [one.get("destination") or {} for one in route.get("mirrors") or ()]


def for_some(
    route: Mapping[str, Any], mark: Mark | None, order: Order, match: Match, called: str, version: str
) -> Data:
    """A route for requests that match, to one version.

    All that the user set on the route holds for them as well: rewrite, retries, fault and the rest.
    """
    conditions = _conditions(match)
    ours = _OURS if mark is not None and mark.mirror else ()
    carried = {field: deepcopy(value) for field, value in route.items() if field not in (*ours, "name", "match")}
    both = [_and(one, conditions) for one in _alternatives(route, match)]
    if not both:
        raise Rejected("a route for gateways alone knows no callers by labels, so sourceLabels can't be matched")
    return {
        **carried,
        "name": called + (f".{route['name']}" if route.get("name") else ""),
        "match": both,
        "route": [entry_of(route, order, version)],
    }


def _alternatives(route: Mapping[str, Any], match: Match) -> list[Data]:
    """Those of the user that our conditions can be added to.

    Where gateways are named Istio ignores sourceLabels, and the alternative would catch everybody
    (`sourceMatchHTTP` in pilot/pkg/networking/core/route). What only gateways send comes from no labelled pod.
    """
    users: list[Data] = route.get("match") or [{}]
    if not match.source_labels:
        return users
    return [one for one in users if MESH in (one.get("gateways") or [MESH])]


def _and(users: Mapping[str, Any], conditions: Mapping[str, Data]) -> Data:
    combined: Data = deepcopy(dict(users))
    if "sourceLabels" in conditions:
        combined.pop("gateways", None)
    for field, wanted in conditions.items():
        combined[field] = {**(combined.get(field) or {}), **wanted}
    return combined


def _conditions(match: Match) -> dict[str, Data]:
    """In Istio's words; a match without any would catch everybody."""
    made: dict[str, Data] = {
        "headers": {name: _string(name, how) for name, how in match.headers.items()},
        "queryParams": {name: _string(name, how) for name, how in match.query_params.items()},
        "sourceLabels": dict(match.source_labels),
    }
    if not any(made.values()):
        raise Rejected("a match without headers, queryParams or sourceLabels would catch every request")
    return {field: wanted for field, wanted in made.items() if wanted}


def _string(name: str, how: StringMatch) -> dict[str, str]:
    said: dict[str, str] = how.model_dump(exclude_none=True)
    if len(said) != 1:
        raise Rejected(f"the match of {name} must say one of exact, prefix and regex")
    return said


def _match_of(route: Mapping[str, Any], ours: Mapping[str, Any]) -> Match | None:
    """The conditions that `ours` has beyond those of `route`."""
    users: list[Data] = route.get("match") or [{}]
    after: list[Data] = ours.get("match") or [{}]
    if len(after) < len(users):  # without those for gateways
        users = _alternatives(route, Match(source_labels=after[0].get("sourceLabels") or {}))
    both = list(zip(users, after, strict=False))
    try:
        return Match.model_validate({name: _beyond(both, field) for field, name in _CONDITIONS})
    except (ValueError, AttributeError):
        return None


def _beyond(both: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], field: str) -> Data:
    """What was added to the alternatives of the user, or put in place of theirs."""
    return {
        name: how
        for before, after in both
        for name, how in (after.get(field) or {}).items()
        if (before.get(field) or {}).get(name) != how
    }
