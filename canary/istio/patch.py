"""The JSON patch (RFC 6902) between a VirtualService and the same with other weights: as little as there is.

Every patch tests the resourceVersion, and the whole destination (host, subset, port) of each entry that it
touches, so that it never lands on something that wasn't read. `writing.py` makes the two sides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import managed
from .scope import ref_of

Data = Mapping[str, Any]
Operation = dict[str, Any]

_NOTHING: Data = {}


@dataclass(frozen=True)
class Patch:
    """For one VirtualService."""

    namespace: str
    name: str
    operations: list[Operation]
    """The body of a request of type application/json-patch+json."""


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
    """Those that stand right in front of `place` make way for the ones that are wanted."""
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
    """The entry without which the others stand most nearly as they shall; of equal ones the last."""
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
