"""What the models' fields are called in a manifest, what they hold and what they mean.

`validation.py` asks what an unknown field was meant to be; `search.py` finds a field for `canary explain`.
"""

import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from canary.api.kinds import KINDS
from canary.api.model import Model

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
class Known:
    """One field."""

    name: str
    """As a manifest writes it."""
    kind: str
    """What it holds, in words."""
    required: bool
    default: str
    """As a manifest would write it; empty where there is none."""
    about: str
    model: type[Model] | None
    """What is inside, where that has fields of its own."""
    many: Many = ""
    """Whether it holds several."""


@cache
def known(model: type[Model]) -> dict[str, Known]:
    """The fields of a model, in the order in which it declares them."""
    fields = [_known(name, info) for name, info in model.model_fields.items()]
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


def ways(model: type[Model], way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to each field below the model, those nearby first."""
    fields = known(model).values()
    yield from ((*way, field.name) for field in fields)
    for field in fields:
        if field.model is not None:
            yield from ways(field.model, (*way, field.name))


def _known(name: str, info: FieldInfo) -> Known:
    kind, model, many = _shape(info.annotation)
    about = " ".join((info.description or "").split())
    return Known(
        info.alias or name, kind + _bounds(info.metadata), info.is_required(), _default(info), about, model, many
    )


def _shape(annotation: Any) -> tuple[str, type[Model] | None, Many]:
    """(in words, the model inside, whether there are several)."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        kind, model, many = _shape(arguments[0])
        return kind + _bounds(arguments[1:]), model, many
    if origin in (Union, types.UnionType):
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
