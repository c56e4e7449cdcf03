"""A document to a resource, with each of pydantic's errors as one sentence of ours."""

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import ValidationError

from canary.api.canary import API_VERSION
from canary.api.kinds import KINDS, Resource
from canary.api.model import Model
from canary.engine.checks import Field, Problem, Severity, dotted
from canary.engine.nearest import did_you_mean, nearest

from .fields import inside, known, ways

FLAGGER = "flagger.app/"
UNREAD = ("AlertProvider",)
"""Kinds of Flagger's that may stand in a file and aren't acted on."""
_SERVERS = (
    *("uid", "resourceVersion", "creationTimestamp", "managedFields", "selfLink", "ownerReferences"),
    *("finalizers", "generateName", "deletionGracePeriodSeconds"),
)
"""What the API server writes into metadata; `kubectl get -o yaml` shows it."""

_MUST = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
    "tuple": "must be a list",
    "dict": "must be a mapping",
    "model": "must be a mapping",
    "datetime": "must be a time such as 2030-01-31T12:00:00Z",
}


def resource(data: Any, extra: Literal["forbid", "ignore"] = "forbid") -> tuple[Resource | None, list[Problem]]:
    """The resource that the data describe, or None; and what is wrong with them.

    A cluster may keep fields that only a newer canary knows: of an object they are ignored, in a file forbidden.
    """
    if not isinstance(data, dict):
        return None, [Problem((), f"must be a mapping with apiVersion, kind, metadata and spec, not {_shown(data)}")]
    problems = [*_version(data), *_kind(data)]
    model = KINDS.get(str(data.get("kind")))
    if model is None:
        return None, problems
    problems += _switches(_own(data), model)
    try:
        found: Any = model.model_validate(_own(data), extra=extra, by_alias=True, by_name=False)
    except ValidationError as error:
        return None, [*problems, *_sentences(error, model)]
    return (None if any(each.field != ("apiVersion",) for each in problems) else found), problems


def _version(data: dict[str, Any]) -> Iterator[Problem]:
    given = data.get("apiVersion")
    field: Field = ("apiVersion",)
    if given is None:
        yield Problem(field, f"is missing; write apiVersion: {API_VERSION}")
    elif str(given).startswith(FLAGGER):
        yield Problem(field, f"{given} is Flagger's; change this line to apiVersion: {API_VERSION}")
    elif given != API_VERSION:
        hint = did_you_mean(str(given), [API_VERSION]) or f"; write apiVersion: {API_VERSION}"
        yield Problem(field, f"{_shown(given)} is unknown{hint}")


def _kind(data: dict[str, Any]) -> Iterator[Problem]:
    given = data.get("kind")
    if given is None:
        yield Problem(("kind",), f"is missing; write one of {', '.join(KINDS)}")
    elif given in UNREAD:
        yield Problem(("kind",), f"{given} isn't acted on by this build", Severity.WARNING)
    elif given not in KINDS:
        hint = did_you_mean(str(given), KINDS) or f"; there are {', '.join(KINDS)}"
        yield Problem(("kind",), f"{_shown(given)} is unknown{hint}")


def _switches(data: Any, model: type[Model], way: Field = ()) -> Iterator[Problem]:
    """`true` where a number is wanted: pydantic would take it for 1."""
    for name, field in known(model).items():
        value = data.get(name)
        several = isinstance(value, list)
        for index, each in enumerate(value if several else [value]):
            here = (*way, name, index) if several else (*way, name)
            if isinstance(each, bool) and field.kind.lstrip("[]").startswith(("integer", "number")):
                yield Problem(here, f"must be a number, not {_shown(each)}")
            elif isinstance(each, dict) and field.model is not None and field.many != "mapping":
                yield from _switches(each, field.model, here)


def _own(data: dict[str, Any]) -> Any:
    """What the author wrote: without nulls, as Kubernetes drops them, and without what a server adds."""
    data = {key: value for key, value in data.items() if key != "status"}
    metadata = data.get("metadata")
    if isinstance(metadata, dict):
        data["metadata"] = _named(data) | {key: value for key, value in metadata.items() if key not in _SERVERS}
    return _without_nulls(data)


def _named(data: dict[str, Any]) -> dict[str, Any]:
    """An action is created once, so that the API server may make up its name."""
    prefix = data["metadata"].get("generateName")
    return {"name": prefix} if prefix and data.get("kind") == "CanaryAction" else {}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _sentences(error: ValidationError, model: type[Model]) -> Iterator[Problem]:
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
            return _not_one_of(value, re.findall(r"'([^']*)'", context["expected"]))
        case "value_error":
            return str(context["error"])
        case "int_parsing_size" | "finite_number":
            return "must be a number" if str(value) == "nan" else f"{_shown(value)} is too large"
    return _out_of_bounds(error) or _wrong_type(kind, value) or str(error["msg"]).replace("Input should", "should")


def _out_of_bounds(error: Any) -> str | None:
    context, value = error.get("ctx", {}), error["input"]
    match error["type"]:
        case "less_than_equal":
            return f"must be at most {_plain(context['le'])}, not {_shown(value)}"
        case "greater_than_equal":
            return f"must be at least {_plain(context['ge'])}, not {_shown(value)}"
        case "string_too_short":
            return "is empty"
        case "string_too_long":
            return f"must be at most {context['max_length']} characters long, not {len(value)}"
        case "too_long":
            return f"must have at most {context['max_length']} entries, not {len(value)}"
    return None


def _wrong_type(kind: str, value: Any) -> str | None:
    must = _MUST.get(kind.partition("_")[0])
    if must is None:
        return None
    quotes = "; write it in quotes" if kind == "string_type" and isinstance(value, bool | int | float) else ""
    return f"{must}, not {_shown(value)}{quotes}"


def _not_one_of(value: Any, expected: list[str]) -> str:
    if len(expected) == 1:
        return f"must be {expected[0]}, not {_shown(value)}"
    allowed = f"{', '.join(expected[:-1])} or {expected[-1]}"
    return f"{_shown(value)} is not {allowed}{did_you_mean(str(value), expected)}"


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


def _shown(value: Any) -> str:
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
