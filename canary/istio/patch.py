"""The patches that ask for a traffic state in every route that moves: as little as there is. Pure.

For each VirtualService a copy is made that says what is desired (`weights.py`, `managed.py`, `marks.py`); the JSON
patch (RFC 6902) is what makes the one of the other. Every patch tests the resourceVersion, and the whole destination
(host, subset, port) of each entry that it touches, so that it never lands on something that wasn't read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from canary.api.plan import Traffic
from canary.engine.errors import Rejected

from . import managed, marks, reading, routes, sticky
from .destinations import DestinationNames, Pair
from .routes import KINDS, Route
from .scope import Ref, RoutePart, Scope, parts, ref_of
from .weights import Order, send

Data = Mapping[str, Any]
Operation = dict[str, Any]
Place = tuple[Ref, str, int]


@dataclass(frozen=True)
class Patch:
    """For one VirtualService."""

    namespace: str
    name: str
    operations: list[Operation]
    """The body of a request of type application/json-patch+json."""


@dataclass(frozen=True)
class _Task:
    """What is asked, once names are known."""

    scope: Scope
    names: DestinationNames
    pair: Pair
    traffic: Traffic
    tidy: bool = True

    def order(self, namespace: str) -> Order:
        return Order(self.pair, self.traffic.weight, self.names, namespace, self.tidy)

    def moving(self, some: Iterable[RoutePart]) -> list[Route]:
        return routes.moving(routes.found(some, self.scope), self.names, self.pair)


def write(
    virtual_services: Sequence[Data],
    destination_rules: Sequence[Data] | None,
    scope: Scope,
    pair: Pair,
    traffic: Traffic,
) -> list[Patch]:
    """One patch for each VirtualService that doesn't ask for `traffic` yet; none where all do.

    Raises Rejected where no route moves, or where one can't be made to say that.
    """
    why = reading.unclear(virtual_services, destination_rules, scope, pair.stable, pair.canary)
    if why:
        raise Rejected(why)
    before = parts(virtual_services, scope)
    found = routes.found(before, scope)
    names = routes.names_for(found, destination_rules, scope, pair.stable, pair.canary)
    # Both destinations say what cookies there are, so both stay.
    task = _Task(scope, names, pair, traffic, tidy=traffic.affinity is None)
    if not task.moving(before):
        raise Rejected(reading.nothing_moves(found, names, scope, pair.stable, pair.canary))
    after = _written(before, task)
    patches = (between(one.data, other.data, KINDS) for one, other in zip(before, after, strict=True))
    return [patch for patch in patches if patch is not None]


def _written(before: Sequence[RoutePart], task: _Task) -> list[RoutePart]:
    """Cleaned up, unless it would then be unknown which routes move, if the canary fails now."""
    moving = {route.place: route for route in task.moving(before)}
    after = [_part(part, moving, task) for part in before]
    if task.traffic.weight < 100 or _known_again(moving, after, task):
        return after
    return [_part(part, moving, replace(task, tidy=False)) for part in before]


def _known_again(moved: Mapping[Place, Route], after: Sequence[RoutePart], task: _Task) -> bool:
    """Whether the routes that move still do: each by itself, or all together where they are written as one."""
    moves = task.moving(after)
    alone = all(task.pair.stable in route.weights(task.names) for route in moves)
    together = len({route.ref for route in moves}) == 1
    return set(moved) == {route.place for route in moves} and (alone or together)


def _part(part: RoutePart, moving: Mapping[Place, Route], task: _Task) -> RoutePart:
    """One VirtualService that asks for the traffic."""
    changed, kept = deepcopy(dict(part.data)), dict[str, marks.Mark]()
    users = {route.place: route for route in routes.found([part], task.scope)}
    for kind in KINDS:
        written: list[Data] = []
        for number, (ours, _) in enumerate(managed.grouped(routes.of(part.data, kind))):
            place = part.ref, kind, number
            if place in moving:
                in_front, made, mark = _moved(moving[place], task)
            else:
                in_front, made, mark = _left(ours, users.get(place), task.order(part.ref.namespace))
            written += [*in_front, *([made] if made is not None else [])]
            kept |= {users[place].key: mark} if mark is not None else {}
        if routes.of(part.data, kind):
            changed["spec"][kind] = deepcopy(written)
    marks.put(changed, kept)
    return replace(part, data=changed)


def _left(
    ours: Sequence[Data], route: Route | None, order: Order
) -> tuple[Sequence[Data], Data | None, marks.Mark | None]:
    """A route that doesn't move, as it is; what we added to it for this canary goes."""
    left = [one for one in ours if not managed.sends_to(one, order)]
    if route is None:
        return left, None, None
    if route.mark is None or not route.mark.of(order.pair) or not _reaches(route, order):
        return left, route.data, route.mark
    return left, managed.copy(sticky.without(route, order), route.mark, order, 0)[0], None


def _reaches(route: Route, order: Order) -> bool:
    """Whether it has one of the pair; another host's versions may be called the same."""
    called = {order.version({"destination": destination}) for destination in route.destinations}
    return not called.isdisjoint(order.pair)


def _moved(route: Route, task: _Task) -> tuple[Sequence[Data], Data | None, marks.Mark | None]:
    """The routes in front of one that moves, itself, and what to remember of it."""
    traffic, order = task.traffic, task.order(route.ref.namespace)
    if route.kind != "http" and (traffic.match or traffic.mirror or traffic.affinity):
        what = "match single users" if traffic.match else "be copied" if traffic.mirror else "have cookies"
        raise Rejected(f"{route.label(False)} is no http route, so its requests can't {what}")
    if not route.labelled and any(match.source_labels for match in traffic.match):
        raise Rejected(f"{route.label(False)} is reached through named gateways, where Istio ignores sourceLabels")
    left = sticky.left(route, order)
    data, mark = managed.copy(sticky.without(route, order), route.mark, order, traffic.mirror)
    data["route"], mark = send(data, mark, order)
    if traffic.mirror or traffic.affinity:
        mark = replace(
            mark or marks.Mark(*task.pair), mirror=bool(traffic.mirror), cookies=traffic.affinity is not None
        )
    elif mark is not None:
        mark = replace(mark, cookies=False)
    in_front = managed.in_front(data, mark, order, traffic)
    if traffic.affinity is None:
        taken_back = sticky.taken_back(data, mark, order, left) if left and not traffic.weight else []
        return [*in_front, *taken_back], data, mark
    in_front += sticky.in_front(data, mark, order, traffic.affinity)
    return in_front, sticky.giving(data, order, traffic.affinity), mark


_NOTHING: Data = {}


def between(before: Data, after: Data, kinds: Sequence[str]) -> Patch | None:
    """What makes `after` of `before`, which has the same routes of the user in the same order; None if equal."""
    operations = list(_differences("/metadata", before.get("metadata") or {}, after.get("metadata") or {}))
    for kind in kinds:
        old, new = ((one.get("spec") or {}).get(kind) or () for one in (before, after))
        operations += _routes(f"/spec/{kind}", old, new)
    if not operations:
        return None
    ref = ref_of(before)
    version = (before.get("metadata") or {}).get("resourceVersion")
    guard = [_test("/metadata/resourceVersion", version)] if version is not None else []
    return Patch(ref.namespace, ref.name, guard + operations)


def _routes(path: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[Operation]:
    """The user's routes where they stand; then ours, from the last on, so that places in front stay right."""
    old, new = list(managed.grouped(before)), list(managed.grouped(after))
    if len(old) > len(new):  # ours stood at the end with none behind them
        new.append(((), None))
    places: list[int] = []
    for in_front, _ in old:
        places.append((places[-1] + 1 if places else 0) + len(in_front))
    for place, (_, one), (_, other) in zip(places, old, new, strict=True):
        yield from _route(f"{path}/{place}", one or _NOTHING, other or _NOTHING)
    for place, (ours, _), (wanted, _) in reversed(list(zip(places, old, new, strict=True))):
        if ours != wanted:
            yield from _in_front(path, place, ours, wanted)


def _in_front(path: str, place: int, ours: Sequence[Data], wanted: Sequence[Data]) -> Iterator[Operation]:
    """Those that stand right in front of `place` are replaced by the desired ones."""
    first = place - len(ours)
    for index in range(place - 1, first - 1, -1):
        yield _test(f"{path}/{index}/name", ours[index - first]["name"])
        yield {"op": "remove", "path": f"{path}/{index}"}
    for offset, route in enumerate(wanted):
        yield {"op": "add", "path": f"{path}/{first + offset}", "value": route}


def _route(path: str, before: Data, after: Data) -> Iterator[Operation]:
    yield from _entries(f"{path}/route", before.get("route") or (), after.get("route") or ())
    old, new = ({field: value for field, value in one.items() if field != "route"} for one in (before, after))
    yield from _differences(path, old, new)


def _entries(path: str, before: Sequence[Data], after: Sequence[Data]) -> Iterator[Operation]:
    """Destinations keep their places: what is new stands at the end, and at most one goes."""
    gone = _gone(before, after)
    kept = [index for index in range(len(before)) if index != gone]
    changed = [
        (index, before[index], other) for index, other in zip(kept, after, strict=False) if before[index] != other
    ]
    touched = sorted([index for index, _, _ in changed] + ([gone] if gone is not None else []))
    yield from (_test(f"{path}/{index}/destination", before[index].get("destination")) for index in touched)
    for index, one, other in changed:
        yield from _differences(f"{path}/{index}", one, other, whole=("destination",))
    if gone is not None:
        yield {"op": "remove", "path": f"{path}/{gone}"}
    yield from ({"op": "add", "path": f"{path}/-", "value": entry} for entry in after[len(kept) :])


def _gone(before: Sequence[Data], after: Sequence[Data]) -> int | None:
    """The entry without which the others are nearest to the desired ones; of equal ones the last."""
    if len(after) >= len(before):
        return None

    def alike(gone: int) -> int:
        rest = [*before[:gone], *before[gone + 1 :]]
        return sum(one.get("destination") == other.get("destination") for one, other in zip(rest, after, strict=True))

    return max(range(len(before) - 1, -1, -1), key=alike)


def _differences(path: str, before: Data, after: Data, whole: Sequence[str] = ()) -> Iterator[Operation]:
    """Member by member; what is taken away is tested first. Those named in `whole` are replaced as one."""
    for name in [*before, *(name for name in after if name not in before)]:
        place = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in after:
            yield _test(place, before[name])
            yield {"op": "remove", "path": place}
        elif name not in before:
            yield {"op": "add", "path": place, "value": after[name]}
        elif before[name] != after[name]:
            if name not in whole and isinstance(before[name], Mapping) and isinstance(after[name], Mapping):
                yield from _differences(place, before[name], after[name])
            else:
                yield {"op": "replace", "path": place, "value": after[name]}


def _test(path: str, value: Any) -> Operation:
    return {"op": "test", "path": path, "value": value}
