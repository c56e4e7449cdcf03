"""Promise 1: a failing canary is asked to weight 0 in the reconcile that found out, and again until that is accepted.

So is a lost one.
"""

from itertools import pairwise

import pytest

from canary.api.plan import Traffic
from canary.rollout.reconcile import Turn
from tests.moves import moves
from tests.rollout.wired import Driven, driven


def first_bad(run: Driven) -> Turn:
    """The reconcile that found out."""
    found = ("SuccessRateBelowMinimum", "DurationAboveMaximum", "CanaryUnavailable")
    return next(
        turn
        for turn in run.turns
        if turn.decision.reason in found and turn.decision.status.rollout and turn.decision.status.rollout.end
    )


@pytest.mark.parametrize("scenario", ["bad", "slow", "dead"])
def test_in_the_reconcile_that_found_out(scenario: str) -> None:
    run = driven(scenario)
    run.run()
    turn = first_bad(run)
    assert [(action.traffic, action.decreases) for action in moves(turn.decision)] == [(Traffic(), True)]


def test_a_second_failed_check_takes_no_longer_than_its_look() -> None:
    """Interval 10 s, threshold 2: found with the second evaluation, 20 s after the first request."""
    run = driven("bad")
    run.run()
    exposed = next(turn.at for turn in run.turns if turn.decision.status.canary_weight)
    assert (first_bad(run).at - exposed).total_seconds() == pytest.approx(20, abs=1)


@pytest.mark.parametrize("trouble", ["unreachable", "refused", "in a race"])
def test_retried_until_it_is_accepted(trouble: str) -> None:
    """Each reconcile asks again, first in line; the run isn't over before traffic is back."""
    run = driven("bad")
    router = run.box.router

    def begin() -> None:
        if trouble == "refused":
            router.refuses = "no such cluster"
        elif trouble == "unreachable":
            router.down = True
        else:
            router.set(Traffic(weight=33))

    def end() -> None:
        router.refuses, router.down = None, False

    run.at(15, begin).at(60, end)
    run.run()
    asked = [turn for turn in run.turns if any(action.decreases for action in turn.decision.actions)]
    assert run.box.world.traffic == Traffic()
    if trouble != "in a race":
        gaps = [(b.at - a.at).total_seconds() for a, b in pairwise(asked)]
        assert len(asked) > 30
        assert max(gaps) <= 1
