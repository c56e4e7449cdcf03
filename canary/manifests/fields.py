"""What the models' fields are called in a manifest, what they hold and what they mean.

`validation.py` asks for a suggestion for an unknown field; `find` is for `canary explain`, and takes a field in full
(`canary.spec.analysis.steps`) or in short (`analysis.steps`).
"""

import re
import types
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from itertools import chain
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from canary.api.judge import SIGNED
from canary.api.kinds import KINDS
from canary.api.model import Model, descriptions
from canary.engine.did_you_mean import did_you_mean, nearest
from canary.engine.errors import Invalid

_WHAT = ("apiVersion", "kind")

Many = Literal["", "list", "mapping"]

_PLAIN: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    timedelta: "duration",
    datetime: "time",
    Any: "anything",
}


@dataclass(frozen=True)
class KnownField:
    holder: type[Model]
    """The model that has the field."""
    name: str
    """As a manifest writes it."""
    kind: str
    """What it holds, in words."""
    required: bool
    default: str
    """As a manifest would write it; empty where there is none."""
    model: type[Model] | None
    """What is inside, where that has fields of its own."""
    many: Many = ""
    """Whether it holds several."""

    @property
    def about(self) -> str:
        """What it means, in one line; empty where nothing is written about it."""
        return " ".join(descriptions(self.holder).get(self.name, "").split())


@cache
def known(model: type[Model]) -> dict[str, KnownField]:
    """The fields of a model, in the order in which it declares them."""
    fields = [_known(model, name, info) for name, info in model.model_fields.items()]
    if model in KINDS.values():  # objects that code makes have a default for these; in a file they are written
        fields = [replace(each, required=True, default="") if each.name in _WHAT else each for each in fields]
    return {field.name: field for field in fields}


def inside(model: type[Model], way: tuple[str | int, ...]) -> type[Model] | None:
    """The model at the end of the way; items of lists and entries of mappings are gone through."""
    here: type[Model] | None = model
    entry = False
    for part in way:
        if here is None:
            return None
        if isinstance(part, int) or entry:
            entry = False
            continue
        field = known(here).get(part)
        entry = field is not None and field.many == "mapping"
        here = None if field is None else field.model
    return here


def at(model: type[Model], way: tuple[str | int, ...]) -> KnownField | None:
    """The field at the end of the way."""
    holder = inside(model, way[:-1]) if way else None
    return known(holder).get(str(way[-1])) if holder is not None else None


@cache
def ways(model: type[Model], way: tuple[str, ...] = ()) -> tuple[tuple[str, ...], ...]:
    """The way to each field below the model, those nearby first."""
    fields = known(model).values()
    below = (ways(field.model, (*way, field.name)) for field in fields if field.model is not None)
    return (*((*way, field.name) for field in fields), *chain.from_iterable(below))


def _known(holder: type[Model], name: str, info: FieldInfo) -> KnownField:
    kind, model, many = _shape(info.annotation)
    named, worded = info.alias or name, _worded(kind, info.metadata)
    return KnownField(holder, named, worded, info.is_required(), _default(info), model, many)


def _shape(annotation: Any) -> tuple[str, type[Model] | None, Many]:
    """(in words, the model inside, whether there are several)."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        kind, model, many = _shape(arguments[0])
        return _worded(kind, arguments[1:]), model, many
    if origin in (Union, types.UnionType):
        if {int, str} <= set(arguments):
            return "string or integer", None, ""
        return _shape(next(each for each in arguments if each is not type(None)))
    if origin is tuple:
        kind, model, _ = _shape(arguments[0])
        return f"[]{kind}", model, "list"
    if origin is dict:
        kind, model, _ = _shape(arguments[1])
        return ("object" if arguments[1] is Any else f"map of {kind}"), model, "mapping"
    if origin is Literal:
        return " | ".join(str(each) for each in arguments), None, ""
    return _plain(annotation)


def _plain(annotation: Any) -> tuple[str, type[Model] | None, Many]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return "object", annotation, ""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " | ".join(annotation), None, ""
    return _PLAIN[annotation], None, ""


def _worded(kind: str, metadata: Collection[Any]) -> str:
    return ("per cent" if SIGNED in metadata else kind) + _bounds(metadata)


def _bounds(metadata: Iterable[Any]) -> str:
    limits = [each for more in metadata for each in (more.metadata if isinstance(more, FieldInfo) else [more])]
    low = next((each.ge for each in limits if hasattr(each, "ge")), None)
    high = next((each.le for each in limits if hasattr(each, "le")), None)
    if low is not None and high is not None and high <= 100:
        return f" {low}–{high}"
    return f" ≥ {low}" if low is not None else ""


def _default(info: FieldInfo) -> str:
    value = info.default
    if info.is_required() or info.default_factory is not None or value is None or isinstance(value, Model):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in ("", ()) else str(value)


Way = tuple[str, ...]
ALIKE = 0.8
"""How like a field's name a word must be for a guess: there are hundreds of fields."""


@dataclass(frozen=True)
class FoundField:
    """A field of a kind, or with an empty way the kind itself."""

    kind: str
    way: Way

    @property
    def field(self) -> KnownField | None:
        """None for the kind itself."""
        return at(KINDS[self.kind], self.way)

    @property
    def model(self) -> type[Model] | None:
        """Whose fields are inside."""
        return inside(KINDS[self.kind], self.way)

    def __str__(self) -> str:
        return ".".join((self.kind[:1].lower() + self.kind[1:], *self.way))


LIST = "; canary explain lists the kinds, and canary explain canary.spec the fields of one"


def find(text: str) -> FoundField:
    """The field of this name. Raises Invalid for one that isn't there, with the nearest one."""
    parts = tuple(part for part in re.sub(r"\[[^\]]*\]", "", text).split(".") if part) or ("",)
    kind = next((kind for kind in KINDS if kind.lower() == parts[0].lower()), None)
    if kind is not None:
        return _below(kind, parts[1:])
    found = next((each for each in _everything() if _lower(each.way[-len(parts) :]) == _lower(parts)), None)
    if found is None:
        raise Invalid(f"there is no field {text!r}{_meant(parts) or LIST}")
    return found


def _below(kind: str, parts: Way) -> FoundField:
    found = FoundField(kind, ())
    for part in parts:
        names = {name.lower(): name for name in known(found.model)} if found.model is not None else {}
        if part.lower() not in names:
            raise Invalid(f"{found} has no field {part!r}{did_you_mean(part, names.values())}")
        found = FoundField(kind, (*found.way, names[part.lower()]))
    return found


@cache
def _everything() -> tuple[FoundField, ...]:
    """All fields: what is written before status, a Canary's before others', short before long."""
    every = [FoundField(kind, way) for kind, model in KINDS.items() for way in ways(model)]
    order = list(KINDS)
    return tuple(sorted(every, key=lambda each: (each.way[0] == "status", order.index(each.kind), len(each.way))))


def _lower(parts: Way) -> Way:
    return tuple(part.lower() for part in parts)


def _meant(parts: Way) -> str:
    """The nearest of all fields, compared on as many of their last names as were given."""
    tails: dict[str, str] = {}
    for each in _everything():
        tails.setdefault(".".join(each.way[-len(parts) :]), str(each))
    near = nearest(".".join(parts), (*tails, *KINDS), ALIKE)
    if near is None or nearest(parts[-1], [near.rpartition(".")[2]], ALIKE) is None:
        return ""
    return f"; did you mean {tails.get(near, near)}?"


def tree(model: type[Model], recursive: bool, depth: int = 0) -> Iterator[tuple[int, KnownField]]:
    """(depth, field) of all fields of a model, with nested fields if requested."""
    for field in known(model).values():
        yield depth, field
        if recursive and field.model is not None:
            yield from tree(field.model, recursive, depth + 1)
