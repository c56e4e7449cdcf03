"""Watching a run from elsewhere: the same lines and the same code, and a word where no run is active."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.api.status import Outcome, Phase, RolloutSummary, Status, Version
from canary.engine.errors import CanaryError, Unreachable
from canary.rollout.drive import Interrupts
from canary.rollout.reconcile import Turn
from canary.waiting.watch import IDLE, WatchRun
from tests.show.turns import BAD, NOON, Play

V1, V2 = Version(name="v1"), Version(name="v2")


@dataclass
class Seen:
    """A run's state as it is read, one after the other; the last one stays."""

    reads: Iterator[Status | CanaryError]
    active: bool = True
    name: str = "web"
    last: Status = field(default_factory=Status)

    def read(self) -> Status:
        found = next(self.reads, self.last)
        if isinstance(found, CanaryError):
            raise found
        self.last = found
        return found

    @property
    def holder(self) -> Callable[[], str | None]:
        return lambda: "ada" if self.active else None


@dataclass
class Clock:
    """Passes at once; the watch is stopped after so many waits."""

    interrupts: Interrupts
    waits: int = 100

    def now(self) -> datetime:
        return NOON + timedelta(seconds=100 - self.waits)

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        self.waits -= 1
        if not self.waits:
            self.interrupts()


def watched(memory: Seen, waits: int = 100) -> tuple[tuple[Exit, str], list[Turn]]:
    """How the watch ends, and what it has reported."""
    turns: list[Turn] = []
    interrupts = Interrupts()
    over = WatchRun(memory, Clock(interrupts, waits), turns.append, interrupts).run()
    return (over.code, over.sentence), turns


def statuses(play: Play) -> Iterator[Status]:
    """Of a whole rollout."""
    return iter([turn.decision.status for turn in play.whole()])


@pytest.mark.parametrize(
    ("play", "code", "words"),
    [
        (Play(), Exit.PROMOTED, "promoted: v2 serves everything"),
        (Play(canary=dict(BAD)), Exit.ROLLED_BACK, "rolled back: request-success-rate 88% is below 99%"),
    ],
    ids=["promoted", "rolled back"],
)
def test_a_watch_ends_as_the_run_does(play: Play, code: Exit, words: str) -> None:
    """With its code and its last sentence; each state is shown once, its messages too."""
    ended, turns = watched(Seen(statuses(play)))
    assert (ended[0], ended[1].startswith(words)) == (code, True)
    assert turns[-1].decision.closed
    assert len({turn.decision.status.model_dump_json() for turn in turns}) == len(turns)


def test_a_rollout_that_no_run_drives_is_shown_as_such() -> None:
    """After `kill -9` the state reads as if a run were at work; the watch goes on until the next run ends it."""
    *_, half = (turn.decision.status for turn in Play().turns(0, 5))
    ended, turns = watched(Seen(iter([half] * 3), active=False), waits=3)
    assert [turn.trouble for turn in turns] == [(IDLE,)]
    assert ended == (Exit.INTERRUPTED, "stopped watching; the rollout is at 10%")


def test_a_state_that_can_not_be_read_for_a_while_is_no_end() -> None:
    """It is said, and that it is over; at the very first read it is an error."""
    *_, half = (turn.decision.status for turn in Play().turns(0, 5))
    away = Unreachable("the disk is away")
    _, turns = watched(Seen(iter([half, away, half])), waits=4)
    assert [turn.trouble for turn in turns] == [(), ("the state can't be read: the disk is away",), ()]
    with pytest.raises(Unreachable, match="the disk is away"):
        watched(Seen(iter([away])))


@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.PROMOTED, Exit.PROMOTED), (Outcome.REJECTED, Exit.REJECTED)], ids=str
)
def test_what_is_over_already_is_reported_at_once(outcome: Outcome, code: Exit) -> None:
    """As if the watch had been there."""
    past = RolloutSummary(
        number=1, stable=V1, canary=V2, started=NOON, ended=NOON, outcome=outcome,
        reason=Reason("Said"), message="said",
    )  # fmt: skip
    status = Status(phase=Phase.SUCCEEDED, reason=Reason(str(outcome)), message="said: why", history=(past,))
    ended, turns = watched(Seen(iter([status]), active=False))
    assert (ended, len(turns)) == ((code, "said: why"), 1)


def test_where_nothing_has_run() -> None:
    """There is nothing to watch."""
    assert watched(Seen(iter([Status()]), active=False))[0] == (
        Exit.ERROR, "no rollout is running, and none has ended yet",
    )  # fmt: skip
