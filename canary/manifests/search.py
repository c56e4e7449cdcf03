"""Finds the field that a person names, in full (`canary.spec.analysis.steps`) or in short (`analysis.steps`)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from canary.api.kinds import KINDS
from canary.api.model import Model
from canary.engine.errors import Invalid
from canary.engine.nearest import did_you_mean, nearest

from .fields import Known, inside, known, ways

Way = tuple[str, ...]
ALIKE = 0.8
"""How like a field's name a word must be for a guess: there are hundreds of fields."""


@dataclass(frozen=True)
class Found:
    """A field of a kind, or with an empty way the kind itself."""

    kind: str
    way: Way
    field: Known | None
    model: type[Model] | None
    """Whose fields are inside."""

    def __str__(self) -> str:
        return ".".join((self.kind[:1].lower() + self.kind[1:], *self.way))


def find(text: str) -> Found:
    """The field of this name. Raises Invalid for one that isn't there, with the nearest one."""
    parts = tuple(part for part in re.sub(r"\[[^\]]*\]", "", text).split(".") if part) or ("",)
    kind = next((kind for kind in KINDS if parts and kind.lower() == parts[0].lower()), None)
    if kind is not None:
        return _below(kind, parts[1:])
    found = next((each for each in _everything() if _ends(each, parts)), None)
    if found is None:
        raise Invalid(f"there is no field {text!r}{_meant(parts)}")
    return _found(*found)


def _below(kind: str, parts: Way) -> Found:
    way: Way = ()
    for part in parts:
        model = inside(KINDS[kind], way)
        names = {name.lower(): name for name in known(model)} if model is not None else {}
        if part.lower() not in names:
            hint = did_you_mean(part, names.values())
            raise Invalid(f"{_found(kind, way)} has no field {part!r}{hint}")
        way = (*way, names[part.lower()])
    return _found(kind, way)


def _found(kind: str, way: Way) -> Found:
    if not way:
        return Found(kind, way, None, KINDS[kind])
    holder = inside(KINDS[kind], way[:-1])
    field = known(holder)[way[-1]] if holder is not None else None
    return Found(kind, way, field, field.model if field is not None else None)


@cache
def _everything() -> tuple[tuple[str, Way], ...]:
    """(kind, way) of all fields: a Canary's before others', what is written before status, short before long."""
    every = [(kind, way) for kind, model in KINDS.items() for way in ways(model)]
    order = list(KINDS)
    return tuple(sorted(every, key=lambda each: (each[1][0] == "status", order.index(each[0]), len(each[1]))))


def _ends(candidate: tuple[str, Way], parts: Way) -> bool:
    way = candidate[1]
    return bool(parts) and tuple(part.lower() for part in way[-len(parts) :]) == tuple(p.lower() for p in parts)


def _meant(parts: Way) -> str:
    """The nearest of all fields, compared on as many of their last names as were given."""
    tails: dict[str, str] = {}
    for kind, way in _everything():
        tails.setdefault(".".join(way[-len(parts) :]), str(_found(kind, way)))
    near = nearest(".".join(parts), (*tails, *KINDS), ALIKE)
    if near is None or nearest(parts[-1], [near.rpartition(".")[2]], ALIKE) is None:
        return ""
    return f"; did you mean {tails.get(near, near)}?"


def tree(model: type[Model], recursive: bool, depth: int = 0) -> Iterator[tuple[int, Known]]:
    """(depth, field) of all fields of a model, with the fields of fields where wanted."""
    for field in known(model).values():
        yield depth, field
        if recursive and field.model is not None:
            yield from tree(field.model, recursive, depth + 1)
