"""Watches a rollout that a `canary run` drives elsewhere, until it is over: reads its state once a second.

`wait.py` does the same for a Canary object, and knows more: what runs behind the version that is desired. Both make
turns of it (`turn_of`), which the outputs of `canary run` show; what only the controller sees (the counts behind a
check, trouble with a write) isn't in them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from canary.api.canary import Canary, CanarySpec, Metadata, TargetRef
from canary.api.exit_codes import Exit
from canary.api.pinned import Policy
from canary.api.plan import Plan
from canary.api.reason import Reason
from canary.api.status import Outcome, Rollout, Status
from canary.engine.decide import Decision
from canary.engine.errors import Unreachable
from canary.engine.observed import Observed
from canary.engine.resolved import ResolvedSpec
from canary.ports import Clock
from canary.rollout.drive import Interrupts
from canary.rollout.end import BY_OUTCOME, Ending, ending
from canary.rollout.reconcile import Turn
from canary.rollout.record import Record


def turn_of(
    canary: Canary, before: Status | None, at: datetime, note: str = "", trouble: tuple[str, ...] = ()
) -> Turn:
    """What has happened since `before`. A `note` takes the place of a sentence that speaks of something else."""
    status, earlier = canary.status or Status(), before or Status()
    known = {message.id for message in earlier.outbox}  # which keeps messages until the next save
    decision = Decision(
        status=status,
        actions=(),
        reason=Reason.NOT_SEEN_YET if note else status.reason,
        sentence=note or status.message,
        messages=tuple(one for one in status.outbox if one.id not in known) if before else (),
        evaluated=_evaluated(earlier.rollout, status.rollout),
        closed=_closed(earlier.rollout, status),
    )
    # Without a rollout, nothing reads plan and policy.
    plan, policy = (status.rollout.plan, status.rollout.policy) if status.rollout else (Plan(steps=()), Policy())
    return Turn(at, ResolvedSpec(canary, plan, policy), Observed(), decision, Record(status), trouble=trouble)


def _evaluated(before: Rollout | None, now: Rollout | None) -> bool:
    evaluation, known = (rollout.evaluation if rollout else None for rollout in (now, before))
    return evaluation is not None and (known is None or known.at != evaluation.at)


def _closed(before: Rollout | None, status: Status) -> bool:
    last = status.history[0].number if status.history else 0
    return before is not None and status.rollout is None and last == before.number


EVERY = 1.0
"""Seconds between two reads."""
HOLDER = 5
"""Every so many reads it is asked who runs."""
IDLE = "no run is active; canary run goes on with this rollout"


class Remembered(Protocol):
    """What a run remembers, and who runs."""

    @property
    def name(self) -> str:
        """The name of its Canary."""

    def read(self) -> Status:
        """The status as it is now. Raises Rejected or Unreachable."""

    @property
    def holder(self) -> Callable[[], str | None]:
        """Says who runs now, or None."""


@dataclass
class WatchRun:
    """One watch, from a first read to an exit code."""

    memory: Remembered
    clock: Clock
    report: Callable[[Turn], None]
    interrupts: Interrupts = field(default_factory=Interrupts)
    _last: Status | None = None
    _trouble: tuple[str, ...] = ()
    _active: bool = False

    def run(self) -> Ending:
        """Read until the rollout is over, or the user stops the watch. Raises Rejected, or Unreachable at first."""
        reads = 0
        while True:
            turn = self._turn(reads)
            over = self._over(turn)
            if over is not None:
                return over
            self.clock.wait(EVERY, lambda: bool(self.interrupts.count))
            reads += 1

    def _turn(self, reads: int) -> Turn:
        status, trouble = self._read(reads)
        before, news = self._last, status != self._last or trouble != self._trouble
        turn = turn_of(_canary(self.memory.name, status), before, self.clock.now(), trouble=trouble)
        if news:
            self.report(turn)
        self._last, self._trouble = status, trouble
        return turn

    def _read(self, reads: int) -> tuple[Status, tuple[str, ...]]:
        """The status, and what keeps it from being news."""
        try:
            if reads % HOLDER == 0:
                self._active = self.memory.holder() is not None
            status = self.memory.read()
        except Unreachable as error:
            if self._last is None:
                raise
            return self._last, (f"the state can't be read: {error}",)
        return status, () if self._active or status.rollout is None else (IDLE,)

    def _over(self, turn: Turn) -> Ending | None:
        status = turn.decision.status
        if self.interrupts.count:
            at = f"; the rollout is at {status.canary_weight}%" if status.rollout is not None else ""
            return Ending(Exit.INTERRUPTED, Reason.INTERRUPTED, f"stopped watching{at}")
        if status.rollout is not None:
            return None
        if turn.decision.closed:
            return ending(turn.decision)
        if self._active and status.reason.exit_code is None:
            return None
        over = ending(turn.decision)
        return _ended(status) if over is None else replace(over, outcome=_outcome(status, over.code))


def _ended(status: Status) -> Ending:
    """How the last rollout ended, where it was over before the watch began."""
    if not status.history:
        return Ending(Exit.ERROR, Reason.NOTHING_RUNS, "no rollout is running, and none has ended yet")
    last = status.history[0]
    return Ending(BY_OUTCOME[last.outcome], last.outcome.reason, status.message or last.message, last.outcome)


def _outcome(status: Status, code: Exit) -> Outcome | None:
    """Of the last rollout, if the exit code is for it; the status may speak of another version meanwhile."""
    last = status.history[0].outcome if status.history else None
    return last if last is not None and BY_OUTCOME[last] is code else None


def _canary(name: str, status: Status) -> Canary:
    """A state knows no manifest: outputs need the name and the status only."""
    spec = CanarySpec(target_ref=TargetRef(kind="Run", name=name))
    return Canary(metadata=Metadata(name=name), spec=spec, status=status)
