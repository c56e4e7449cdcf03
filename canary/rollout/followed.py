"""A rollout that somebody else drives, as turns: what the outputs of `canary run` show, made of a Canary object.

Pure. What only the controller sees (the counts behind a check, trouble with a write) isn't in them.
"""

from datetime import datetime

from canary.api.canary import Canary
from canary.api.pinned import Policy
from canary.api.plan import Plan
from canary.api.status import Message, Status
from canary.engine.decide import Decision
from canary.engine.desired import Desired
from canary.engine.observed import Observed

from .record import Record
from .tick import Turn


def turn_of(
    canary: Canary, before: Status | None, at: datetime, note: str = "", trouble: tuple[str, ...] = ()
) -> Turn:
    """What has happened since `before`. A `note` takes the place of a sentence that speaks of something else."""
    status = canary.status or Status()
    decision = Decision(
        status=status,
        actions=(),
        reason="NotSeenYet" if note else status.reason,
        sentence=note or status.message,
        messages=_new(before, status),
        looked=_looked(before, status),
        closed=_closed(before, status),
    )
    return Turn(at, _desired(canary, status), Observed(), decision, Record(status), trouble=trouble)


def _desired(canary: Canary, status: Status) -> Desired:
    """Plan and policy are the rollout's own; without one nobody asks."""
    rollout = status.rollout
    if rollout is None:
        return Desired(canary, Plan(steps=()), Policy())
    return Desired(canary, rollout.plan, rollout.policy)


def _new(before: Status | None, status: Status) -> tuple[Message, ...]:
    """Messages that are decided and perhaps not told yet stand in the status until its next save."""
    if before is None:
        return ()
    known = {message.id for message in before.outbox}
    return tuple(message for message in status.outbox if message.id not in known)


def _looked(before: Status | None, status: Status) -> bool:
    look = status.rollout.look if status.rollout else None
    known = before.rollout.look if before is not None and before.rollout else None
    return look is not None and (known is None or known.at != look.at)


def _closed(before: Status | None, status: Status) -> bool:
    running = before.rollout if before is not None else None
    last = status.history[0].number if status.history else 0
    return running is not None and status.rollout is None and last == running.number
