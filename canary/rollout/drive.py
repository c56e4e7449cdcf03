"""Drives one rollout to its end: a reconcile, a report, a wait, until `end.py` says that it is over.

This is `canary run`. The controller makes the same reconciles, of many rollouts, in slots.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from canary.api.action import CanaryAction, Verb
from canary.api.duration import brief
from canary.api.exit_codes import Exit
from canary.api.reason import Reason, Trait
from canary.api.status import Outcome, Rollout, Status
from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.engine.verbs import SHOWN
from canary.ports import Clock, Inbox, Parts

from .end import Ending, ending
from .reconcile import Turn, reconcile
from .record import Record, load, save

INTERRUPTED, TIMED_OUT = "interrupted", "timed out"
PATIENCE = timedelta(minutes=2)
"""How long a run that wants to end may still be kept by a route or a state that can't be written."""
ALERTS = timedelta(seconds=15)
"""How long a run waits at its end for alerts to be sent."""
UNREAD = timedelta(seconds=10)
"""How long a run may read nothing, without a pause, before it gives up; a rollout that has begun waits on."""


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
    reconcile_interval: timedelta = timedelta(seconds=5)
    """The longest time between two reconciles."""
    allow_unanalysed: bool = False
    """Whether a build that serves without being judged is a success."""
    hurry: bool = False
    """Ask to promote without the remaining steps as soon as the rollout has begun."""
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

    def remove_taken(self, status: Status, now: datetime) -> int:
        return self.inbox.remove_taken(status, now)


@dataclass
class Drive:
    """One run, from the state that was saved to an exit code."""

    parts: Parts
    options: Options
    report: Callable[[Turn], None]
    interrupts: Interrupts = field(default_factory=Interrupts)
    check: Callable[[], None] | None = None
    """Raises Conflict once the target's lock is another's; None where there is no lock to ask."""
    actions: OwnActions = field(init=False)
    asked: str = ""
    """Why the run itself asked for a rollback: `interrupted` or `timed out`."""
    hurried: bool = False
    """Whether it has asked to promote without the remaining steps."""
    unread_since: datetime | None = None
    """Since when each reconcile has missed what it must read."""

    def __post_init__(self) -> None:
        self.actions = OwnActions(self.parts.inbox)
        self.parts = replace(self.parts, inbox=self.actions)

    def run(self) -> Ending:
        """Reconciles until the end.

        Raises Conflict where another run owns the state, and Rejected for a state that can't be read.
        """
        record, started = load(self.parts.store), self.parts.clock.now()
        while True:
            known, asked, interrupts = self._lying(), self.asked, self.interrupts.count
            for turn in self._turns(record):
                self.report(turn)
                record = turn.record
            over = self._over(turn, turn.at - started)
            if over is not None:
                record = self._alerted(record)
                return self._saved(self._forgiven(record), over.allowing(self.options.allow_unanalysed))
            self._tidy(record, turn.at)
            if self.asked != asked or self._hurries(turn):
                continue
            pause = min(turn.decision.requeue_after, self.options.reconcile_interval, self._left(turn.at - started))
            self.parts.clock.wait(pause.total_seconds(), self._woken(record, known, interrupts))

    def _turns(self, record: Record) -> Iterator[Turn]:
        """One reconcile. While the lock is ours, a state that another client overwrote is one that can't be saved."""
        try:
            for turn in reconcile(self.parts, record):
                record = turn.record
                yield turn
        except Conflict:
            if not self._owned():
                raise
            yield from reconcile(self.parts, record, last=True)

    def _owned(self) -> bool:
        """Whether the target's lock is still ours. One that can't be renewed yet counts: its guard keeps us still."""
        if self.check is None:
            return False
        try:
            self.check()
        except Conflict:
            return False
        except Unreachable:
            return True
        return True

    def _tidy(self, record: Record, now: datetime) -> None:
        """Makes room for what waits in the inbox; a few actions stay there for people to see."""
        if len(record.status.actions_taken) > SHOWN:
            self.actions.remove_taken(record.durable, now)

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
            return Ending(Exit.INTERRUPTED, Reason.INTERRUPTED, f"interrupted; {at}")
        if self._refused(turn):
            return Ending(Exit.INTERRUPTED, Reason.INTERRUPTED, f"interrupted; {at}, {_no_way_back(rollout)}")
        self._ask_rollback(INTERRUPTED, rollout, turn.at)
        return None

    def _late(self, turn: Turn, elapsed: timedelta) -> Ending | None:
        limit, rollout = self.options.timeout, turn.decision.status.rollout
        if limit is None or elapsed < limit or (rollout and rollout.end and rollout.in_place_since):
            return None
        sentence = f"not done after {brief(limit)}: {turn.decision.sentence}"
        if elapsed >= limit + PATIENCE or (rollout and rollout.end and not self.asked):
            return Ending(Exit.UNKNOWN, Reason.OUTCOME_UNKNOWN, sentence)
        if rollout is None or self.options.on_timeout is Then.HOLD:
            return Ending(Exit.TIMED_OUT, Reason.TIMED_OUT, sentence)
        if self._refused(turn):
            return Ending(Exit.TIMED_OUT, Reason.TIMED_OUT, f"{sentence}; traffic stays, {_no_way_back(rollout)}")
        self._ask_rollback(TIMED_OUT, rollout, turn.at)
        return None

    def _refused(self, turn: Turn) -> bool:
        """Whether the rollback that the run itself asked for was refused."""
        status = turn.decision.status
        taken = any(one.id in status.actions_taken for one in self.actions.own if one.verb is Verb.ROLLBACK)
        return taken and status.rollout is not None and status.rollout.end is None

    def _unapproved(self, turn: Turn, elapsed: timedelta) -> Ending | None:
        if self.options.wait_for_approval or turn.decision.reason != Reason.WAITING_FOR_APPROVAL:
            return None
        return Ending(Exit.NEEDS_APPROVAL, turn.decision.reason, turn.decision.sentence)

    def _unreadable(self, turn: Turn, elapsed: timedelta) -> Ending | None:
        if Trait.UNREAD not in turn.decision.reason.traits or turn.decision.status.rollout is not None:
            self.unread_since = None
            return None
        self.unread_since = self.unread_since or turn.at
        if turn.at - self.unread_since < UNREAD:
            return None
        return Ending(Exit.ERROR, turn.decision.reason, turn.decision.sentence)

    def _hurries(self, turn: Turn) -> bool:
        """Ask once, and decide again at once."""
        rollout = turn.decision.status.rollout
        if not self.options.hurry or rollout is None or rollout.end is not None or self.hurried:
            return False
        self.hurried = True
        self._ask(Verb.PROMOTE, "hurry", rollout, "without the steps", turn.at)
        return True

    def _ask_rollback(self, why: str, rollout: Rollout, now: datetime) -> None:
        if self.asked:
            return
        self.asked = why
        comment = f"the run was {why}" if why == INTERRUPTED else "the run timed out"
        self._ask(Verb.ROLLBACK, why, rollout, comment, now)

    def _ask(self, verb: Verb, why: str, rollout: Rollout, comment: str, now: datetime) -> None:
        action = CanaryAction(
            id=f"run-{rollout.number}-{why.replace(' ', '-')}",
            target=self.parts.target.resolved().manifest.metadata.name,
            verb=verb,
            rollout=rollout.number,
            author=self.options.author,
            verified=True,
            comment=comment,
            at=now,
        )
        self.actions.own.append(action)

    def _forgiven(self, record: Record) -> Record:
        """Who stops a run says nothing about the version: the next run may try it again."""
        ended = record.status.history[:1] if record.status.rollout is None else ()
        if not self.asked or not ended or ended[0].outcome is not Outcome.REJECTED:
            return record
        return replace(record, status=record.status.but(failed=None))

    def _left(self, elapsed: timedelta) -> timedelta:
        """Until the time-out; without limit if it is over, or if there is none."""
        limit = self.options.timeout
        return timedelta.max if limit is None or elapsed >= limit else limit - elapsed

    def _lying(self) -> frozenset[str]:
        return frozenset(one.id for one in self.actions.read())

    def _woken(self, record: Record, known: frozenset[str], interrupts: int) -> Callable[[], bool]:
        """True when a person or a signal asked for something since the last reconcile began: beside the actions that
        were `known` then, and so many interrupts."""
        taken = frozenset(record.status.actions_taken)
        return lambda: (
            self.interrupts.count > interrupts
            or (self.parts.hooks is not None and self.parts.hooks.news())
            or any(one.id not in known and one.id not in taken for one in self.actions.read())
        )

    def _alerted(self, record: Record) -> Record:
        """Waits for alerts that are being sent, for a limited time; the next run sends those that are left."""
        clock, alerts, until = self.parts.clock, self.parts.alerts, self.parts.clock.now() + ALERTS
        while (
            alerts is not None and any(one.alerts is not None for one in record.status.outbox) and clock.now() < until
        ):
            outbox = alerts.deliver(record.status.outbox)
            left = tuple(one for one in outbox if one.alerts is not None)
            record = replace(record, status=record.status.but(outbox=left))
            if left:
                clock.wait(POLL, lambda: False)
        return record

    def _saved(self, record: Record, over: Ending) -> Ending:
        """The last save, so the next run neither repeats messages nor loses decisions."""
        clock, until = self.parts.clock, self.parts.clock.now() + PATIENCE
        while record.saved != record.status:
            try:
                record = replace(record, saved=None)
                record = save(self.parts.store, record, record.status, clock.now())
            except (Conflict, Rejected, Unreachable) as error:
                if isinstance(error, Conflict) and not self._owned():
                    raise
                if not isinstance(error, Unreachable) or clock.now() >= until:
                    return replace(over, sentence=f"{over.sentence}; but status can't be saved: {error}")
                clock.wait(1.0, lambda: False)
        return over


def _no_way_back(rollout: Rollout) -> str:
    return f"because no replica of {rollout.stable_version.name} is available to go back to"


POLL = 0.1
"""Seconds between two looks at signals and the inbox while a run waits."""


class WallClock(Clock):
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not woken():
            time.sleep(min(left, POLL))
