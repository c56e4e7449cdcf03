"""Checks of webhooks: each is one that is called, at an address that can be called."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from unicodedata import normalize

from canary.api.analysis import Analysis, StepSpec
from canary.api.duration import brief
from canary.api.names import HOOK_URL
from canary.api.webhooks import HookRequest, HookType, Webhook

from ..did_you_mean import did_you_mean
from ..strategies import plan_of
from .problem import Case, Problem

HOOKS = tuple(one.value for one in HookType)
NO_HOOK = "is no type of webhook"
NO_URL = "is no URL of a webhook; write one such as http://loadtester.test/gate/check"
LONGEST = timedelta(hours=1)
TOO_LONG = f"must be at most {brief(LONGEST)}"
NOT_NOTHING = "must be longer than 0s"
LARGEST = 16 * 1024
"""Bytes of all hooks of one Canary as JSON: a rollout keeps them in its status."""


def types(case: Case) -> Iterator[Problem]:
    """A gate or a check that is never asked would let everything through."""
    for index, hook in enumerate(case.analysis.webhooks or ()):
        if hook.type not in HOOKS:
            hint = did_you_mean(hook.type, HOOKS) or f"; there are {', '.join(HOOKS)}"
            yield case.problem("webhooks", f"{hook.type!r} {NO_HOOK}{hint}", index, "type")


def requests(case: Case) -> Iterator[Problem]:
    """Each hook can be called, in a limited time."""
    for index, hook in enumerate(case.analysis.webhooks or ()):
        for field, sentence in wrong(hook):
            yield case.problem("webhooks", sentence, index, field)


def wrong(hook: HookRequest) -> Iterator[tuple[str, str]]:
    """The fields with which it can't be called, and why."""
    if not re.fullmatch(HOOK_URL, hook.url) or not _splits(hook.url):
        yield "url", f"{_shown(hook.url)!r} {NO_URL}"
    if hook.timeout is not None and hook.timeout <= timedelta():
        yield "timeout", NOT_NOTHING
    elif hook.timeout is not None and hook.timeout > LONGEST:
        yield "timeout", f"{TOO_LONG}, not {brief(hook.timeout)}"


def size(case: Case) -> Iterator[Problem]:
    """Status has to have room for them."""
    hooks = (*(case.analysis.webhooks or ()), *requests_of(case.analysis.steps or ()))
    length = len(json.dumps([hook.wire() for hook in hooks]))
    if length > LARGEST:
        yield case.problem("webhooks", f"have {length} bytes, and a rollout can keep {LARGEST}; shorten metadata")


def never_asked(case: Case) -> Iterator[Problem]:
    """A gate of increases where the weight is never increased in steps."""
    rises = any(step.traffic.weight for step in plan_of(case.analysis, case.spec.skip_analysis).steps)
    for index, hook in enumerate(case.analysis.webhooks or ()):
        if hook.type == HookType.CONFIRM_TRAFFIC_INCREASE and not rises:
            sentence = f"{hook.type} is never called, because no step has a weight; use confirm-promotion"
            yield case.warning("webhooks", sentence, index, "type")


def requests_of(steps: Iterable[StepSpec]) -> Iterator[HookRequest]:
    """The calls of gates that are written at steps."""
    yield from (gate.request for step in steps for gate in step.gates if gate.request is not None)


def rollout_hooks(analysis: Analysis) -> list[Webhook]:
    """The hooks that each evaluation asks."""
    return [hook for hook in analysis.webhooks or () if hook.type == HookType.ROLLOUT]


def only_starts(hook: Webhook) -> bool:
    """Whether the load tester says yes before it knows how the command ends, as it does for load."""
    root = re.fullmatch(r"\w+://[^/?#]*/?", hook.url) is not None
    return root and "cmd" in hook.metadata and (hook.metadata.get("type") or "cmd") == "cmd"


def _splits(url: str) -> bool:
    """Some characters are read as others that separate the parts of a URL."""
    server = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    return not any(set("/?#@:") & set(normalize("NFKC", one)) for one in server if not one.isascii())


def _shown(url: str) -> str:
    """Without the password that it may hold."""
    return re.sub(r"^(\w+://)?[^/?#]*@", r"\1***@", url)[:100]


CHECKS = (types, requests, size, never_asked)
