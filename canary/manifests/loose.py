"""Scalars of another type than their field's that pydantic would take all the same, and the API server refuses:
`"2"` and `true` for numbers, `"yes"` and 1 for switches.

The models themselves aren't strict: they are also read from what an earlier version has stored.
"""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from canary.api.duration import parse
from canary.api.model import Model
from canary.engine.checks import Field, Problem

from .fields import known
from .sentences import MUST, shown

UNQUOTED = "; write it without quotes"
_PYDANTIC = {"boolean": "bool", "integer": "int", "number": "float"}
"""What pydantic calls the types that `fields.py` has in words."""


def loose(data: Any, model: type[Model], way: Field = ()) -> Iterator[Problem]:
    """A problem for each of them."""
    for name, field in known(model).items():
        value = data.get(name)
        several = isinstance(value, list)
        for index, each in enumerate(value if several else [value]):
            here = (*way, name, index) if several else (*way, name)
            sentence = _of_another_type(name, each, field.kind.removeprefix("[]").partition(" ")[0])
            if sentence:
                yield Problem(here, sentence)
            elif isinstance(each, dict) and field.model is not None and field.many != "mapping":
                yield from loose(each, field.model, here)


def _of_another_type(name: str, value: Any, kind: str) -> str:
    """What is wrong with a scalar where a number or a switch is due; empty where nothing is."""
    match kind, value:
        case "boolean", str():
            hint = UNQUOTED if value.lower() in ("true", "false", "yes", "no", "on", "off") else ""
        case "boolean", int() | float() if not isinstance(value, bool):
            hint = f"; did you mean {str(bool(value)).lower()}?" if value in (0, 1) else ""
        case "integer" | "number", str():
            hint = UNQUOTED if _is_number(value) else _counted(name, value)
        case "integer" | "number", bool():
            hint = ""
        case _:
            return ""
    return f"{MUST[_PYDANTIC[kind]]}, not {shown(value)}{hint}"


def _counted(name: str, text: str) -> str:
    """What was meant by a number with a unit, where the unit is the field's own."""
    if share := re.fullmatch(r"(\d+(\.\d+)?) ?%", text):
        return f"; did you mean {share[1]}?"
    if not name.endswith("Seconds"):
        return ""
    try:
        return f"; did you mean {parse(text).total_seconds():g}?"
    except ValueError:
        return ""


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False
