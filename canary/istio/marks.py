"""What we have to remember of a route while it is on its way, in one annotation of its VirtualService.

The annotation has an entry for each route that moves, and goes with the last of them. Routes that are wholly
ours are known by their name (`managed.py`).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from typing import Any, Literal

from .destinations import Pair

ANNOTATION = "canary-controller.dev/routes"


@dataclass(frozen=True)
class Mark:
    """One route that we move."""

    stable: str
    canary: str
    added: str | None = None
    """The version whose destination was added."""
    implied: Literal["absent", "zero"] | None = None
    """How the weight of a single destination was written, which has everything whatever it says."""
    absent: bool = False
    """One of the pair had no weight in writing."""
    factor: int = 1
    """What all weights of the route were multiplied by."""
    mirror: bool = False
    """`mirror` and `mirrorPercentage` are ours."""

    def of(self, pair: Pair) -> bool:
        """Whether it speaks of this pair."""
        return (self.stable, self.canary) == (pair.stable, pair.canary)


_DEFAULTS = asdict(Mark("", ""))


def keys(kind: str, routes: Iterable[Mapping[str, Any]]) -> list[str]:
    """What routes are called in the annotation: by name, else by what they match; never by their place.

    Routes that are called the same are numbered in their order.
    """
    seen: Counter[str] = Counter()
    found = []
    for route in routes:
        called = f"{kind}/{_called(route)}"
        seen[called] += 1
        found.append(called if seen[called] == 1 else f"{called}#{seen[called]}")
    return found


def _called(route: Mapping[str, Any]) -> str:
    if route.get("name"):
        return str(route["name"])
    match = json.dumps(route.get("match") or [], sort_keys=True)
    return f"match:{sha256(match.encode()).hexdigest()[:8]}" if route.get("match") else "any"


def read(virtual_service: Mapping[str, Any]) -> dict[str, Mark]:
    """Marks by key; what can't be read counts as not there."""
    annotations = (virtual_service.get("metadata") or {}).get("annotations") or {}
    try:
        entries = json.loads(annotations.get(ANNOTATION, "{}"))
        return {name: _mark(entry) for name, entry in entries.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def put(virtual_service: dict[str, Any], marks: Mapping[str, Mark]) -> None:
    """Writes the annotation in place, or takes it away."""
    metadata = virtual_service.setdefault("metadata", {})
    others = {name: text for name, text in (metadata.get("annotations") or {}).items() if name != ANNOTATION}
    entries = {name: _written(mark) for name, mark in sorted(marks.items())}
    mine = {ANNOTATION: json.dumps(entries, separators=(",", ":"))} if entries else {}
    if others or mine:
        metadata["annotations"] = {**others, **mine}
    else:
        metadata.pop("annotations", None)


def _mark(entry: Mapping[str, Any]) -> Mark:
    mark = Mark(**{field.name: entry[field.name] for field in fields(Mark) if field.name in entry})
    if type(mark.factor) is not int or mark.factor < 1:
        raise ValueError("a factor is a whole number from 1")
    return mark


def _written(mark: Mark) -> dict[str, Any]:
    return {name: value for name, value in asdict(mark).items() if value != _DEFAULTS[name]}
