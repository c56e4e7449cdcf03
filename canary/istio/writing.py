"""Asks for a traffic state in every route that moves, as patches. Pure; nothing that is given is changed.

For each VirtualService a copy is made that says what it shall say (`weights.py`, `managed.py`, `marks.py`);
`patch.py` compares the two.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from canary.api.plan import Traffic
from canary.engine.errors import Rejected

from . import managed, marks, reading, routes
from .destinations import Names, Pair
from .patch import Patch, between
from .routes import KINDS, Route
from .scope import Part, Ref, Scope, parts
from .weights import Order, send

Data = Mapping[str, Any]
Place = tuple[Ref, str, int]


@dataclass(frozen=True)
class _Task:
    """What is asked, once names are known."""

    scope: Scope
    names: Names
    pair: Pair
    traffic: Traffic
    tidy: bool = True

    def order(self, namespace: str) -> Order:
        return Order(self.pair, self.traffic.weight, self.names, namespace, self.tidy)

    def moving(self, some: Iterable[Part]) -> list[Route]:
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
    task = _Task(scope, names, pair, traffic)
    if not task.moving(before):
        raise Rejected(reading.nothing_moves(found, names, scope, pair.stable, pair.canary))
    after = _written(before, task)
    patches = (between(one.data, other.data, KINDS) for one, other in zip(before, after, strict=True))
    return [patch for patch in patches if patch is not None]


def _written(before: Sequence[Part], task: _Task) -> list[Part]:
    """Tidied up, unless it couldn't be told any more then which routes move, should the canary fail now."""
    moving = {route.place: route for route in task.moving(before)}
    after = [_part(part, moving, task) for part in before]
    if task.traffic.weight < 100 or _known_again(moving, after, task):
        return after
    return [_part(part, moving, replace(task, tidy=False)) for part in before]


def _known_again(moved: Mapping[Place, Route], after: Sequence[Part], task: _Task) -> bool:
    """Whether the routes that move still do: each by itself, or all together where they are written as one."""
    moves = task.moving(after)
    alone = all(task.pair.stable in route.weights(task.names) for route in moves)
    together = len({route.ref for route in moves}) == 1
    return set(moved) == {route.place for route in moves} and (alone or together)


def _part(part: Part, moving: Mapping[Place, Route], task: _Task) -> Part:
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
    return left, managed.copy(dict(route.data), route.mark, order, 0)[0], None


def _reaches(route: Route, order: Order) -> bool:
    """Whether it has one of the pair; another host's versions may be called the same."""
    called = {order.version({"destination": destination}) for destination in route.destinations}
    return not called.isdisjoint((order.pair.stable, order.pair.canary))


def _moved(route: Route, task: _Task) -> tuple[Sequence[Data], Data | None, marks.Mark | None]:
    """The routes in front of one that moves, itself, and what to remember of it."""
    traffic, order = task.traffic, task.order(route.ref.namespace)
    if route.kind != "http" and (traffic.match or traffic.mirror):
        what = "match single users" if traffic.match else "be copied"
        raise Rejected(f"{route.label(False)} is no http route, so its requests can't {what}")
    if not route.labelled and any(match.source_labels for match in traffic.match):
        raise Rejected(f"{route.label(False)} is reached through named gateways, where Istio ignores sourceLabels")
    data, mark = managed.copy(dict(route.data), route.mark, order, traffic.mirror)
    data["route"], mark = send(data, mark, order)
    if traffic.mirror:
        mark = replace(mark or marks.Mark(task.pair.stable, task.pair.canary), mirror=True)
    return managed.in_front(data, mark, order, traffic.match), data, mark
