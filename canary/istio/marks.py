"""What we have to remember of a route while it is on its way, in one annotation of its VirtualService.

The annotation has an entry for each route that moves, and goes with the last of them. Routes that are wholly
ours are known by their name (`managed.py`).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

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
    """How the weight of a single destination was written, which has all requests with any number."""
    absent: bool = False
    """One of the pair had no weight in writing."""
    factor: Annotated[int, Field(ge=1)] = 1
    """What all weights of the route were multiplied by."""
    mirror: bool = False
    """`mirror` and `mirrorPercentage` are ours."""
    cookies: bool = False
    """The cookies that the pair's destinations set are ours."""

    def of(self, pair: Pair) -> bool:
        """Whether it speaks of this pair."""
        return (self.stable, self.canary) == pair


_MARKS = TypeAdapter(dict[str, Mark])


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
        return _MARKS.validate_json(annotations.get(ANNOTATION, "{}"), strict=True)
    except ValidationError:
        return {}


def put(virtual_service: dict[str, Any], marks: Mapping[str, Mark]) -> None:
    """Writes the annotation in place, or takes it away."""
    metadata = virtual_service.setdefault("metadata", {})
    others = {name: text for name, text in (metadata.get("annotations") or {}).items() if name != ANNOTATION}
    entries = _MARKS.dump_python(dict(sorted(marks.items())), exclude_defaults=True)
    mine = {ANNOTATION: json.dumps(entries, separators=(",", ":"))} if entries else {}
    if others or mine:
        metadata["annotations"] = {**others, **mine}
    else:
        metadata.pop("annotations", None)
