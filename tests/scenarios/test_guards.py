"""Whole rollouts with guards: a weekend in the middle, a step that is too large, and one that never opens."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.canary import Canary, Guard
from canary.api.exit_codes import Exit
from canary.engine.resolved import resolve_spec
from canary.manifests import shipped
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn
from canary.sandbox.scenarios import SCENARIOS
from canary.sandbox.simulate import sandbox_of, simulate
from tests.rollout.wired import Driven, ask, driven

FRIDAY = datetime(2026, 3, 27, 10, 58, tzinfo=UTC)
"""Two minutes before noon in Berlin, on the last weekend of winter time."""


def simulated(
    scenario: str = "good", policy: str | None = None, guards: Any = (), **analysis: Any
) -> tuple[Ending, list[Turn]]:
    """A rollout that starts then: 10% for two evaluations, 50%, all."""
    metrics = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]
    plan = {"interval": "30s", "steps": [{"weight": 10, "hold": "1m"}, {"weight": 50, "hold": "1m"}]}
    spec = {"targetRef": {"kind": "EnvoyRoute", "name": "shop"}, "version": "v2", "guards": guards}
    whole = {"metadata": {"name": "shop"}, "spec": {**spec, "analysis": {**plan, "metrics": metrics, **analysis}}}
    want = resolve_spec(Canary.model_validate(whole), shipped(policy) if policy else None)
    turns: list[Turn] = []
    return simulate(sandbox_of(want, SCENARIOS[scenario], start=FRIDAY), turns.append), turns


def test_a_weekend_in_the_middle() -> None:
    """Half of the users stay with the canary from Friday noon to Monday 9, in summer time; no deadline runs out."""
    ending, turns = simulated(policy="change-freeze", deadline="1h")
    held = [turn for turn in turns if turn.decision.reason == "GuardHolds"]
    assert ending.code is Exit.PROMOTED
    assert {turn.decision.status.canary_weight for turn in held} == {50}
    opens = datetime(2026, 3, 30, 7, 0, tzinfo=UTC)
    risen = next(turn for turn in turns if turn.decision.status.canary_weight == 100)
    assert opens <= risen.at <= opens + timedelta(minutes=11)
    assert len(turns) < 2000


def test_a_canary_that_turns_bad_in_a_freeze_is_rolled_back_in_it() -> None:
    """At its first failed evaluations, on Friday."""
    never = [{"name": "never", "expression": "step.to <= 10"}]
    ending, turns = simulated("flaky", guards=never, threshold=2)
    assert ending.code is Exit.ROLLED_BACK
    assert turns[-1].at - FRIDAY < timedelta(hours=1)


@pytest.mark.long
def test_a_guard_that_never_opens_ends_a_simulation() -> None:
    """A week after the deadline it says what it waited for."""
    ending, turns = simulated(guards=[{"name": "never", "expression": "step.to <= 10"}], deadline="1h")
    assert (ending.code, ending.reason) == (Exit.TIMED_OUT, "TimedOut")
    assert ending.sentence.endswith(
        "at 10%, the guard never blocks the next step, without a time limit, until its expression is true"
    )
    assert len(turns) < 4000


def test_a_promotion_by_a_person_within_the_largest_step() -> None:
    """From 20% all at once is too much; the plan's 50% isn't, nor is what is left after it."""
    run = driven("good")

    def promote() -> None:
        guards = (Guard(name="steady", expression="step.to - step.from <= 50"),)
        run.box.target.value = replace(run.box.target.value, guards=guards)
        ask(run.box, Verb.PROMOTE)

    run.at(3, promote)
    assert run.run().code is Exit.PROMOTED
    assert weights(run) == [0, 20, 50, 100]


def weights(run: Driven) -> list[int]:
    """In their order, each once, to the last that was meant."""
    meant = [turn.decision.status.rollout.desired.weight for turn in run.turns if turn.decision.status.rollout]
    return list(dict.fromkeys(meant))
