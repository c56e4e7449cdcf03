"""A status that passed the schema and can't be read: what is wrong with it, and how the object itself says so.

The object says in the same way that its ticks raise.

`store.py` writes that into the object, `object.py` tells it to people who ask.
"""

import json
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from canary.api.status import Condition, Status
from canary.engine.conditions import conditions
from canary.engine.errors import Unreadable
from canary.engine.outcome import Finding, Hold

from .seen import CanarySeen

_DERIVED = {"reason", "message", "conditions"}
_CONDITIONS = TypeAdapter(tuple[Condition, ...])


def wrong_field(error: ValidationError) -> str:
    """`status.rollout: there is no step 9 in its plan of 3`: the first field that is wrong, and why."""
    first = error.errors(include_url=False)[0]
    why = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
    return f"{'.'.join(str(part) for part in ('status', *first['loc']))}: {why}"


def complaint(seen: CanarySeen, why: str, now: datetime, reason: str = Unreadable.reason) -> dict[str, Any]:
    """The fields of status that say so: those that follow from the rest, which isn't touched."""
    generation = json.loads(seen.wish)["metadata"].get("generation") or 0
    finding = Finding(Hold(stalled=True), reason, why)
    told = conditions(Status(observed_generation=generation), finding, _before(seen), now)
    return Status(reason=finding.reason, message=why, conditions=told).model_dump(
        mode="json", by_alias=True, include=_DERIVED
    )


def _before(seen: CanarySeen) -> tuple[Condition, ...]:
    try:
        return _CONDITIONS.validate_python(json.loads(seen.status or b"{}").get("conditions") or ())
    except ValidationError:
        return ()
