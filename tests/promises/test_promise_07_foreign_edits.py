"""Promise 7: weights are end states with preconditions; a foreign edit is seen, reported, and not overwritten."""

from datetime import timedelta

import pytest

from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.rollout.drive import Options
from tests.moves import moves
from tests.rollout.wired import Driven, Killed, Recorded, driven, sandbox

LATE = Options(timeout=timedelta(seconds=60))


@pytest.mark.parametrize("weight", [0, 5, 35, 100])
@pytest.mark.parametrize("seconds", [2, 12])
def test_a_foreign_edit_is_reported_and_left_alone(weight: int, seconds: int) -> None:
    """At any step, up or down; also when it is what stood there a step ago."""
    run = driven("good", LATE)
    run.at(seconds, lambda: run.box.router.set(Traffic(weight=weight)))
    assert run.run().code is Exit.TIMED_OUT
    assert run.box.world.traffic == Traffic(weight=weight)
    assert "TrafficDrift" in [message.reason for message in run.box.notifier.delivered]
    assert "TrafficDrift" in [one.type for one in run.turns[-1].decision.status.conditions]


def test_who_undoes_the_edit_lets_the_rollout_go_on() -> None:
    run = driven("good")
    run.at(2, lambda: run.box.router.set(Traffic(weight=35)))
    run.at(30, lambda: run.box.router.set(Traffic(weight=20)))
    assert run.run().code is Exit.PROMOTED


@pytest.mark.parametrize(
    ("on_drift", "code", "weight"), [("reassert", Exit.PROMOTED, 100), ("rollback", Exit.ROLLED_BACK, 0)]
)
def test_what_the_manifest_may_ask_for_instead(on_drift: str, code: Exit, weight: int) -> None:
    run = driven("good", onDrift=on_drift)
    run.at(2, lambda: run.box.router.set(Traffic(weight=35)))
    assert (run.run().code, run.box.world.traffic.weight) == (code, weight)


def test_a_manifest_applied_again_after_a_crash_is_not_raised_over() -> None:
    """Killed at 20%, then someone applies 100/0 again: that is less than anything saved, and stays less."""
    box = sandbox()
    recorded = Recorded(box)
    Driven(box, parts=recorded.parts).run()
    box = sandbox()
    second_write = [index for index, call in enumerate(recorded.calls) if call == "router.write"][1]
    with pytest.raises(Killed):
        Driven(box, parts=Recorded(box, die_at=second_write).parts).run()
    box.router.set(Traffic())
    written = len(box.router.writes)
    Driven(box).run()
    assert all(traffic == Traffic() for traffic in box.router.writes[written:])


def test_every_write_carries_what_was_read() -> None:
    """A complete state, and the token of the read that it stands on."""
    run = driven("good")
    run.run()
    for turn in run.turns:
        for action in moves(turn.decision):
            assert action.token is not None
            assert turn.decision.status.rollout is not None
            assert action.traffic == turn.decision.status.rollout.desired
