"""Promise 4: nothing that waits keeps a rollback from happening.

Every wait has a time-out, or says that it has none.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.canary import Guard
from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from tests.rollout.test_drive import spec_says
from tests.rollout.wired import GATED, Driven, ask, driven


def paused(run: Driven) -> None:
    """A person paused it."""
    ask(run.box, Verb.PAUSE)


def suspended(run: Driven) -> None:
    """The manifest suspends it."""
    spec_says(run.box, suspend=True)


def edited(run: Driven) -> None:
    """Someone changed the route."""
    run.box.router.set(Traffic(weight=33))


def guarded(run: Driven) -> None:
    """A guard is added that lets nothing rise."""
    guards = (Guard(name="never", expression="false"),)
    run.box.target.value = replace(run.box.target.value, guards=guards)


def broken(run: Driven) -> None:
    """A guard is added that can't be evaluated."""
    guards = (Guard(name="broken", expression="1 / 0 == step.to"),)
    run.box.target.value = replace(run.box.target.value, guards=guards)


def gated(run: Driven) -> None:
    """A gate is closed, because the plan has one."""


@pytest.mark.parametrize("waits", [paused, suspended, edited, guarded, broken, gated])
@pytest.mark.parametrize("scenario", ["bad", "dead"])
def test_a_rollback_happens_all_the_same(scenario: str, waits: Callable[[Driven], None]) -> None:
    run = driven(scenario, steps=GATED) if waits is gated else driven(scenario)
    run.at(3, lambda: waits(run))
    assert run.run().code is Exit.ROLLED_BACK
    assert run.box.world.traffic == Traffic()
    assert (run.turns[-1].at - run.turns[0].at).total_seconds() < 40


@pytest.mark.parametrize(
    ("analysis", "sentence"),
    [
        pytest.param({"steps": GATED}, "waits for an approval, until 12:", id="a gate with a time-out"),
        pytest.param({"steps": [{"weight": 20, "gates": [{"approval": {}, "onTimeout": "hold"}]}]},
                     "without a time limit", id="a gate without"),
    ],
)  # fmt: skip
def test_a_wait_says_until_when(analysis: dict[str, Any], sentence: str) -> None:
    run = driven("good", **analysis)
    run.at(60, lambda: ask(run.box, Verb.APPROVE))
    run.run()
    assert any(sentence in turn.decision.sentence for turn in run.turns)


@pytest.mark.parametrize("asked", [Verb.ROLLBACK, Verb.REJECT])
@pytest.mark.parametrize("waits", [guarded, broken])
def test_a_guard_never_holds_a_rollback(asked: Verb, waits: Callable[[Driven], None]) -> None:
    """It stood at 20% for half an hour, because of the guard; anyone who asks then gets it back at once."""
    run = driven("good")
    run.at(3, lambda: waits(run)).at(1800, lambda: ask(run.box, asked))
    assert run.run().code is Exit.REJECTED
    assert run.box.world.traffic == Traffic()
    held = [turn for turn in run.turns if turn.decision.reason in ("GuardHolds", "GuardError")]
    assert {turn.decision.status.canary_weight for turn in held} == {20}
    assert all("without a time limit" in turn.decision.sentence for turn in held)
    lowered = next(turn for turn in run.turns if turn.decision.reason == "RejectedByPerson")
    assert (lowered.at - held[-1].at).total_seconds() <= 5
