"""The destinations of one route: gives a pair its weights, and gives the route its shape back at the end. Pure.

The arithmetic is `engine/split.py`'s. What is done to the shape on the way (a destination added, a weight
written that was implied, all weights multiplied) is remembered in the route's mark. `patch.py` calls `send`
for each route that moves.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from canary.engine.errors import Rejected
from canary.engine.split import Split, split

from .destinations import DestinationNames, Pair
from .marks import Mark

Entry = dict[str, Any]

WHOLE = 100
"""The weight of a single destination once it is written."""
LARGEST = 2**31 - 1
"""What the weights of one route may sum up to: Istio adds them as int32."""


@dataclass(frozen=True)
class Order:
    """The desired weights of one route."""

    pair: Pair
    percent: int
    names: DestinationNames
    namespace: str
    """Of the VirtualService."""
    tidy: bool = True
    """At 100 per cent, give the route its shape back."""

    def version(self, entry: Mapping[str, Any]) -> str:
        return self.names.version(entry.get("destination") or {}, self.namespace)


def weighed(entries: Sequence[Mapping[str, Any]]) -> list[int]:
    """Effective weights: a single destination has everything, among several an absent weight is 0."""
    if len(entries) == 1:
        return [int(entries[0].get("weight") or WHOLE)]
    return [int(entry.get("weight") or 0) for entry in entries]


def send(route: Mapping[str, Any], mark: Mark | None, order: Order) -> tuple[list[Entry], Mark | None]:
    """The route's destinations with `percent` of the pair at the canary, and what to remember of the route.

    Raises Rejected for a version that stands twice, unless all traffic goes back to stable.
    """
    entries: list[Entry] = deepcopy(list(route["route"]))
    if mark is not None and not mark.of(order.pair):
        entries, mark = _settled(entries, mark, order), None
    if _twice(entries, order):
        return _lowered(entries, order), None
    mark = mark or Mark(*order.pair)
    mark = _written_out(entries, mark, order)
    mark = _scaled_back(entries, mark, order)
    mark = _shared(entries, mark, order)
    if order.percent == 0 or (order.percent == 100 and order.tidy):
        return _closed(entries, mark, order), None
    return entries, mark


def entry_of(route: Mapping[str, Any], order: Order, version: str) -> Entry:
    """The version's destination; where it has none, in the shape of the other one's."""
    entries: list[Entry] = route["route"]
    other = order.pair.stable if version == order.pair.canary else order.pair.canary
    for name in (version, other):
        found = [entry for entry in entries if order.version(entry) == name]
        if found:
            made = {field: deepcopy(value) for field, value in found[0].items() if field != "weight"}
            if name != version:
                made["destination"] = order.names.aimed(made["destination"], version, order.namespace)
            return made
    raise AssertionError("a route that moves has one of the pair")


def _places(entries: Sequence[Entry], order: Order, version: str) -> list[int]:
    return [index for index, entry in enumerate(entries) if order.version(entry) == version]


def _twice(entries: Sequence[Entry], order: Order) -> bool:
    """Whether a version of the pair stands several times; only the way down can do with that."""
    for version in order.pair:
        if len(_places(entries, order, version)) > 1:
            if order.percent:
                raise Rejected(
                    f"a route has several destinations for {version}; it isn't clear which one should move"
                )
            return True
    return False


def _lowered(entries: list[Entry], order: Order) -> list[Entry]:
    """All that the canary's destinations have goes to the first one of stable."""
    if not _places(entries, order, order.pair.stable):
        entries.append({**entry_of({"route": entries}, order, order.pair.stable), "weight": 0})
    stable = entries[_places(entries, order, order.pair.stable)[0]]
    for index in _places(entries, order, order.pair.canary):
        if entries[index].get("weight"):
            stable["weight"] = int(stable.get("weight") or 0) + int(entries[index]["weight"])
            entries[index]["weight"] = 0
    return entries


def _written_out(entries: list[Entry], mark: Mark, order: Order) -> Mark:
    """Each of the pair gets a destination with a weight in writing."""
    if len(entries) == 1 and not entries[0].get("weight"):
        mark = replace(mark, implied="zero" if "weight" in entries[0] else "absent")
        entries[0]["weight"] = WHOLE
    for version in order.pair:
        places = _places(entries, order, version)
        if not places:
            entries.append({**entry_of({"route": entries}, order, version), "weight": 0})
            mark = replace(mark, added=mark.added or version)
        elif "weight" not in entries[places[0]]:
            entries[places[0]]["weight"] = 0
            mark = replace(mark, absent=True)
    return mark


def _scaled_back(entries: list[Entry], mark: Mark, order: Order) -> Mark:
    """Removes the factor, unless another client changed weights so that it doesn't divide them any more."""
    pair, others = _apart(entries, order)
    total = sum(entry["weight"] for entry in pair)
    if all(weight % mark.factor == 0 for weight in (total, *(int(entry.get("weight") or 0) for entry in others))):
        pair[0]["weight"], pair[1]["weight"] = total // mark.factor, 0
        for entry in others:
            _multiply(entry, 1, mark.factor)
    return replace(mark, factor=1)


def _shared(entries: list[Entry], mark: Mark, order: Order) -> Mark:
    """Writes the pair's weights; all of the route grow by one whole factor where only that makes it exact."""
    (stable, canary), others = _apart(entries, order)
    total = int(stable["weight"]) + int(canary["weight"])
    shared = split(total, order.percent)
    whole = total + sum(int(entry.get("weight") or 0) for entry in others)
    if shared.factor > 1 and whole * shared.factor > LARGEST:
        shared = _nearest(total, order.percent)
    stable["weight"], canary["weight"] = shared.stable, shared.canary
    for entry in others:
        _multiply(entry, shared.factor, 1)
    return replace(mark, factor=shared.factor)


def _nearest(total: int, percent: int) -> Split:
    """Beside weights so large that a factor doesn't fit: never 0 for either."""
    if total < 2:
        raise Rejected(f"a route's weights are too large to give {percent}% of so small a share to the canary")
    canary = min(max(round(total * percent / 100), 1), total - 1)
    return Split(total - canary, canary)


def _multiply(entry: Entry, by: int, over: int) -> None:
    if entry.get("weight"):
        entry["weight"] = int(entry["weight"]) * by // over


def _apart(entries: list[Entry], order: Order) -> tuple[tuple[Entry, Entry], list[Entry]]:
    """Stable and canary, and all others; once each of the pair stands there exactly once."""
    by_version = {order.version(entry): entry for entry in entries}
    pair = by_version[order.pair.stable], by_version[order.pair.canary]
    return pair, [entry for entry in entries if not any(entry is one for one in pair)]


def _settled(entries: list[Entry], mark: Mark, order: Order) -> list[Entry]:
    """Ends what an earlier pair left open, where that is over: one of the two has nothing."""
    earlier = replace(order, pair=Pair(mark.stable, mark.canary))
    places = [_places(entries, earlier, version) for version in (mark.stable, mark.canary)]
    weights = [sum(int(entries[place].get("weight") or 0) for place in some) for some in places]
    if any(len(some) != 1 for some in places) or all(weights):
        return entries
    return _closed(entries, mark, replace(earlier, percent=100 if weights[1] else 0))


def _closed(entries: list[Entry], mark: Mark, order: Order) -> list[Entry]:
    """One of the pair has nothing: the shape of before, with the other one in the user's place."""
    (stable, canary), _ = _apart(entries, order)
    winner, loser = (canary, stable) if order.percent else (stable, canary)
    if mark.added == order.version(loser):
        entries = [entry for entry in entries if entry is not loser]
    elif mark.added == order.version(winner):
        entries = [entry for entry in entries if entry is not winner]
        loser.update(destination=winner["destination"], weight=winner["weight"])
        winner = loser
    elif mark.absent:
        loser.pop("weight")
    if mark.implied and len(entries) == 1:
        winner.update(weight=0) if mark.implied == "zero" else winner.pop("weight")
    return entries
