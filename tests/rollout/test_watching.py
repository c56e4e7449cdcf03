"""Watching a run from elsewhere: the same lines and the same code, and a word where no run is active."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO

import pytest

from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.api.status import Outcome, Phase, RolloutSummary, Status, Version
from canary.engine.errors import CanaryError, Unreachable
from canary.rollout.drive import Interrupts
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn
from canary.show.records import Records
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


def watch(memory: Seen, report: Callable[[Turn], None], waits: int = 100) -> Ending:
    """How a watch ends."""
    interrupts = Interrupts()
    return WatchRun(memory, Clock(interrupts, waits), report, interrupts).run()


def watched(memory: Seen, waits: int = 100) -> tuple[tuple[Exit, str], list[Turn]]:
    """The same, and what it has reported."""
    turns: list[Turn] = []
    over = watch(memory, turns.append, waits)
    return (over.code, over.sentence), turns


def statuses(play: Play) -> Iterator[Status]:
    """Of a whole rollout."""
    return iter([turn.decision.status for turn in play.whole()])


def rested(outcome: Outcome, reason: str = "") -> Status:
    """A state at rest after a rollout of v2."""
    past = RolloutSummary(
        number=1, stable=V1, canary=V2, started=NOON, ended=NOON, outcome=outcome,
        reason=Reason("Said"), message="said",
    )  # fmt: skip
    said = Reason(reason or str(outcome))
    return Status(phase=Phase.SUCCEEDED, reason=said, message="said: why", history=(past,))


@pytest.mark.parametrize(
    ("play", "code", "words"),
    [
        (Play(), Exit.PROMOTED, "promoted: v2 serves everything"),
        (Play(canary=dict(BAD)), Exit.ROLLED_BACK, "rolled back at 10%: request-success-rate 88% is below 99%"),
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
    ended, turns = watched(Seen(iter([rested(outcome)]), active=False))
    assert (ended, len(turns)) == ((code, "said: why"), 1)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        pytest.param(rested(Outcome.PROMOTED), "Promoted", id="how the last rollout ended"),
        pytest.param(rested(Outcome.REJECTED), "Rejected", id="also a bad end"),
        pytest.param(rested(Outcome.REJECTED, Reason.ALREADY_SERVING), None, id="of another version"),
        pytest.param(Status(), None, id="none"),
    ],
)
def test_the_last_line_has_the_outcome(status: Status, outcome: str | None) -> None:
    """For programs, also where the rollout was over before the watch began."""
    records = Records(StringIO())
    records.close(watch(Seen(iter([status]), active=False), records))
    assert isinstance(records.stream, StringIO)
    assert json.loads(records.stream.getvalue().splitlines()[-1])["outcome"] == outcome


def test_where_nothing_has_run() -> None:
    """There is nothing to watch."""
    assert watched(Seen(iter([Status()]), active=False))[0] == (
        Exit.ERROR, "no rollout is running, and none has ended yet",
    )  # fmt: skip
