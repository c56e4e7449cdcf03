"""Each scenario of the sandbox with each strategy, from the first reconcile to the exit; some of them line by
line."""

from dataclasses import replace
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.sandbox.scenarios import SCENARIOS
from tests.rollout.wired import GATED, Driven, ask, driven

MATCH = [{"headers": {"x-user-group": {"exact": "beta"}}}]
STRATEGIES: dict[str, dict[str, Any]] = {
    "weights": {"steps": None, "stepWeights": [10, 50]},
    "explicit steps": {},
    "blue/green, mirrored": {"steps": None, "iterations": 3, "mirror": True},
    "A/B": {"steps": None, "iterations": 3, "match": MATCH},
    "promoted in steps": {"steps": None, "stepWeights": [50], "stepWeightPromotion": 25},
}
ROLLED_BACK = {
    "bad": "SuccessRateBelowMinimum",
    "slow": "DurationAboveMaximum",
    "flaky": "SuccessRateBelowMinimum",
    "dead": "CanaryUnavailable",
    "quiet": "DeadlinePassed",
    "blind": "DeadlinePassed",
}


def blind_from(second: float, **analysis: Any) -> Driven:
    """Healthy; but metrics are out of reach from then on."""
    run = driven("good", **analysis)
    return run.at(second, lambda: setattr(run.box.world, "blind", True))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_with_every_strategy(scenario: str, strategy: str) -> None:
    """Promoted exactly if it is healthy; else rolled back for its own reason, with all traffic on stable."""
    run = driven(scenario, **STRATEGIES[strategy])
    ending = run.run()
    last = run.turns[-1].decision.status.history[0]
    if SCENARIOS[scenario].promoted:
        assert (ending.code, run.box.world.traffic) == (Exit.PROMOTED, Traffic(weight=100))
        return
    assert (ending.code, run.box.world.traffic) == (Exit.ROLLED_BACK, Traffic())
    assert last.reason == ROLLED_BACK[scenario]


@pytest.mark.parametrize(
    ("run", "timeline"),
    [
        pytest.param(driven("good"), """
            Waiting      0 Started
            Progressing 20 CanaryReady
            Progressing 20 Analysing
            Progressing 50 StepPassed
            Progressing 50 Analysing
            Promoting  100 Promoting
            Finalising 100 Promoted
            Finalising 100 Draining
            Succeeded  100 Promoted
            """, id="good"),
        pytest.param(driven("bad"), """
            Waiting      0 Started
            Progressing 20 CanaryReady
            Progressing 20 Analysing
            Progressing 20 SuccessRateBelowMinimum
            Finalising   0 SuccessRateBelowMinimum
            Finalising   0 Draining
            Failed       0 RolledBack
            """, id="bad"),
        pytest.param(driven("dead"), """
            Waiting      0 Started
            Progressing 20 CanaryReady
            Progressing 20 Analysing
            Finalising   0 CanaryUnavailable
            Finalising   0 Draining
            Failed       0 RolledBack
            """, id="dead: before its first evaluation"),
        pytest.param(driven("quiet"), """
            Waiting      0 Started
            Progressing 20 CanaryReady
            Progressing 20 Analysing
            Progressing 20 NoData
            Finalising   0 DeadlinePassed
            Finalising   0 Draining
            Failed       0 RolledBack
            """, id="quiet: held until the deadline"),
        pytest.param(driven("blind", onUnreachable={"after": "30s", "then": "rollback"}), """
            Waiting      0 Started
            Waiting      0 MetricsUnreachable
            Finalising   0 DeadlinePassed
            Failed       0 RolledBack
            """, id="blind: no traffic moves, until the deadline"),
        pytest.param(blind_from(3, onUnreachable={"after": "30s", "then": "rollback"}), """
            Waiting      0 Started
            Progressing 20 CanaryReady
            Progressing 20 Analysing
            Progressing 20 MetricsUnreachable
            Finalising   0 MetricsUnreachable
            Finalising   0 Draining
            Failed       0 RolledBack
            """, id="blind after the start, and the manifest doesn't bear it"),
        pytest.param(driven("good", steps=None, iterations=2, match=MATCH), """
            Waiting      0 Started
            Progressing  0 CanaryReady
            Progressing  0 Analysing
            Promoting  100 Promoting
            Finalising 100 Promoted
            Finalising 100 Draining
            Succeeded  100 Promoted
            """, id="A/B"),
        pytest.param(driven("good", steps=None, stepWeights=[50], stepWeightPromotion=25), """
            Waiting      0 Started
            Progressing 50 CanaryReady
            Progressing 50 Analysing
            Promoting   75 Promoting
            Promoting   75 Analysing
            Promoting  100 Promoting
            Finalising 100 Promoted
            Finalising 100 Draining
            Succeeded  100 Promoted
            """, id="promoted in steps"),
        pytest.param(driven("good", spec={"skipAnalysis": True}), """
            Waiting      0 Started
            Promoting  100 CanaryReady
            Finalising 100 Promoted
            Finalising 100 Draining
            Succeeded  100 Promoted
            """, id="skipAnalysis"),
    ],
)  # fmt: skip
def test_line_by_line(run: Driven, timeline: str) -> None:
    run.run()
    assert reported(run) == [" ".join(line.split()) for line in timeline.strip().splitlines()]


def reported(run: Driven) -> list[str]:
    """The timeline as lines."""
    return [f"{phase} {weight} {reason}" for phase, weight, reason in run.timeline]


def test_a_morning_with_people() -> None:
    """Paused over coffee, approved by one of them, then promoted by the other."""
    run = driven("good", steps=[*GATED, {"weight": 60, "hold": "5m"}])
    run.at(3, lambda: ask(run.box, Verb.PAUSE, comment="coffee"))
    run.at(60, lambda: ask(run.box, Verb.RESUME))
    run.at(90, lambda: ask(run.box, Verb.APPROVE, "ada"))
    run.at(120, lambda: ask(run.box, Verb.PROMOTE, "bob"))
    assert run.run().code is Exit.PROMOTED
    assert reported(run) == [
        "Waiting 0 Started",
        "Progressing 20 CanaryReady",
        "Progressing 20 Analysing",
        "Progressing 20 Paused",
        "Progressing 20 WaitingForApproval",
        "Progressing 50 StepPassed",
        "Progressing 50 Analysing",
        "Progressing 50 Settling",
        "Progressing 60 StepPassed",
        "Progressing 60 Analysing",
        "Promoting 100 PromotionAsked",
        "Finalising 100 Promoted",
        "Finalising 100 Draining",
        "Succeeded 100 Promoted",
    ]


def test_an_outage_of_everything_in_the_middle() -> None:
    """Route, replicas, metrics, state and notifier are down for a minute: it goes on where it was."""
    run = driven("good")
    parts = (run.box.router, run.box.workloads, run.box.store, run.box.notifier)

    def down(value: bool) -> None:
        run.box.world.blind = value
        for part in parts:
            part.down = value

    run.at(3, lambda: down(True)).at(63, lambda: down(False))
    assert run.run().code is Exit.PROMOTED
    assert {turn.decision.status.canary_weight for turn in run.turns if 3 < seconds(run, turn.at) < 63} == {20}


def seconds(run: Driven, at: Any) -> float:
    """Since the first reconcile."""
    return float((at - run.turns[0].at).total_seconds())


def test_both_are_down() -> None:
    """The canary dies while stable is down as well: the split stays, and goes once stable is back."""
    run = driven("dead")
    healthy = run.box.world.behaviours["v1"]
    dying = SCENARIOS["dead"].canary
    run.box.world.behaviours = {"v1": dying, "v2": dying}
    run.at(30, lambda: setattr(run.box.world, "behaviours", {"v1": healthy, "v2": dying}))
    assert run.run().code is Exit.ROLLED_BACK
    assert "Progressing 20 NothingToGoBackTo" in reported(run)
    assert run.box.world.traffic == Traffic()


def test_a_week_of_rollouts() -> None:
    """Good, bad, retried in vain, another build that is good: history tells all of it."""
    run = driven("bad")
    assert run.run().code is Exit.ROLLED_BACK
    ask(run.box, Verb.RETRY)
    assert Driven(run.box).run().code is Exit.ROLLED_BACK
    run.box.world.behaviours = {"v1": run.box.world.behaviours["v1"], "v2": SCENARIOS["good"].canary}
    value = run.box.target.value
    run.box.target.value = replace(value, manifest=value.manifest.but(spec=value.manifest.spec.but(revision="c")))
    last = Driven(run.box)
    assert last.run().code is Exit.PROMOTED
    history = last.turns[-1].decision.status.history
    assert [(one.number, str(one.canary), one.outcome.value) for one in history] == [
        (3, "v2 (c)", "Promoted"),
        (2, "v2 (b)", "RolledBack"),
        (1, "v2 (b)", "RolledBack"),
    ]
