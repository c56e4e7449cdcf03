"""Every front end becomes one plan: weights, mirrors and matches by step, looks, and the way to 100%."""

from typing import Any

import pytest

from canary.api.analysis import Analysis
from canary.api.canary import Canary, CanaryPolicy
from canary.api.plan import Plan, Step
from canary.engine.desired import desired
from canary.engine.errors import Invalid
from canary.engine.strategies import plan_of

MATCH = [{"headers": {"x-user-group": {"exact": "beta"}}}]


def words(step: Step) -> str:
    """A step in a few words: `10% for 1m` …"""
    traffic = step.traffic
    parts = [f"{traffic.weight}%"]
    parts += [f"mirror {traffic.mirror}%"] if traffic.mirror else []
    parts += ["match"] if traffic.match else []
    parts += [f"{step.looks} looks"] if step.looks != 1 else []
    parts += [f"held {step.hold.total_seconds():g}s"] if step.hold else []
    return ", ".join(parts)


def told(plan: Plan) -> tuple[str, str]:
    """The analysed steps after the start, and the promotion."""
    start, *steps = plan.steps
    assert words(start) == "0%, 0 looks"
    return " | ".join(map(words, steps)), " | ".join(map(words, plan.promotion))


END = "100%, 0 looks"


@pytest.mark.parametrize(
    ("analysis", "steps", "promotion"),
    [
        pytest.param({"stepWeight": 10, "maxWeight": 30}, "10% | 20% | 30%", END, id="stepWeight up to maxWeight"),
        pytest.param({"stepWeight": 50}, "50% | 100%", "", id="maxWeight is 100 unless given"),
        pytest.param({"stepWeight": 30, "maxWeight": 50}, "30% | 50%", END, id="the last step is maxWeight itself"),
        pytest.param({"stepWeight": 60, "maxWeight": 50}, "50%", END, id="stepWeight above maxWeight: one step"),
        pytest.param({"maxWeight": 50}, "", END, id="maxWeight alone is no strategy"),
        pytest.param({"stepWeights": [1, 2, 10]}, "1% | 2% | 10%", END, id="stepWeights as they stand"),
        pytest.param({"stepWeights": [50], "stepWeightPromotion": 20}, "50%",
                     "70%, 0 looks, held 60s | 90%, 0 looks, held 60s | 100%, 0 looks", id="promoted in raises"),
        pytest.param({"stepWeights": [50], "stepWeightPromotion": 50}, "50%", END, id="a raise that ends at 100"),
        pytest.param({"stepWeights": [50], "stepWeightPromotion": 0}, "50%", END, id="0 means one jump"),
        pytest.param({"stepWeights": [10], "mirror": True}, "0%, mirror 100% | 10%", END, id="mirrored first"),
        pytest.param({"stepWeights": [10], "mirror": True, "mirrorWeight": 5}, "0%, mirror 5% | 10%", END,
                     id="mirrored in part"),
        pytest.param({"iterations": 10}, "0%, 10 looks", END, id="blue/green"),
        pytest.param({"iterations": 3, "mirror": True}, "0%, mirror 100%, 3 looks", END, id="blue/green, mirrored"),
        pytest.param({"iterations": 3, "match": MATCH}, "0%, match, 3 looks", END, id="A/B"),
        pytest.param({"iterations": 1, "stepWeightPromotion": 50}, "0%", "50%, 0 looks, held 60s | 100%, 0 looks",
                     id="blue/green, promoted in raises"),
        pytest.param({"steps": [{"match": MATCH, "hold": "30m"}, {"weight": 10, "hold": "5m"}, {"weight": 100}]},
                     "0%, match, held 1800s | 10%, held 300s | 100%", "", id="explicit steps: absent weight is 0"),
        pytest.param({"steps": [{"weight": 10, "looks": 0}, {"weight": 20, "looks": 4}]},
                     "10%, 0 looks | 20%, 4 looks", END, id="explicit looks, 100% added"),
        pytest.param({}, "", END, id="no strategy: straight to 100%"),
    ],
)  # fmt: skip
def test_each_front_end(analysis: dict[str, Any], steps: str, promotion: str) -> None:
    assert told(plan_of(Analysis.model_validate(analysis))) == (steps, promotion)


def test_skip_analysis_goes_straight_to_100() -> None:
    """Whatever the strategy says."""
    assert told(plan_of(Analysis(step_weight=10), skip_analysis=True)) == ("", END)


def flagger(analysis: dict[str, Any] | None, older: dict[str, Any] | None = None) -> Canary:
    """A Canary as Flagger's tutorials write it."""
    spec: dict[str, Any] = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"}}
    spec |= {"analysis": analysis} if analysis else {}
    spec |= {"canaryAnalysis": older} if older else {}
    return Canary.model_validate({"metadata": {"name": "podinfo", "namespace": "test"}, "spec": spec})


METRICS = [
    {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"},
    {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "30s"},
]


@pytest.mark.parametrize(
    ("canary", "steps"),
    [
        pytest.param(flagger({"threshold": 5, "maxWeight": 50, "stepWeight": 10, "metrics": METRICS}),
                     "10% | 20% | 30% | 40% | 50%", id="the canary tutorial"),
        pytest.param(flagger(None, {"interval": "1m", "threshold": 5, "maxWeight": 50, "stepWeight": 25}),
                     "25% | 50%", id="canaryAnalysis alone"),
        pytest.param(flagger({"interval": "1m", "threshold": 10, "iterations": 10, "metrics": METRICS},
                             {"interval": "1m", "threshold": 10, "maxWeight": 50, "stepWeight": 10}),
                     "10% | 20% | 30% | 40% | 50%", id="iterations here and weights there: the weights are meant"),
        pytest.param(flagger({"maxWeight": 50, "stepWeight": 10}, {"iterations": 10}),
                     "10% | 20% | 30% | 40% | 50%", id="the same the other way round"),
        pytest.param(flagger({"stepWeight": 25}, {"stepWeight": 10, "maxWeight": 50}),
                     "25% | 50%", id="both say it: analysis wins, and takes what it lacks from the other"),
        pytest.param(flagger({"interval": "1m", "threshold": 5, "iterations": 10, "match": MATCH}),
                     "0%, match, 10 looks", id="the A/B tutorial"),
        pytest.param(flagger({"interval": "1m", "threshold": 2, "iterations": 10}),
                     "0%, 10 looks", id="the blue/green tutorial"),
    ],
)  # fmt: skip
def test_flaggers_tutorials(canary: Canary, steps: str) -> None:
    assert told(desired(canary).plan)[0] == steps


def policy(**analysis: Any) -> CanaryPolicy:
    """A policy to share."""
    return CanaryPolicy.model_validate({"metadata": {"name": "standard"}, "spec": {"analysis": analysis}})


def test_a_policy_gives_what_the_canary_lacks() -> None:
    """Field by field."""
    want = desired(flagger({"interval": "10s"}), policy(interval="1m", threshold=7, stepWeight=20, maxWeight=40))
    assert told(want.plan)[0] == "20% | 40%"
    assert (want.policy.interval.total_seconds(), want.policy.threshold) == (10, 7)


def test_a_strategy_comes_from_one_hand() -> None:
    """A Canary with a strategy of its own takes nothing of the policy's."""
    want = desired(flagger({"iterations": 2}), policy(stepWeight=20, maxWeight=40, mirror=True, threshold=7))
    assert told(want.plan) == ("0%, 2 looks", END)
    assert want.policy.threshold == 7


def test_defaults_that_a_rollout_pins() -> None:
    """Flagger's, where it has them."""
    rules = desired(flagger({"interval": "2m", "threshold": -1})).policy
    seconds = {name: value.total_seconds() for name, value in rules if hasattr(value, "total_seconds")}
    assert rules.threshold == 1
    assert seconds == {"interval": 120, "deadline": 86400, "ready_deadline": 600, "settle": 30, "scrape_interval": 15,
                       "lag": 1, "unready_grace": 15, "drain": 30}  # fmt: skip
    assert rules.on_no_data.after.total_seconds() == 300


def test_patience_is_longer_than_the_threshold_takes() -> None:
    """max(5m, threshold × interval)."""
    rules = desired(flagger({"interval": "2m", "threshold": 10})).policy
    assert rules.on_no_data.after == rules.on_unreachable.after == 10 * rules.interval


def test_flaggers_older_threshold() -> None:
    """A minimum for the success rate, else a maximum."""
    older = [{"name": "request-success-rate", "threshold": 99}, {"name": "request-duration", "threshold": 500}]
    rate, duration = desired(flagger({"metrics": older})).policy.metrics
    assert (rate.range.min, rate.range.max, duration.range.min, duration.range.max) == (99, None, None, 500)


def test_a_template_that_is_not_there() -> None:
    with pytest.raises(Invalid, match="MetricTemplate errors, which isn't there"):
        desired(flagger({"metrics": [{"name": "x", "templateRef": {"name": "errors"}}]}))
