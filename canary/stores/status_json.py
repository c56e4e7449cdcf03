"""A status as JSON: how much of it is kept, and what is wrong with one that was read. Pure; for all stores."""

import json
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from canary.api.reason import Reason
from canary.api.status import Condition, Status
from canary.engine.conditions import conditions
from canary.engine.errors import Unreadable
from canary.engine.outcome import Finding, Hold

from .projection import CanarySeen

LIMIT = 16 * 1024
"""Bytes of a status, as JSON, without what a rollout keeps of webhooks: those have a limit of their own."""


def fitting(status: Status) -> Status:
    """At most LIMIT, as far as the oldest summaries of history can make way; what is left is saved in any case."""
    while status.history and len(text(_without_hooks(status)).encode()) > LIMIT:
        status = status.but(history=status.history[:-1])
    return status


def _without_hooks(status: Status) -> Status:
    rollout = status.rollout
    if rollout is None or not rollout.policy.webhooks:
        return status
    return status.but(rollout=rollout.but(policy=rollout.policy.but(webhooks=()), hooks=(), gates=()))


def text(status: Status) -> str:
    """As JSON, on one line."""
    return json.dumps(status.wire(), separators=(",", ":"), ensure_ascii=False)


SHOWN = 3
"""Fields that are named; a state of something else has all of them wrong."""


def wrong_fields(error: ValidationError) -> str:
    """Which fields, and why where that is a matter of ours."""
    found = [_words(one) for one in error.errors(include_url=False)]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"wrong: {', '.join(found[:SHOWN])}{more}"


def _words(one: ErrorDetails) -> str:
    name = ".".join(str(part) for part in one["loc"]) or "status"
    if one["type"] == "json_invalid":
        return f"{name}, which isn't JSON"
    return f"{name}, {one['ctx']['error']}" if one["type"] == "value_error" else name


_DERIVED = {"reason", "message", "conditions"}
_CONDITIONS = TypeAdapter(tuple[Condition, ...])


def wrong_field(error: ValidationError) -> str:
    """`status.rollout: there is no step 9 in its plan of 3`: the first field that is wrong, and why."""
    first = error.errors(include_url=False)[0]
    why = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
    return f"{'.'.join(str(part) for part in ('status', *first['loc']))}: {why}"


def complaint(seen: CanarySeen, why: str, now: datetime, reason: Reason = Unreadable.reason) -> dict[str, Any]:
    """What a Canary object says in its status of one that can't be read, in the way that its reconciles raise.

    These are the fields that follow from the rest, which isn't touched.
    """
    generation = json.loads(seen.manifest)["metadata"].get("generation") or 0
    finding = Finding(Hold(stalled=True), reason, why)
    conditions_now = conditions(Status(observed_generation=generation), finding, _before(seen), now)
    return Status(reason=finding.reason, message=why, conditions=conditions_now).model_dump(
        mode="json", by_alias=True, include=_DERIVED
    )


def _before(seen: CanarySeen) -> tuple[Condition, ...]:
    try:
        return _CONDITIONS.validate_python(json.loads(seen.status or b"{}").get("conditions") or ())
    except ValidationError:
        return ()
