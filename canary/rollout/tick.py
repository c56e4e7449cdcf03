"""One tick: gather, decide, save the intent, apply it, tell people. `drive.py` makes one after the other.

Status is saved before the route is touched. Where it can't be saved, what lowers exposure is done all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from canary.api.status import Message
from canary.engine.decide import Decision, decide, needs
from canary.engine.desired import Desired
from canary.engine.errors import Conflict, Unreachable
from canary.engine.observed import Missing, Observed

from .apply import apply
from .gather import gather
from .ports import Parts
from .record import Record, save

ATTEMPTS = 5
"""How often a tick gathers and decides again because somebody else wrote in between."""


@dataclass(frozen=True)
class Turn:
    """What one attempt of a tick saw, decided and met."""

    at: datetime
    desired: Desired
    observed: Observed
    decision: Decision
    record: Record
    told: tuple[Message, ...] = ()
    """What the outbox held and was told now; after a crash also what an earlier process decided."""
    trouble: tuple[str, ...] = ()
    """What could not be read, saved, written or told, in sentences."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """What people are told in this turn: what was decided now, and what was decided and not told before."""
        return tuple({one.id: one for one in (*self.told, *self.decision.messages)}.values())


def tick(parts: Parts, record: Record, last: bool = False) -> Iterator[Turn]:
    """Usually one turn; more where somebody else wrote in between, decided anew at once.

    Raises Conflict where another writer owns the state, and nothing else that a port foresees. `last` is for who owns
    the state, and read it again and again to no avail: then that is a state that can't be saved.
    """
    for _ in range(ATTEMPTS):
        turn, conflict = _turn(parts, record, last)
        yield turn
        if not conflict:
            break
        record = turn.record


def _turn(parts: Parts, record: Record, last: bool) -> tuple[Turn, bool]:
    now = parts.clock.now()
    desired = parts.target.desired()
    observed = gather(parts, needs(desired, record.status, now), record.fresh)
    decision = decide(desired, record.status, observed, now)
    fresh = record.fresh and isinstance(observed.route, Missing)
    record, unsaved = _save(parts, replace(record, fresh=fresh), decision, now, last)
    applied = apply(parts, decision.actions, lowering_only=bool(unsaved))
    outbox = record.status.outbox
    record, untold = _tell(parts, record)
    told = () if untold else outbox
    trouble = (*unread(observed, decision), *unsaved, *applied.trouble, *untold)
    turn = Turn(now, desired, observed, decision, record, told, trouble)
    return turn, applied.conflict


def unread(observed: Observed, decision: Decision) -> tuple[str, ...]:
    """What was asked for and could not be read, unless the decision speaks of it: a wait must not hide that."""
    reads = (("the route", observed.route), ("stable's replicas", observed.stable), ("the canary's", observed.canary))
    missing = [(what, seen) for what, seen in reads if isinstance(seen, Missing) and seen.kind.unreachable]
    return tuple(f"{what} can't be read: {seen}" for what, seen in missing if str(seen) not in decision.sentence)


def _save(
    parts: Parts, record: Record, decision: Decision, now: datetime, last: bool
) -> tuple[Record, tuple[str, ...]]:
    """The record afterwards, and why it could not be saved."""
    try:
        return save(parts.store, record, decision.status, now), ()
    except (Conflict, Unreachable) as error:
        if isinstance(error, Conflict) and not last:
            raise
        return replace(record, status=decision.status), (f"status can't be saved: {error}",)


def _tell(parts: Parts, record: Record) -> tuple[Record, tuple[str, ...]]:
    """Empties the outbox; what could not be told stays in it, and the store forgets it with the next save."""
    if not record.status.outbox:
        return record, ()
    try:
        parts.notifier.tell(record.status.outbox)
    except Unreachable as error:
        return record, (f"not told yet: {error}",)
    return replace(record, status=record.status.but(outbox=())), ()
