"""Drives one rollout to its end: a tick, a report, a wait, until `ending.py` says that it is over.

This is `canary run`. The controller makes the same ticks, of many rollouts, in slots.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from canary.api.action import CanaryAction, Verb
from canary.api.duration import brief
from canary.api.status import Outcome, Rollout
from canary.engine.errors import Unreachable

from .ending import Ending, Exit, ending
from .ports import Inbox, Parts
from .record import Record, load, save
from .tick import Turn, tick

INTERRUPTED, TIMED_OUT = "interrupted", "timed out"
PATIENCE = timedelta(minutes=2)
"""How long a run that wants to end may still be kept by a route or a state that can't be written."""
UNREAD = timedelta(seconds=10)
"""How long a run may read nothing before it gives up, as long as it has not begun anything."""


class Then(StrEnum):
    """What an interrupt or a time-out of the run leads to."""

    HOLD = "hold"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class Options:
    """How one run behaves, apart from the manifest."""

    timeout: timedelta | None = None
    on_timeout: Then = Then.HOLD
    on_interrupt: Then = Then.ROLLBACK
    wait_for_approval: bool = True
    tick: timedelta = timedelta(seconds=5)
    """The longest time between two ticks."""
    author: str = ""
    """On whose behalf an interrupt or a time-out rolls back."""


@dataclass
class Interrupts:
    """How often the run was asked to stop; a signal handler counts."""

    count: int = 0

    def __call__(self, *_: object) -> None:
        self.count += 1


@dataclass(frozen=True)
class OwnActions:
    """The inbox, and what the run itself asks, as a person would: rollbacks on interrupt and time-out."""

    inbox: Inbox
    own: list[CanaryAction] = field(default_factory=list)

    def read(self) -> Sequence[CanaryAction]:
        return (*self.inbox.read(), *self.own)


@dataclass
class Drive:
    """One run, from the state that was saved to an exit code."""

    parts: Parts
    options: Options
    report: Callable[[Turn], None]
    interrupts: Interrupts = field(default_factory=Interrupts)
    actions: OwnActions = field(init=False)
    asked: str = ""
    """Why the run itself asked for a rollback: `interrupted` or `timed out`."""

    def __post_init__(self) -> None:
        self.actions = OwnActions(self.parts.inbox)
        self.parts = replace(self.parts, inbox=self.actions)

    def run(self) -> Ending:
        """Ticks until the end.

        Raises Conflict where another run owns the state, and Rejected for a state that can't be read.
        """
        record, started = load(self.parts.store), self.parts.clock.now()
        while True:
            for turn in tick(self.parts, record):
                self.report(turn)
                record = turn.record
            over = self._over(turn, turn.at - started)
            if over is not None:
                return self._saved(self._forgiven(record), over)
            pause = min(turn.decision.requeue_after, self.options.tick)
            self.parts.clock.wait(pause.total_seconds(), self._woken(record))

    def _over(self, turn: Turn, elapsed: timedelta) -> Ending | None:
        over = ending(turn.decision)
        if over is not None:
            return replace(over, code=Exit.TIMED_OUT) if self.asked == TIMED_OUT else over
        checks = (self._interrupted, self._late, self._unapproved, self._unreadable)
        return next((over for check in checks if (over := check(turn, elapsed))), None)

    def _interrupted(self, turn: Turn, elapsed: timedelta) -> Ending | None:
        if not self.interrupts.count:
            return None
        rollout = turn.decision.status.rollout
        at = f"traffic stays at {turn.decision.status.canary_weight}%"
        if rollout is None or self.options.on_interrupt is Then.HOLD or self.interrupts.count > 1:
            return Ending(Exit.INTERRUPTED, "Interrupted", f"interrupted; {at}")
        self._ask_rollback(INTERRUPTED, rollout, turn.at)
        return None

    def _late(self, turn: Turn, elapsed: timedelta) -> Ending | None:
        limit, rollout = self.options.timeout, turn.decision.status.rollout
        if limit is None or elapsed < limit or (rollout and rollout.end and rollout.in_place_since):
            return None
        sentence = f"not done after {brief(limit)}: {turn.decision.sentence}"
        if elapsed >= limit + PATIENCE or (rollout and rollout.end and not self.asked):
            return Ending(Exit.UNKNOWN, "OutcomeUnknown", sentence)
        if rollout is None or self.options.on_timeout is Then.HOLD:
            return Ending(Exit.TIMED_OUT, "TimedOut", sentence)
        self._ask_rollback(TIMED_OUT, rollout, turn.at)
        return None

    def _unapproved(self, turn: Turn, elapsed: timedelta) -> Ending | None:
        if self.options.wait_for_approval or turn.decision.reason != "WaitingForApproval":
            return None
        return Ending(Exit.NEEDS_APPROVAL, turn.decision.reason, turn.decision.sentence)

    def _unreadable(self, turn: Turn, elapsed: timedelta) -> Ending | None:
        unread = turn.decision.reason in ("RouteUnreadable", "RevisionUnknown")
        if not unread or turn.decision.status.rollout is not None or elapsed < UNREAD:
            return None
        return Ending(Exit.ERROR, turn.decision.reason, turn.decision.sentence)

    def _ask_rollback(self, why: str, rollout: Rollout, now: datetime) -> None:
        if self.asked:
            return
        self.asked = why
        target = self.parts.target.desired().canary.metadata.name
        action = CanaryAction(
            id=f"run-{rollout.number}-{why.replace(' ', '-')}",
            target=target,
            verb=Verb.ROLLBACK,
            rollout=rollout.number,
            author=self.options.author,
            verified=True,
            comment=f"the run was {why}" if why == INTERRUPTED else "the run timed out",
            at=now,
        )
        self.actions.own.append(action)

    def _forgiven(self, record: Record) -> Record:
        """Who stops a run says nothing about the version: the next run may try it again."""
        ended = record.status.history[:1] if record.status.rollout is None else ()
        if not self.asked or not ended or ended[0].outcome is not Outcome.REJECTED:
            return record
        return replace(record, status=record.status.but(failed=None))

    def _woken(self, record: Record) -> Callable[[], bool]:
        """True when a person or a signal asked for something since the last tick."""
        interrupts, taken = self.interrupts.count, frozenset(record.status.actions_taken)
        known = {one.id for one in self.actions.read()}
        return lambda: (
            self.interrupts.count > interrupts
            or any(one.id not in known and one.id not in taken for one in self.actions.read())
        )

    def _saved(self, record: Record, over: Ending) -> Ending:
        """The last save, so that the next run neither repeats what was told nor forgets what was decided."""
        clock, until = self.parts.clock, self.parts.clock.now() + PATIENCE
        while record.saved != record.status:
            try:
                record = replace(record, saved=None)
                record = save(self.parts.store, record, record.status, clock.now())
            except Unreachable as error:
                if clock.now() >= until:
                    return replace(over, sentence=f"{over.sentence}; but status can't be saved: {error}")
                clock.wait(1.0, lambda: False)
        return over
