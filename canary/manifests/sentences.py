"""What pydantic finds wrong with a document, as sentences: the required value, a suggestion, and if a
word or a number stands for a block or a list, the field in full (`FORMS`)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from canary.api.model import Model
from canary.api.plan import Answer
from canary.engine.did_you_mean import did_you_mean, nearest
from canary.engine.pairs import IN_CLUSTER
from canary.engine.validation import Field, Problem, dotted
from canary.engine.validation.promql import SHORTER

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

_SIMPLE = {
    "missing": "is missing",
    "less_than_equal": "must be at most {le:.12g}, not {value}",
    "greater_than": "must be more than {gt:.12g}, not {value}",
    "less_than": "must be less than {lt:.12g}, not {value}",
    "greater_than_equal": "must be at least {ge:.12g}, not {value}",
    "string_too_short": "is empty",
    "string_too_long": "must be at most {max_length} characters long, not {size}{shorter}",
    "too_long": "must have at most {max_length} entries, not {size}",
}
"""By pydantic's name for what is wrong."""
_SHORTER = {
    "query": f"; {SHORTER}",
    "expression": "; write two guards of it",
    "regex": "; write exact or prefix, or a shorter one",
}
"""What to do about a text that is too long."""


def sentences(error: ValidationError, model: type[Model]) -> Iterator[Problem]:
    for each in error.errors(include_url=False):
        way = tuple(part for part in each["loc"] if part != "[key]")
        yield Problem(way, _sentence(each, way, model))


def _sentence(error: Any, way: Field, model: type[Model]) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    match kind:
        case "extra_forbidden":
            return "unknown field" + meant(way, model)
        case "literal_error" | "enum":
            return _not_one_of(way, value, re.findall(r"'([^']*)'", context["expected"]))
        case "value_error":
            return str(context["error"])
        case "int_parsing_size" | "finite_number":
            return "must be a number" if str(value) == "nan" else f"{shown(value)} is too large"
        case "string_too_long" | "too_long":
            return _SIMPLE[kind].format(**context, size=len(value), shorter=_SHORTER.get(str(error["loc"][-1]), ""))
        case _ if kind in _SIMPLE:
            return _SIMPLE[kind].format(**context, value=shown(value))
    return _wrong_type(way, kind, value) or str(error["msg"]).replace("Input should", "should")


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


def meant(way: Field, model: type[Model]) -> str:
    """A suggestion for an unknown field: one of the same block, else one of this name elsewhere."""
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


_WORD = r"[\w./-]+"
_NUMBER = r"\d+(?:\.\d+)?"
_PERCENT = r"(\d+) ?%?"


@dataclass(frozen=True)
class ExampleForm:
    """How a field is written in full; `VALUE` stands for what was written in short."""

    text: str
    sample: str
    """What stands for VALUE where what was written can't."""
    takes: str = _WORD
    """The values that can, as a regular expression; where it has a group, that is what VALUE stands for."""
    otherwise: "ExampleForm | None" = None
    """For values that this one doesn't take."""


_NAME = ExampleForm("{name: VALUE}", "standard")
_PATIENCE = ExampleForm("{after: VALUE, then: rollback}", "5m", r"\d+(?:ms|s|m|h)")
_ANSWER = ExampleForm("{then: VALUE}", "hold", "|".join(Answer), otherwise=_PATIENCE)
_COMPARED = ExampleForm("{exact: VALUE}", "beta")

FORMS: Mapping[str, ExampleForm] = {
    "metadata": _NAME,
    "targetRef": ExampleForm(f"{{kind: {IN_CLUSTER[0].kind}, name: VALUE}}", "reviews"),
    "policyRef": _NAME,
    "templateRef": _NAME,
    "providerRef": _NAME,
    "secretRef": _NAME,
    "envoy": ExampleForm("{admin: VALUE, routes: routes.yaml}", "http://127.0.0.1:9901", r"http://\S+"),
    "provider": ExampleForm("{type: prometheus, address: VALUE}", "http://prometheus:9090", r"https?://\S+"),
    "thresholdRange": ExampleForm("{min: VALUE} or {max: VALUE}", "99", _NUMBER),
    "onNoData": _ANSWER,
    "onUnreachable": _ANSWER,
    "onInconclusive": _ANSWER,
    "judge": ExampleForm("{type: VALUE}", "sequential"),
    "objective": ExampleForm("{successRate: VALUE}", "99", r"(\d+(?:\.\d+)?) ?%?"),
    "latency": ExampleForm("{max: VALUE}", "500ms", r"\d+(?:ms|s)"),
    "approval": ExampleForm("{count: VALUE}", "1", r"[1-9]\d*"),
    "sessionAffinity": ExampleForm("{cookieName: VALUE}", "canary"),
    "headers": ExampleForm("{x-user: {exact: VALUE}}", "beta"),
    "headers{}": _COMPARED,
    "queryParams": ExampleForm("{preview: {exact: VALUE}}", "beta"),
    "queryParams{}": _COMPARED,
    "sourceLabels": ExampleForm("{app: VALUE}", "tester"),
    "steps[]": ExampleForm("{weight: VALUE}", "10", _PERCENT),
    "gates[]": ExampleForm("{approval: {count: VALUE}}", "1", r"[1-9]\d*"),
    "match[]": ExampleForm("{headers: {x-user: {exact: VALUE}}}", "beta"),
    "metrics[]": ExampleForm("{name: VALUE, thresholdRange: ...}", "request-success-rate"),
    "guards[]": ExampleForm("{name: mine, expression: VALUE}", "step.to <= 50"),
    "routes[]": ExampleForm("VALUE", "default"),
    "virtualServices[]": ExampleForm("VALUE", "reviews"),
    "stepWeights[]": ExampleForm("VALUE", "10", _PERCENT),
}
"""By name; an item of a list is `steps[]`, an entry of a mapping `headers{}`."""
_MAPPINGS = tuple(name.removesuffix("{}") for name in FORMS if name.endswith("{}"))
_MEANINGS = {"onDrift": (("revert", "undo", "restore"), "reassert takes the edit back, rollback the rollout")}
"""Words that may stand for two of a field's answers, and what these do."""


def in_full(way: Field, value: Any, listed: bool) -> str:
    """`; did you mean …?` or `; write …`, to be appended to a sentence; empty where there is no form to tell.

    `listed`: a list is due.
    """
    if listed and isinstance(value, dict):
        return "; write it as an item of a list, behind `- `"
    form = FORMS.get(f"{way[-1]}[]" if listed else _key(way)) if way else None
    if form is None:
        return ""
    given = str(value) if isinstance(value, str) or (_a_number(value) and form.takes != _WORD) else ""
    found = re.fullmatch(form.takes, given)
    while found is None and form.otherwise is not None:
        form = form.otherwise
        found = re.fullmatch(form.takes, given)
    text = form.text.replace("VALUE", form.sample if found is None else found[found.re.groups])
    text = f"[{text}]" if listed else text
    return f"; write {text}" if found is None else f"; did you mean {text}?"


def either(way: Field, value: Any) -> str:
    """What the answers mean that a word may stand for; empty where it isn't known to stand for several."""
    words, meaning = _MEANINGS.get(str(way[-1]) if way else "", ((), ""))
    return f"; {meaning}" if value in words else ""


def _a_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _key(way: Field) -> str:
    last = way[-1]
    before = str(way[-2]) if len(way) > 1 else ""
    if isinstance(last, int):
        return f"{before}[]"
    return f"{before}{{}}" if before in _MAPPINGS else last
