"""Whole rollouts with the judge `sequential`, beside the same ones with `threshold`."""

from collections.abc import Callable
from typing import Any

import pytest

from canary.api.evidence import Evidence
from canary.api.exit_codes import Exit
from canary.rollout.drive import Options
from canary.rollout.reconcile import Turn
from canary.sandbox.scenarios import Behaviour
from tests.rollout.wired import Driven, driven

RULES: dict[str, Any] = {
    "interval": "10s", "threshold": 5, "judge": {"type": "sequential", "warmup": "10s"}, "deadline": "1h",
    "steps": [{"weight": 10, "iterations": 2}, {"weight": 30, "iterations": 2}, {"weight": 50, "iterations": 2}],
}  # fmt: skip
FLAKY = Behaviour(errors=0.05)


def rollout(scenario: str = "good", **rules: Any) -> Driven:
    return driven(scenario, **{**RULES, **rules})


def lowered(run: Driven) -> float:
    """Seconds until all traffic was asked back to stable."""
    began = run.turns[0].at
    turn = next(one for one in run.turns if one.decision.status.rollout and one.decision.status.rollout.end)
    return (turn.at - began).total_seconds()


def test_a_healthy_canary_is_promoted() -> None:
    """With about as many evaluations as its steps ask for."""
    run = rollout()
    assert run.run().code is Exit.PROMOTED
    assert sum(turn.decision.evaluated for turn in run.turns) <= 10


@pytest.mark.parametrize("scenario", ["bad", "slow"])
def test_a_bad_one_is_rolled_back_sooner_than_by_threshold(scenario: str) -> None:
    """Both with evaluations at the same times; threshold rolls back at the fifth that fails."""
    judged, counted = rollout(scenario), rollout(scenario, judge="threshold")
    assert (judged.run().code, counted.run().code) == (Exit.ROLLED_BACK, Exit.ROLLED_BACK)
    assert lowered(judged) < lowered(counted)


def worsens(run: Driven, seconds: float, *versions: str) -> Driven:
    """These versions begin to fail on the way."""

    def begin() -> None:
        run.box.world.behaviours = {**run.box.world.behaviours, **dict.fromkeys(versions, FLAKY)}

    return run.at(seconds, begin)


def test_a_canary_that_worsens_late_is_rolled_back() -> None:
    """At the last step, after minutes of health."""
    run = worsens(rollout(steps=[{"weight": 10}, {"weight": 50, "iterations": 20}]), 90, "v2")
    assert run.run().code is Exit.ROLLED_BACK
    assert run.turns[-1].decision.status.history[0].reason == "CanaryWorse"


def test_a_shared_outage_is_waited_for() -> None:
    """Both versions fail for five minutes: threshold blames the canary, and evidence neither version."""

    def ends_after(run: Driven) -> Driven:
        healthy = dict(run.box.world.behaviours)

        def end() -> None:
            run.box.world.behaviours = healthy

        return worsens(run, 25, "v1", "v2").at(325, end)

    judged, counted = ends_after(rollout()), ends_after(rollout(judge="threshold"))
    assert counted.run().code is Exit.ROLLED_BACK
    assert judged.run().code is Exit.PROMOTED
    held = {turn.decision.reason for turn in judged.turns if turn.decision.evaluated}
    assert "SharedOutage" in held


def test_a_shared_outage_costs_no_more_than_its_time() -> None:
    """One minute, in which half of all requests fail, after the first increase: as many evaluations as without it,
    those in it, and a few beside it."""

    def evaluations(run: Driven) -> int:
        assert run.run().code is Exit.PROMOTED
        return sum(turn.decision.evaluated for turn in run.turns)

    hit, healthy = rollout(), rollout()
    before = dict(hit.box.world.behaviours)

    def begin() -> None:
        hit.box.world.behaviours = {**before, **dict.fromkeys(("v1", "v2"), Behaviour(errors=0.5))}

    def end() -> None:
        hit.box.world.behaviours = before

    hit.at(25, begin).at(85, end)
    assert evaluations(hit) <= evaluations(healthy) + 6 + 4


@pytest.mark.parametrize("scenario", ["good", "flaky"])
def test_a_restart_changes_nothing(scenario: str) -> None:
    """A process that takes over comes to the same evidence, bit by bit: each evaluation a minute apart is saved."""
    whole, first = rollout(scenario, interval="1m"), rollout(scenario, interval="1m")
    whole.box.world.rps = first.box.world.rps = 4
    code = whole.run().code
    first.drive.report = dies_after(3)
    with pytest.raises(Stopped):
        first.run()
    second = Driven(first.box, Options())
    assert second.run().code is code
    seen, again = evidence(whole), evidence(second)
    assert len(again) == len(seen) - 3
    assert again == seen[3:]


def evidence(run: Driven) -> list[Evidence | None]:
    """After each evaluation."""
    rollouts = [turn.decision.status.rollout for turn in run.turns if turn.decision.evaluated]
    return [one.evidence for one in rollouts if one]


class Stopped(BaseException):
    """The process is gone."""


def dies_after(evaluations: int) -> Callable[[Turn], None]:
    """The messages about them, and the end of the process."""
    seen: list[bool] = []

    def report(turn: Turn) -> None:
        seen.extend([True] if turn.decision.evaluated else [])
        if len(seen) == evaluations:
            raise Stopped

    return report
