"""What pydantic finds wrong with a document, as sentences of ours: what must be, and what was probably meant."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from canary.api.model import Model
from canary.engine.checks import Field, Problem, dotted
from canary.engine.nearest import did_you_mean, nearest

from .examples import either, in_full
from .fields import inside, known, ways

MUST = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
    "tuple": "must be a list",
    "dict": "must be a mapping",
    "model": "must be a mapping",
    "datetime": "must be a time such as 2030-01-31T12:00:00Z",
}


def sentences(error: ValidationError, model: type[Model]) -> Iterator[Problem]:
    for each in error.errors(include_url=False):
        way = tuple(part for part in each["loc"] if part != "[key]")
        yield Problem(way, _sentence(each, way, model))


def _sentence(error: Any, way: Field, model: type[Model]) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    match kind:
        case "extra_forbidden":
            return "unknown field" + _meant(way, model)
        case "missing":
            return "is missing"
        case "literal_error" | "enum":
            return _not_one_of(way, value, re.findall(r"'([^']*)'", context["expected"]))
        case "value_error":
            return str(context["error"])
        case "int_parsing_size" | "finite_number":
            return "must be a number" if str(value) == "nan" else f"{shown(value)} is too large"
    return (
        _out_of_bounds(error) or _wrong_type(way, kind, value) or str(error["msg"]).replace("Input should", "should")
    )


def _out_of_bounds(error: Any) -> str | None:
    context, value = error.get("ctx", {}), error["input"]
    match error["type"]:
        case "less_than_equal":
            return f"must be at most {_plain(context['le'])}, not {shown(value)}"
        case "greater_than_equal":
            return f"must be at least {_plain(context['ge'])}, not {shown(value)}"
        case "string_too_short":
            return "is empty"
        case "string_too_long":
            return f"must be at most {context['max_length']} characters long, not {len(value)}"
        case "too_long":
            return f"must have at most {context['max_length']} entries, not {len(value)}"
    return None


def _wrong_type(way: Field, kind: str, value: Any) -> str | None:
    must = MUST.get(kind.partition("_")[0])
    if must is None:
        return None
    match kind:
        case "string_type" if isinstance(value, bool):
            return f"{must}, and YAML reads this as {shown(value)}; write it in quotes"
        case "string_type" if isinstance(value, int | float):
            hint = "; write it in quotes"
        case "tuple_type" | "dict_type" | "model_type" | "model_attributes_type":
            hint = in_full(way, value, listed=kind == "tuple_type")
        case _:
            hint = ""
    return f"{must}, not {shown(value)}{hint}"


def _not_one_of(way: Field, value: Any, expected: list[str]) -> str:
    if len(expected) == 1:
        return f"must be {expected[0]}, not {shown(value)}"
    allowed = f"{', '.join(expected[:-1])} or {expected[-1]}"
    return f"{shown(value)} is not {allowed}{either(way, value) or did_you_mean(str(value), expected)}"


def _meant(way: Field, model: type[Model]) -> str:
    """What an unknown field was meant to be: one of the same block, else one of this name elsewhere."""
    name, block = str(way[-1]), inside(model, way[:-1])
    if block is None:
        return ""
    near = nearest(name, known(block))
    if near is not None:
        return f"; did you mean {near}?"
    elsewhere = next((each for each in ways(model) if each[-1] == name and each[0] != "status"), None)
    if elsewhere is not None:
        return f"; did you mean {dotted(elsewhere)}?"
    names = [each for each in known(block) if each != "status"]
    return f"; there are {', '.join(names)}" if len(names) <= 8 else ""


def _plain(limit: float) -> str:
    return f"{limit:.12g}"


def shown(value: Any) -> str:
    """A value as its author would know it, cut where it is long."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print whole numbers of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."
