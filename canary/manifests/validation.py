"""A document to a resource, and to all that is wrong with its shape; `sentences.py` has the words.

The models aren't strict, because they are also read from what an earlier version has stored. So `loose` looks for
scalars that pydantic accepts and the API server refuses: `"2"` and `true` for numbers, `"yes"` and
1 for switches. `partial` reads what it can of a document in which something is wrong, so that its meaning is checked
beside its shape and one round shows all problems.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from copy import deepcopy
from math import isfinite
from typing import Any, Literal

from pydantic import ValidationError

from canary.api.canary import API_VERSION
from canary.api.duration import parse
from canary.api.judge import JudgeSpec
from canary.api.kinds import KINDS, Resource
from canary.api.model import Model
from canary.engine.did_you_mean import did_you_mean
from canary.engine.validation import Field, Problem

from .fields import KnownField, at, known
from .sentences import MUST, meant, sentences, shown

FLAGGER = "flagger.app/"
_SERVERS = (
    *("uid", "resourceVersion", "creationTimestamp", "managedFields", "selfLink", "ownerReferences"),
    *("finalizers", "generateName", "deletionGracePeriodSeconds"),
)
"""What the API server writes into metadata; `kubectl get -o yaml` shows it."""


def resource(data: Any, extra: Literal["forbid", "ignore"] = "forbid") -> tuple[Resource | None, list[Problem]]:
    """The resource that the data describe, or None; and what is wrong with them.

    A cluster may keep fields that only a newer canary knows: of an object they are ignored, in a file forbidden.
    """
    if not isinstance(data, dict):
        return None, [Problem((), f"must be a mapping with apiVersion, kind, metadata and spec, not {shown(data)}")]
    problems = [*_version(data), *_kind(data)]
    kind = data.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        return None, problems
    slips = list(loose(own(data), model))
    problems += slips
    problems += list(forgotten(own(data, nulls=True), model) if extra == "forbid" else unpruned(own(data), model))
    try:
        found: Any = model.model_validate(own(data), extra=extra, by_alias=True, by_name=False)
    except ValidationError as error:
        said = {each.field for each in slips}
        return None, [*problems, *(each for each in sentences(error, model) if each.field not in said)]
    return (None if any(each.field != ("apiVersion",) for each in problems) else found), problems


def _version(data: dict[str, Any]) -> Iterator[Problem]:
    given = data.get("apiVersion")
    field: Field = ("apiVersion",)
    if given is None:
        yield Problem(field, f"is missing; write apiVersion: {API_VERSION}")
    elif str(given).startswith(FLAGGER):
        yield Problem(
            field,
            f"{given} is Flagger's; change this line to apiVersion: {API_VERSION}, or run canary import flagger",
        )
    elif given != API_VERSION:
        hint = did_you_mean(str(given), [API_VERSION]) or f"; write apiVersion: {API_VERSION}"
        yield Problem(field, f"{shown(given)} is unknown{hint}")


def _kind(data: dict[str, Any]) -> Iterator[Problem]:
    given = data.get("kind")
    if given is None:
        yield Problem(("kind",), f"is missing; write one of {', '.join(KINDS)}")
    elif not isinstance(given, str):
        yield Problem(("kind",), f"must be one of {', '.join(KINDS)}, not {shown(given)}")
    elif given not in KINDS:
        hint = did_you_mean(str(given), KINDS) or f"; there are {', '.join(KINDS)}"
        yield Problem(("kind",), f"{shown(given)} is unknown{hint}")


def own(data: dict[str, Any], nulls: bool = False) -> Any:
    """What the author wrote: without nulls, as Kubernetes drops them, and without what a server adds."""
    data = {key: value for key, value in data.items() if key != "status"}
    metadata = data.get("metadata")
    if isinstance(metadata, dict):
        data["metadata"] = _named(data) | {key: value for key, value in metadata.items() if key not in _SERVERS}
    return data if nulls else _without_nulls(data)


def _named(data: dict[str, Any]) -> dict[str, Any]:
    """An action is created once, so that the API server may make up its name."""
    prefix = data["metadata"].get("generateName")
    return {"name": prefix} if prefix and data.get("kind") == "CanaryAction" else {}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


ROUNDS = 20
"""A sample may bring up what is inside it, so no more than models are deep."""


def partial(data: Any) -> Resource | None:
    """The resource without what can't be read, with samples for required fields; None where its kind isn't known."""
    kind = data.get("kind") if isinstance(data, dict) else None
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        return None
    left = deepcopy(own(data))
    for _ in range(ROUNDS):
        try:
            return model.model_validate(left, extra="forbid", by_alias=True, by_name=False)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                _mend(left, tuple(part for part in each["loc"] if part != "[key]"), model)
    return None


def follows(field: Field, bad: Iterable[Field], written: Collection[Field]) -> bool:
    """Whether a problem at this field may only be there because something else can't be read.

    That is in the same field, or was perhaps meant to be a field of the same block that is absent.
    """
    return any(
        _either_within(field, each) or (field not in written and field[: len(each) - 1] == each[:-1]) for each in bad
    )


def _either_within(one: Field, other: Field) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def _mend(data: Any, way: Field, model: type[Model]) -> None:
    *blocks, last = way
    holder = data
    for part in blocks:
        try:
            holder = holder[part]
        except (KeyError, IndexError, TypeError):  # mended already in this round
            return
    field = at(model, tuple(blocks) if isinstance(last, int) else way)
    if isinstance(last, int):
        holder[last] = _sample(field) if field is not None else "x"
    elif field is not None and field.required:
        holder[last] = _sample(field)
    else:
        holder.pop(last, None)


def _sample(field: KnownField) -> Any:
    kind = field.kind.removeprefix("[]")
    if field.model is not None or field.many == "mapping":
        return {}
    if " | " in kind:
        return kind.partition(" | ")[0]
    lowest = re.search(r"\d+", kind)
    samples = {"integer": int(lowest[0]) if lowest else 0, "number": 0, "boolean": False, "duration": "1m"}
    return samples.get(kind.partition(" ")[0], "x")


UNQUOTED = "; write it without quotes"
_PYDANTIC = {"boolean": "bool", "integer": "int", "number": "float"}
"""What pydantic calls the types that `fields.py` has in words."""


def loose(data: Any, model: type[Model], way: Field = ()) -> Iterator[Problem]:
    """A problem for each scalar of another type than its field's."""
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


def forgotten(data: Any, model: type[Model], way: Field = ()) -> Iterator[Problem]:
    """A problem for each unknown field without a value, which Kubernetes drops: `hold 2m` may lack a colon."""
    fields = known(model)
    for name, value in data.items():
        field = fields.get(name)
        here = (*way, name)
        if field is None:
            if value is None:
                yield Problem(here, f"unknown field{_without_colon(name, fields) or meant((name,), model)}")
        elif field.model is not None:
            yield from _within(value, field.model, here, mapping=field.many == "mapping")


def unpruned(data: Any, model: type[Model], way: Field = ()) -> Iterator[Problem]:
    """A problem for each unknown field of a judge: the API server keeps these, and drops or refuses all others."""
    for name, field in known(model).items():
        value, here = data.get(name), (*way, name)
        if field.model is None or field.many or not isinstance(value, dict):
            continue
        if field.model is JudgeSpec:
            for each in sorted(value.keys() - known(JudgeSpec).keys()):
                yield Problem((*here, each), "unknown field" + meant((*here, each), KINDS["Canary"]))
        yield from unpruned(value, field.model, here)


def _within(value: Any, model: type[Model], way: Field, mapping: bool) -> Iterator[Problem]:
    """Of what is in a field: one block, a list of them, or several by name, none of which may be empty."""
    if isinstance(value, list):
        items: Iterator[tuple[str | int, Any]] = iter(enumerate(value))
    elif isinstance(value, dict) and mapping:
        yield from (Problem((*way, name), "has no value") for name, inner in value.items() if inner is None)
        items = iter(value.items())
    else:
        yield from forgotten(value, model, way) if isinstance(value, dict) else ()
        return
    for key, inner in items:
        if isinstance(inner, dict):
            yield from forgotten(inner, model, (*way, key))


def _without_colon(name: str, fields: Collection[str]) -> str:
    word, _, rest = name.partition(" ")
    return f"; a colon is missing, did you mean {word}: {rest.strip()}?" if word in fields and rest.strip() else ""


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
    """A suggestion for a number with a unit, if the unit is that of the field."""
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
