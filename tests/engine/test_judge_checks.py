"""What is wrong with a judge and its settings: each row changes a good Canary, and names all problems that follow."""

from typing import Any

import pytest

from canary.api.canary import Canary, MetricTemplate
from canary.engine.validation import check_policy
from canary.engine.validation.judge import ALONE, EDGES, GAUGE, NO_MAXIMUM, NOTHING
from canary.engine.validation.tcp import NO_COUNTS

from .test_checks import DURATION, IN_A_MESH, RATE, canary, counting, policy, query, reported, template

PROMETHEUS = {"metricsServer": "http://prometheus:9090"}
UNUSED = "isn't used by the judge sequential"
JUDGE = "spec.analysis.judge"
METRICS = "spec.analysis.metrics"
TCP: dict[str, Any] = {
    "targetRef": {"kind": "Deployment", "name": "db"}, "version": None, "envoy": None,
    "service": {"port": 1, "portName": "tcp-db"},
}  # fmt: skip


def judged(spec: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, **analysis: Any) -> Canary:
    """The good Canary with the judge `sequential`, asked of a Prometheus."""
    judge = {"type": "sequential", **settings} if settings else "sequential"
    return canary(PROMETHEUS | (spec or {}), **{"threshold": None, "judge": judge} | analysis)


def within(slowest: str, **spec: Any) -> Canary:
    """The same with an objective for latency."""
    return judged(spec, {"objective": {"latency": {"max": slowest}}}, metrics=None)


def rated(**settings: Any) -> Canary:
    """With these settings, and a builtin."""
    return judged(None, settings, metrics=[RATE])


ORDERS: dict[str, Any] = {"name": "orders", "templateRef": {"name": "errors"}, "thresholdRange": {"min": 99}}
NO_OBJECTIVE = ORDERS | {"thresholdRange": {"max": 100}}
LAST: dict[str, Any] = {"steps": [{"weight": 50}, {"weight": 100, "hold": "5m"}]}
CHECK = {"name": "tests", "type": "rollout", "url": "http://tests"}


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(judged(), [], id="with ranges for objectives"),
        pytest.param(judged(metrics=None, settings={"objective": {"successRate": 99}}), [], id="without metrics"),
        pytest.param(
            canary(judge={"type": "treshold", "minEffect": 2}),
            [f"error: {JUDGE}.type: 'treshold' is no judge; did you mean threshold?"],
            id="none of this name, with settings",
        ),
        pytest.param(
            canary(judge={"type": "threshold", "warmup": "1m", "falseRollbackRate": "2%"}),
            [
                f"warning: {JUDGE}.falseRollbackRate: isn't used by the judge threshold, only by sequential",
                f"warning: {JUDGE}.warmup: isn't used by the judge threshold, only by sequential",
            ],
            id="settings of another judge",
        ),
        pytest.param(
            rated(falseRollbackRate=0.01),
            [
                f"warning: {JUDGE}.falseRollbackRate: 0.01% is one rollout in 10000, so proof takes longer; "
                "did you mean 1%?"
            ],
            id="a share for a rate",
        ),
        pytest.param(rated(falseRollbackRate="0.1%"), [], id="one in a thousand"),
        pytest.param(
            rated(objective={"successRate": 0.99}),
            [
                f"warning: {JUDGE}.objective.successRate: 0.99 is per cent, not a share; did you mean 99?",
                f"warning: {METRICS}[0].thresholdRange: 99 isn't used: objective.successRate of the judge is 0.99",
            ],
            id="a share for an objective, and another in the range",
        ),
        pytest.param(
            judged(None, {"objective": {"latency": {"max": "250ms", "quantile": 0.99}}}, metrics=[DURATION]),
            [
                f"warning: {JUDGE}.objective.latency.quantile: 0.99 is per cent, not a share; did you mean 99?",
                f"warning: {METRICS}[0].thresholdRange: 500 isn't used: objective.latency.max of the judge is 250",
            ],
            id="a share for a quantile, and another maximum in the range",
        ),
        pytest.param(
            within("0s"), [f"error: {JUDGE}.objective.latency.max: must be longer than 0s"], id="no time at all"
        ),
        pytest.param(
            judged(TCP, {"objective": {"successRate": 99}}, metrics=None),
            [f"error: {JUDGE}.objective: {NO_COUNTS}"],
            id="an objective of requests for connections",
        ),
        pytest.param(
            judged(metrics=[RATE], settings={"onInconclusive": {"after": "30h", "then": "promote"}}),
            [f"warning: {JUDGE}.onInconclusive.after: 30h is not before the deadline of 24h, which rolls back first"],
            id="an answer that is never given",
        ),
        pytest.param(
            judged(metrics=[RATE], settings={"onInconclusive": {"after": "30h", "then": "hold"}}), [], id="no answer"
        ),
        pytest.param(
            judged(metrics=[RATE], onNoData={"after": "20m"}),
            [
                "warning: spec.analysis.onNoData: rolls back a canary without requests, as then isn't written; the "
                "judge sequential would hold without onNoData; write then: hold or then: rollback"
            ],
            id="no data rolls back without saying so",
        ),
        pytest.param(judged(metrics=[RATE], onNoData={"then": "rollback"}), [], id="no data rolls back"),
        pytest.param(
            judged(settings={"warmup": "10m"}),
            [f"warning: {JUDGE}.warmup: a rollout may take only 10m, so latency would never count"],
            id="a warm-up as long as the rollout",
        ),
    ],
)
def test_settings(given: Canary, problems: list[str]) -> None:
    """In the units that are meant, and of the judge that is chosen."""
    assert reported(given) == problems


@pytest.mark.parametrize(
    ("given", "known", "problems"),
    [
        pytest.param(judged(metrics=[ORDERS]), counting(), [], id="counts of events"),
        pytest.param(
            judged(metrics=[RATE, query("up")]),
            counting(),
            [f"error: {METRICS}[1].query: {GAUGE}"],
            id="a query of one's own",
        ),
        pytest.param(
            judged(metrics=[ORDERS]),
            template("up"),
            [f"error: {METRICS}[0].templateRef: {GAUGE}"],
            id="a template with a query",
        ),
        pytest.param(
            judged(metrics=[RATE, query("up", dryRun=True)]),
            counting(),
            [f"warning: {METRICS}[1].query: {UNUSED}, so it isn't shown either"],
            id="a value that is only to be shown",
        ),
        pytest.param(
            judged(metrics=[RATE, DURATION | {"thresholdRange": {"min": 1, "max": None}}]),
            counting(),
            [
                f"warning: {METRICS}[1].thresholdRange: min 1 fails a canary that answers faster, and none that is "
                "slower; did you mean max: 1?",
                f"error: {METRICS}[1]: {NO_MAXIMUM}",
            ],
            id="durations without a maximum",
        ),
        pytest.param(judged(metrics=None), counting(), [f"error: {JUDGE}: {NOTHING}"], id="nothing"),
        pytest.param(
            judged({"skipAnalysis": True}, metrics=None), counting(), [], id="nothing, and nothing is judged"
        ),
        pytest.param(
            judged(metrics=[RATE | {"dryRun": True}]),
            counting(),
            [f"warning: {METRICS}: all have dryRun, so nothing is judged", f"error: {JUDGE}: {NOTHING}"],
            id="nothing that isn't only shown",
        ),
    ],
)
def test_what_is_counted(given: Canary, known: MetricTemplate, problems: list[str]) -> None:
    """Events, and no values."""
    assert reported(given, None, known) == problems


USUAL = "the edges usual in Envoy and Istio"
OWN = "the edges of Envoy's histograms"


@pytest.mark.parametrize(
    ("given", "at", "sentence"),
    [
        *(pytest.param(within(f"{edge:.12g}ms"), "", "", id=f"{edge:.12g}ms") for edge in EDGES),
        pytest.param(
            within("300ms"),
            f"{JUDGE}.objective.latency.max",
            f"300ms is between {USUAL}, 250ms and 500ms: requests slower than 500ms roll back, those slower than "
            "250ms hold; write one of the two, unless yours has other edges",
            id="between two",
        ),
        pytest.param(
            judged(metrics=[DURATION | {"thresholdRange": {"max": 400}}]),
            f"{METRICS}[0].thresholdRange",
            f"400ms is between {USUAL}, 250ms and 500ms: requests slower than 500ms roll back, those slower than "
            "250ms hold; write one of the two, unless yours has other edges",
            id="between two, in a range",
        ),
        pytest.param(
            within("2h"),
            f"{JUDGE}.objective.latency.max",
            f"7200000ms is beyond {USUAL}, 0.5ms to 3600000ms; write one of these",
            id="above the highest",
        ),
        pytest.param(within("300ms", **{"metricsServer": None}), "", "", id="two digits, of Envoy's own"),
        pytest.param(within("1300ms", **{"metricsServer": None}), "", "", id="two digits of four, of Envoy's own"),
        pytest.param(within("3ms", **{"metricsServer": None}), "", "", id="one digit, of Envoy's own"),
        pytest.param(
            within("255ms", **{"metricsServer": None}),
            f"{JUDGE}.objective.latency.max",
            f"255ms is between {OWN}, 250ms and 260ms: requests slower than 260ms roll back, those slower than "
            "250ms hold; write one of the two",
            id="three digits, of Envoy's own",
        ),
    ],
)
def test_edges(given: Canary, at: str, sentence: str) -> None:
    """An objective between two edges is judged from both sides, which may hold a good canary."""
    assert reported(given) == ([f"warning: {at}: {sentence}"] if at else [])


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(
            judged(metrics=[NO_OBJECTIVE], **LAST),
            [f"warning: spec.analysis.steps[1].weight: {ALONE}"],
            id="a step of all requests",
        ),
        pytest.param(
            judged(metrics=[NO_OBJECTIVE], steps=None, stepWeights=[50, 100]),
            [f"warning: spec.analysis.stepWeights[1]: {ALONE}"],
            id="a weight of all requests",
        ),
        pytest.param(
            judged(metrics=[NO_OBJECTIVE], steps=None, stepWeight=50),
            [f"warning: spec.analysis.stepWeight: {ALONE}"],
            id="weights up to all requests",
        ),
        pytest.param(
            judged(metrics=[NO_OBJECTIVE], steps=None, stepWeight=50, maxWeight=100),
            [f"warning: spec.analysis.maxWeight: {ALONE}"],
            id="weights up to a highest that is all",
        ),
        pytest.param(judged(metrics=[NO_OBJECTIVE]), [], id="half of the requests"),
        pytest.param(judged(metrics=[RATE], **LAST), [], id="all requests, with an objective"),
        pytest.param(
            judged(metrics=[NO_OBJECTIVE], steps=[{"weight": 50}, {"weight": 100, "iterations": 0}]),
            [],
            id="a step that isn't analysed",
        ),
    ],
)
def test_the_last_step(given: Canary, problems: list[str]) -> None:
    """Without a stable beside it, only an objective speaks against a canary."""
    percent = "max 100 can't fail, no more than 100 per cent can succeed; did you mean min?"
    known = [f"warning: {METRICS}[0].thresholdRange: {percent}"]
    found = reported(given, None, counting())
    assert [one for one in found if one not in known] == problems


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(
            judged(threshold=5, minRequests=10),
            [
                f"warning: spec.analysis.threshold: {UNUSED}: it counts failed webhooks only, and there are none",
                f"warning: spec.analysis.minRequests: {UNUSED}, which itself waits for enough requests",
            ],
            id="of the analysis",
        ),
        pytest.param(judged(threshold=5, webhooks=[CHECK]), [], id="checks by webhooks are counted"),
        pytest.param(
            judged(metrics=[RATE | {"interval": "1m", "failureLimit": 1, "consecutiveErrorLimit": 4}]),
            [
                f"warning: {METRICS}[0].interval: {UNUSED}, which counts from one evaluation to the next",
                f"warning: {METRICS}[0].failureLimit: {UNUSED}",
                f"warning: {METRICS}[0].consecutiveErrorLimit: {UNUSED}; write onUnreachable",
            ],
            id="of a metric",
        ),
        pytest.param(judged(metrics=[RATE | {"weight": 3}]), [], id="a weight"),
        pytest.param(
            judged(judge="threshold", metrics=[RATE | {"weight": 3}]),
            [f"warning: {METRICS}[0].weight: isn't used by the judge threshold; choose sequential, or remove it"],
            id="a weight with the other judge",
        ),
    ],
)
def test_fields_of_the_other_judge(given: Canary, problems: list[str]) -> None:
    """They are named where they mean nothing."""
    assert reported(given) == problems


def test_what_a_policy_says_to_all_is_no_mistake_of_one() -> None:
    """A policy's threshold is for the Canaries that keep its judge."""
    shared = policy(threshold=5, minRequests=10, metrics=[RATE | {"interval": "1m", "failureLimit": 1}])
    given = judged({"policyRef": {"name": "standard"}}, metrics=None)
    assert reported(given, shared) == []


def test_a_policy_may_have_a_judge_alone() -> None:
    """What it counts, and how fine, is for each Canary to say."""
    assert check_policy(policy(judge={"type": "sequential", "minEffect": 2})) == []
    assert check_policy(policy(judge={"type": "sequential", "objective": {"latency": {"max": "255ms"}}})) == []


def test_a_template_that_is_not_known_may_count() -> None:
    """It is looked for elsewhere."""
    assert not any(GAUGE in one for one in reported(judged(IN_A_MESH, metrics=[ORDERS])))
