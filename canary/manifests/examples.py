"""What to write where a word or a number stands for a block or a list: each field in full, with what was written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from canary.api.plan import Answer
from canary.engine.checks import Field

_WORD = r"[\w./-]+"
_NUMBER = r"\d+(?:\.\d+)?"
_PERCENT = r"(\d+) ?%?"


@dataclass(frozen=True)
class Form:
    """How a field is written in full; `VALUE` stands for what was written in short."""

    text: str
    sample: str
    """What stands for VALUE where what was written can't."""
    takes: str = _WORD
    """The values that can, as a regular expression; where it has a group, that is what VALUE stands for."""
    otherwise: "Form | None" = None
    """For values that this one doesn't take."""


_NAME = Form("{name: VALUE}", "standard")
_PATIENCE = Form("{after: VALUE, then: hold}", "5m", r"\d+(?:ms|s|m|h)")
_ANSWER = Form("{then: VALUE}", "hold", "|".join(Answer), otherwise=_PATIENCE)
_COMPARED = Form("{exact: VALUE}", "beta")

FORMS: Mapping[str, Form] = {
    "metadata": _NAME,
    "targetRef": Form("{kind: VirtualService, name: VALUE}", "reviews"),
    "policyRef": _NAME,
    "templateRef": _NAME,
    "providerRef": _NAME,
    "secretRef": _NAME,
    "envoy": Form("{admin: VALUE, routes: routes.yaml}", "http://127.0.0.1:9901", r"http://\S+"),
    "provider": Form("{type: prometheus, address: VALUE}", "http://prometheus:9090", r"https?://\S+"),
    "thresholdRange": Form("{min: VALUE} or {max: VALUE}", "99", _NUMBER),
    "onNoData": _ANSWER,
    "onUnreachable": _ANSWER,
    "approval": Form("{count: VALUE}", "1", r"[1-9]\d*"),
    "sessionAffinity": Form("{cookieName: VALUE}", "canary"),
    "headers": Form("{x-user: {exact: VALUE}}", "beta"),
    "headers{}": _COMPARED,
    "queryParams": Form("{preview: {exact: VALUE}}", "beta"),
    "queryParams{}": _COMPARED,
    "sourceLabels": Form("{app: VALUE}", "tester"),
    "steps[]": Form("{weight: VALUE}", "10", _PERCENT),
    "gates[]": Form("{approval: {count: VALUE}}", "1", r"[1-9]\d*"),
    "match[]": Form("{headers: {x-user: {exact: VALUE}}}", "beta"),
    "metrics[]": Form("{name: VALUE, thresholdRange: ...}", "request-success-rate"),
    "guards[]": Form("{name: mine, expression: VALUE}", "step.to <= 50"),
    "routes[]": Form("VALUE", "default"),
    "virtualServices[]": Form("VALUE", "reviews"),
    "stepWeights[]": Form("VALUE", "10", _PERCENT),
}
"""By name; an item of a list is `steps[]`, an entry of a mapping `headers{}`."""
_MAPPINGS = tuple(name.removesuffix("{}") for name in FORMS if name.endswith("{}"))
_MEANINGS = {
    "onDrift": (("revert", "undo", "restore"), "reassert takes the edit back, rollback the rollout"),
}
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
