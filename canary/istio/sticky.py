"""Cookies that keep users on the version that they met. Pure.

While weights share requests out, the destinations of a route set a cookie, and http routes of ours in front know
users by it. At weight 0 other routes of ours stand there: they send users who still have a cookie to stable, and
take it from them. They stay until the next rollout. `managed.py` has the routes for matches.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from canary.api.plan import Affinity, Cookie, Match, StringMatch
from canary.engine.errors import Rejected

from .managed import STICKY, Data, for_some, is_sticky
from .marks import Mark
from .routes import Route
from .weights import Order

HEADER = "Set-Cookie"
WHOLE_SHARE = 100
_AGE = re.compile(r"(?<=Max-Age=)-?\d+")


def giving(route: Mapping[str, Any], order: Order, affinity: Affinity) -> Data:
    """The route, whose destinations set the cookies. Raises Rejected where they set one already."""
    given = {order.pair.canary: affinity.canary, order.pair.stable: affinity.primary}
    entries = [_setting(entry, given.get(order.version(entry))) for entry in route["route"]]
    return {**route, "route": entries}


def without(route: Route, order: Order) -> Data:
    """The route, whose destinations set no cookie of ours."""
    if not any(_gives(route, order, entry) for entry in route.data.get("route") or ()):
        return dict(route.data)
    entries = [_bare(entry) if _gives(route, order, entry) else entry for entry in route.data["route"]]
    return {**route.data, "route": entries}


def in_front(route: Mapping[str, Any], mark: Mark | None, order: Order, affinity: Affinity) -> list[Data]:
    """The routes of users who have a cookie. At 100% the primary has no users to keep."""
    known = [("canary", affinity.canary, order.pair.canary)]
    if affinity.primary is not None and order.percent < WHOLE_SHARE:
        known.append(("primary", affinity.primary, order.pair.stable))
    return [
        for_some(route, mark, order, _having(cookie), f"{STICKY}{name}", version) for name, cookie, version in known
    ]


def taken_back(route: Mapping[str, Any], mark: Mark | None, order: Order, affinity: Affinity) -> list[Data]:
    """The routes that take cookies of an earlier rollout from users, and send these to stable."""
    made: list[Data] = []
    for cookie in (affinity.canary, affinity.primary):
        if cookie is not None:
            name = f"{STICKY}removal-{len(made) + 1}"
            one = for_some(route, mark, order, _having(cookie), name, order.pair.stable)
            expired = cookie.but(attributes=_AGE.sub("-1", cookie.attributes))
            with suppress(Rejected):  # a user has added a cookie since; nothing may keep traffic from going back
                made.append({**one, "route": [_setting(entry, expired) for entry in one["route"]]})
    return made


def affinity_of(route: Route, order: Order) -> Affinity | None:
    """What the destinations of a route set for users."""
    entries: Sequence[Data] = [one for one in route.data.get("route") or () if _gives(route, order, one)]
    found = {order.version(entry): cookie for entry in entries if (cookie := _set(entry))}
    canary = found.get(order.pair.canary)
    return Affinity(canary=canary, primary=found.get(order.pair.stable)) if canary else None


def left(route: Route, order: Order) -> Affinity | None:
    """Cookies that users of a route may have from this rollout or the last one."""
    given = affinity_of(route, order)
    if given is not None:
        return given
    removals = (one for one in route.in_front if is_sticky(one))
    found = [cookie for one in removals for entry in one.get("route") or () if (cookie := _set(entry))]
    return Affinity(canary=found[0], primary=found[1] if len(found) > 1 else None) if found else None


def as_made(route: Route, order: Order, weight: int, affinity: Affinity | None) -> bool:
    """Whether the routes in front of one that are for cookies are as they were made, behind all others.

    Those that take cookies back stay at rest, where users may edit the route that they are a copy of: all that counts
    of them is that they send nothing to the canary.
    """
    ours = [one for one in route.in_front if is_sticky(one)]
    if list(route.in_front[len(route.in_front) - len(ours) :]) != ours:
        return False
    bare = without(route, order)
    percent = Order(order.pair, weight, order.names, order.namespace)
    if affinity is not None:
        return ours == in_front(bare, route.mark, percent, affinity)
    return all([order.version(entry) for entry in one.get("route") or ()] == [order.pair.stable] for one in ours)


def _gives(route: Route, order: Order, entry: Mapping[str, Any]) -> bool:
    """Whether a destination sets a cookie of ours: by the mark, which is lost if a user names the route otherwise; or
    by the routes in front, which know its value: both versions' cookies have the same."""
    cookie = _set(entry)
    if cookie is None or order.version(entry) not in order.pair:
        return False
    if route.mark is not None and route.mark.cookies:
        return True
    known = [
        match.get("headers") or {} for one in route.in_front if is_sticky(one) for match in one.get("match") or ()
    ]
    said = [str((headers.get("cookie") or {}).get("regex")) for headers in known]
    return any(one.endswith(_ending(cookie)) for one in said)


def _having(cookie: Cookie) -> Match:
    """Requests with this cookie, among others."""
    regex = rf"(.*;\s*)?{re.escape(cookie.name)}{_ending(cookie)}"
    return Match(headers={"cookie": StringMatch(regex=regex)})


def _ending(cookie: Cookie) -> str:
    return rf"{re.escape(f'={cookie.value}')}(;.*)?"


def _setting(entry: Data, cookie: Cookie | None) -> Data:
    """A destination that sets a cookie as well."""
    if cookie is None:
        return entry
    response = (entry.get("headers") or {}).get("response") or {}
    added = response.get("add") or {}
    before = _set(entry)
    theirs = [name for name in (*added, *(response.get("set") or {})) if name.lower() == HEADER.lower()]
    if theirs and (theirs != [HEADER] or before is None or before.name != cookie.name):
        raise Rejected(f"a destination sets the header {HEADER} already, so users can't be kept by a cookie")
    made = {**(entry.get("headers") or {}), "response": {**response, "add": {**added, HEADER: str(cookie)}}}
    return {**entry, "headers": made}


def _bare(entry: Data) -> Data:
    """The same without the cookie, and without what was made for it."""
    if _set(entry) is None:
        return entry
    headers = dict(entry["headers"])
    response = dict(headers["response"])
    response["add"] = {name: text for name, text in response["add"].items() if name != HEADER}
    headers["response"] = {name: value for name, value in response.items() if name != "add" or value}
    headers = {name: value for name, value in headers.items() if name != "response" or value}
    rest = {field: value for field, value in entry.items() if field != "headers"}
    return {**rest, "headers": headers} if headers else rest


def _set(entry: Mapping[str, Any]) -> Cookie | None:
    text = (((entry.get("headers") or {}).get("response") or {}).get("add") or {}).get(HEADER)
    said, _, attributes = str(text or "").partition("; ")
    name, equals, value = said.partition("=")
    return Cookie(name=name, value=value, attributes=attributes) if equals else None
