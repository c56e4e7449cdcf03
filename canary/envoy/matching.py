"""Single users: which routes are theirs, and the marked routes that send some of them to the canary. Pure.

A `Match` of the traffic state becomes a route in front of the one that moves: a copy of it with the conditions
added and the canary as its only cluster. What was made here is read back by making it again and comparing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from canary.api.plan import Match, StringMatch
from canary.engine.errors import Rejected

from . import marks, weights

Data = dict[str, Any]

PERSONAL = ("query_parameters", "cookies", "dynamic_metadata", "filter_state")
"""Conditions of a route that pick single users, beside headers."""


def is_ours(route: Mapping[str, Any]) -> bool:
    """Whether the whole route was made here."""
    return bool(marks.of(route).get(marks.MATCH))


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
    marks.put(made, {})
    _aim(made["route"], canary)
    condition = made.setdefault("match", {})
    for field, added in (("headers", match.headers), ("query_parameters", match.query_params)):
        if added:
            condition[field] = [*condition.get(field, ()), *(_matcher(name, how) for name, how in added.items())]
    if match.source_labels:
        raise Rejected("a standalone Envoy knows no sourceLabels to match")
    if not match.headers and not match.query_params:
        raise Rejected("a match without headers and queryParams would send everybody to the canary")
    marks.put(made, {marks.MATCH: True})
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
