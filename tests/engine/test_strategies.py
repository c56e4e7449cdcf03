"""Every front end becomes one plan: weights, mirrors and matches by step, looks, and the way to 100%."""

from datetime import timedelta
from typing import Any

import pytest

from canary.api.analysis import Analysis
from canary.api.canary import Canary, CanaryPolicy, MetricTemplate
from canary.api.plan import Plan, Step
from canary.engine.errors import Invalid
from canary.engine.pairs import TargetType
from canary.engine.policy_merge import judged_by, resolve
from canary.engine.resolved import resolve_spec
from canary.engine.strategies import plan_of

MATCH = [{"headers": {"x-user-group": {"exact": "beta"}}}]


def words(step: Step) -> str:
    """A step in a few words: `10% for 1m` …"""
    traffic = step.traffic
    parts = [f"{traffic.weight}%"]
    parts += [f"mirror {traffic.mirror}%"] if traffic.mirror else []
    parts += [f"match {traffic.match_weight}%" if traffic.match_weight else "match"] if traffic.match else []
    parts += [f"{step.iterations} evaluations"] if step.iterations != 1 else []
    parts += [f"held {step.hold.total_seconds():g}s"] if step.hold else []
    parts += ["copies"] if step.copies else []
    return ", ".join(parts)


def reported(plan: Plan) -> tuple[str, str]:
    """The analysed steps after the start, and the promotion."""
    start, *steps = plan.steps
    assert words(start) == "0%, 0 evaluations"
    return " | ".join(map(words, steps)), " | ".join(map(words, plan.promotion))


END = "100%, 0 evaluations"


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
                     "70%, 0 evaluations, held 60s | 90%, 0 evaluations, held 60s | 100%, 0 evaluations",
                     id="promoted in raises"),
        pytest.param({"stepWeights": [50], "stepWeightPromotion": 50}, "50%", END, id="a raise that ends at 100"),
        pytest.param({"stepWeights": [50], "stepWeightPromotion": 0}, "50%", END, id="0 means one jump"),
        pytest.param({"stepWeights": [10], "mirror": True}, "0%, mirror 100% | 10%", END, id="mirrored first"),
        pytest.param({"stepWeights": [10], "mirror": True, "mirrorWeight": 5}, "0%, mirror 5% | 10%", END,
                     id="mirrored in part"),
        pytest.param({"iterations": 10}, "0%, 10 evaluations", END, id="blue/green"),
        pytest.param({"iterations": 3, "mirror": True}, "0%, mirror 100%, 3 evaluations", END,
                     id="blue/green, mirrored"),
        pytest.param({"iterations": 3, "match": MATCH}, "0%, match, 3 evaluations", END, id="A/B"),
        pytest.param({"stepWeight": 40, "match": MATCH}, "0%, match 40% | 0%, match 80% | 0%, match", END,
                     id="weights of requests that match"),
        pytest.param({"stepWeights": [0, 5], "match": MATCH}, "0% | 0%, match 5%", END, id="none of them at 0"),
        pytest.param({"steps": [{"weight": 5, "match": MATCH, "matchWeight": 30}, {"weight": 5, "match": MATCH}]},
                     "5%, match 30% | 5%, match", END, id="matchWeight of a step"),
        pytest.param({"iterations": 1, "stepWeightPromotion": 50}, "0%",
                     "50%, 0 evaluations, held 60s | 100%, 0 evaluations",
                     id="blue/green, promoted in raises"),
        pytest.param({"steps": [{"match": MATCH, "hold": "30m"}, {"weight": 10, "hold": "5m"}, {"weight": 100}]},
                     "0%, match, held 1800s | 10%, held 300s | 100%", "", id="explicit steps: absent weight is 0"),
        pytest.param({"steps": [{"weight": 10, "iterations": 0}, {"weight": 20, "iterations": 4}]},
                     "10%, 0 evaluations | 20%, 4 evaluations", END, id="explicit looks, 100% added"),
        pytest.param({}, "", END, id="no strategy: straight to 100%"),
    ],
)  # fmt: skip
def test_each_front_end(analysis: dict[str, Any], steps: str, promotion: str) -> None:
    assert reported(plan_of(Analysis.model_validate(analysis))) == (steps, promotion)


BACK = "0%, 0 evaluations, copies"


@pytest.mark.parametrize(
    ("analysis", "steps", "promotion"),
    [
        pytest.param({"stepWeights": [10, 50]}, "10% | 50%", f"50%, 0 evaluations, copies | {BACK}",
                     id="the copy at the last weight, then back"),
        pytest.param({"stepWeights": [100]}, "100%", f"100%, 0 evaluations, copies | {BACK}", id="from 100%"),
        pytest.param({"stepWeights": [50], "stepWeightPromotion": 20}, "50%",
                     "50%, 0 evaluations, copies | 30%, 0 evaluations, held 60s | 10%, 0 evaluations, held 60s | "
                     + BACK, id="back in decreases"),
        pytest.param({"iterations": 2}, "0%, 2 evaluations", f"100% | 100%, 0 evaluations, copies | {BACK}",
                     id="blue/green: all requests and one evaluation before the copy"),
        pytest.param({"iterations": 2, "match": MATCH}, "0%, match, 2 evaluations",
                     f"0%, match, 0 evaluations, copies | {BACK}", id="A/B"),
        pytest.param({"stepWeights": [30], "match": MATCH}, "0%, match 30%",
                     f"0%, match 30%, 0 evaluations, copies | {BACK}", id="a share of those that match"),
        pytest.param({"iterations": 2, "mirror": True}, "0%, mirror 100%, 2 evaluations",
                     f"100% | 100%, 0 evaluations, copies | {BACK}", id="mirrored"),
        pytest.param({}, "", f"{BACK} | {BACK}", id="no strategy: the copy only"),
    ],
)  # fmt: skip
def test_each_front_end_for_a_target_with_a_primary(analysis: dict[str, Any], steps: str, promotion: str) -> None:
    """The template is copied where the last step's traffic stays, and all traffic ends at the primary."""
    assert reported(plan_of(Analysis.model_validate(analysis), target=TargetType.PRIMARY)) == (steps, promotion)


def test_skip_analysis_goes_straight_to_100() -> None:
    """With any strategy."""
    assert reported(plan_of(Analysis(step_weight=10), skip_analysis=True)) == ("", END)


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
                     "0%, match, 10 evaluations", id="the A/B tutorial"),
        pytest.param(flagger({"interval": "1m", "threshold": 2, "iterations": 10}),
                     "0%, 10 evaluations", id="the blue/green tutorial"),
    ],
)  # fmt: skip
def test_flaggers_tutorials(canary: Canary, steps: str) -> None:
    assert reported(resolve_spec(canary).plan)[0] == steps


def policy(**analysis: Any) -> CanaryPolicy:
    """A policy to share."""
    return CanaryPolicy.model_validate({"metadata": {"name": "standard"}, "spec": {"analysis": analysis}})


def test_a_policy_gives_what_the_canary_lacks() -> None:
    """Field by field."""
    want = resolve_spec(flagger({"interval": "10s"}), policy(interval="1m", threshold=7, stepWeight=20, maxWeight=40))
    assert reported(want.plan)[0] == "20% | 40%"
    assert (want.policy.interval.total_seconds(), want.policy.threshold) == (10, 7)


def test_a_strategy_comes_from_one_hand() -> None:
    """A Canary with a strategy of its own takes nothing of the policy's."""
    want = resolve_spec(flagger({"iterations": 2}), policy(stepWeight=20, maxWeight=40, mirror=True, threshold=7))
    assert reported(want.plan) == ("0%, 2 evaluations", f"100% | 100%, 0 evaluations, copies | {BACK}")
    assert want.policy.threshold == 7


def test_defaults_that_a_rollout_pins() -> None:
    """Flagger's, where it has them."""
    rules = resolve_spec(flagger({"interval": "2m", "threshold": -1})).policy
    seconds = {name: value.total_seconds() for name, value in rules if hasattr(value, "total_seconds")}
    assert rules.threshold == 1
    assert seconds == {"interval": 120, "deadline": 86400, "ready_deadline": 600, "settle": 30, "scrape_interval": 15,
                       "lag": 1, "unready_grace": 15, "drain": 30}  # fmt: skip
    limit = (rules.on_no_data.after.total_seconds(), rules.on_no_data.then)
    assert limit == (900, "rollback")
    assert rules.on_unreachable == rules.on_no_data


@pytest.mark.parametrize(
    ("judge", "written", "then"),
    [
        pytest.param("threshold", None, "rollback", id="threshold"),
        pytest.param("sequential", None, "hold", id="sequential holds"),
        pytest.param({"type": "sequential", "minEffect": 2}, None, "hold", id="also with settings"),
        pytest.param("sequential", {"then": "rollback"}, "rollback", id="what is written wins"),
        pytest.param("sequential", {"after": "20m"}, "rollback", id="a duration alone asks for a rollback"),
        pytest.param("threshold", {"then": "hold"}, "hold", id="for both"),
    ],
)
def test_what_no_data_leads_to_by_judge(judge: Any, written: Any, then: str) -> None:
    """No request is no proof; what can't be read rolls back with both."""
    analysis = {"interval": "2m", "stepWeight": 20, "judge": judge} | ({"onNoData": written} if written else {})
    rules = resolve_spec(flagger(analysis)).policy
    assert (rules.on_no_data.then, rules.on_unreachable.then) == (then, "rollback")


def test_another_judge_has_its_own_default_without_data() -> None:
    """`canary backtest` and `policy report` look at both judges."""
    rules = resolve_spec(flagger({"interval": "2m", "stepWeight": 20})).policy
    other = judged_by(rules, "sequential")
    assert (other.on_no_data.then, judged_by(other, "threshold").on_no_data) == ("hold", rules.on_no_data)
    written = rules.but(on_no_data=rules.on_no_data.but(after=timedelta(minutes=20)))
    assert judged_by(written, "sequential").on_no_data == written.on_no_data


def test_patience_is_three_intervals_at_least() -> None:
    """max(15m, 3 × interval), with any threshold."""
    rules = resolve_spec(flagger({"interval": "10m", "threshold": 10})).policy
    assert rules.on_no_data.after == rules.on_unreachable.after == 3 * rules.interval


def test_flaggers_older_threshold() -> None:
    """A minimum for the success rate, else a maximum."""
    older = [{"name": "request-success-rate", "threshold": 99}, {"name": "request-duration", "threshold": 500}]
    rate, duration = resolve_spec(flagger({"metrics": older})).policy.metrics
    assert (rate.range.min, rate.range.max, duration.range.min, duration.range.max) == (99, None, None, 500)


@pytest.mark.parametrize(
    ("canary", "asked"),
    [
        (flagger({"stepWeight": 10}), ()),
        (flagger({"stepWeight": 10, "metrics": METRICS}), ("request-success-rate", "request-duration")),
        (flagger({"stepWeight": 10, "minRequests": 5}), ()),
    ],
)
def test_what_the_server_is_asked(canary: Canary, asked: tuple[str, ...]) -> None:
    """A manifest without metrics needs no Prometheus, also where requests would be counted; nor without analysis."""
    assert resolve_spec(canary).asks_server == asked
    assert resolve_spec(canary.but(spec=canary.spec.but(skip_analysis=True))).asks_server == ()


def test_a_template_that_is_not_there() -> None:
    with pytest.raises(Invalid, match="MetricTemplate errors, which doesn't exist"):
        resolve_spec(flagger({"metrics": [{"name": "x", "templateRef": {"name": "errors"}}]}))


@pytest.mark.parametrize(
    "asked", [{"templateRef": {"name": "errors"}}, {"query": "up"}], ids=["a template", "a query"]
)
def test_a_query_called_like_a_builtin_is_asked_beside_it(asked: dict[str, Any]) -> None:
    """As Flagger does: it must not silently take the builtin's place. The name says which of the two has failed."""
    metric = {"name": "request-success-rate", "thresholdRange": {"min": 99}, "templateVariables": {"a": "b"}} | asked
    given = Analysis.model_validate({"stepWeight": 10, "metrics": [metric, {**metric, "name": "shop-errors"}]})
    template = MetricTemplate.model_validate(
        {"metadata": {"name": "errors"}, "spec": {"query": "up", "provider": {"address": "http://other:9090"}}}
    )
    pinned = resolve(flagger(None).spec, given, {"errors": template}).metrics
    source, server = ("errors", "http://other:9090") if "templateRef" in asked else ("query", None)
    assert [(one.name, one.query, one.server) for one in pinned] == [
        ("request-success-rate", None, None),
        (f"request-success-rate ({source})", "up", server),
        ("shop-errors", "up", server),
    ]
    assert {one.range.min for one in pinned} == {99}


def test_counters_of_a_template_are_pinned() -> None:
    """An edit of the template is for the next rollout."""
    metric = {"name": "orders", "templateRef": {"name": "orders"}, "templateVariables": {"a": "b"}}
    given = Analysis.model_validate({"stepWeight": 10, "metrics": [metric]})
    spec = {"counts": {"total": "a_total", "bad": "b_total"}}
    template = MetricTemplate.model_validate({"metadata": {"name": "orders"}, "spec": spec})
    [pinned] = resolve(flagger(None).spec, given, {"orders": template}).metrics
    assert (pinned.query, pinned.counts, pinned.variables) == (None, template.spec.counts, {"a": "b"})


def test_a_suffix_is_matched_as_an_expression() -> None:
    """No router need know it, and what a route says is read back as what was asked for."""
    users = [{"headers": {"x": {"suffix": "@a.example"}, "y": {"exact": "a"}}, "queryParams": {"q": {"suffix": "+"}}}]
    for written in ({"iterations": 3, "match": users}, {"steps": [{"match": users}]}):
        found = plan_of(Analysis.model_validate(written)).steps[1].traffic.match[0].wire()
        assert found["headers"] == {"x": {"regex": r".*@a\.example"}, "y": {"exact": "a"}}
        assert found["queryParams"] == {"q": {"regex": r".*\+"}}


def test_the_longest_suffix_is_an_expression_that_a_status_can_hold() -> None:
    """A character may take two in an expression, whose length is bounded as well."""
    pinned = plan_of(Analysis.model_validate({"steps": [{"match": [{"headers": {"x": {"suffix": "." * 500}}}]}]}))
    assert Plan.model_validate(pinned.wire()) == pinned
