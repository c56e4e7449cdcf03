"""Limits of single metrics, and metrics that are only shown."""

from typing import Any

import pytest

from canary.api.evidence import Evidence
from canary.engine.observed import Cause, Missing, Query, Sample, Value
from tests.engine.situations import Case, after, answering, at_20_percent, decided, paused, wants

LONG = [{"weight": 20, "iterations": 99}, {"weight": 20, "iterations": 99}]
RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
DURATION = {"name": "request-duration", "thresholdRange": {"max": 500}}


def rolling(*metrics: dict[str, Any], threshold: int = 3) -> Case:
    """A rollout that goes on for long, judged by these metrics."""
    return at_20_percent(metrics=list(metrics), threshold=threshold, steps=LONG)


def reported(case: Case, *answers: Sample) -> list[tuple[str, str, int]]:
    """Verdict, reason and failed checks of one evaluation for each answer about the canary's success rate."""
    found: list[tuple[str, str, int]] = []
    for answer in answers:

        def value(query: Query, answer: Sample = answer) -> Sample | None:
            return answer if (query.subject.workload, query.metric) == ("v2", "request-success-rate") else None

        decision = decided(answering(value)(case))
        rollout = decision.status.rollout
        seen = rollout.evaluation if rollout is not None else None
        verdict = seen.verdict if seen is not None else "over"
        found.append((verdict, str(decision.reason), decision.status.failed_checks))
        case = after(case, decision, seconds=60)
    return found


def test_a_metric_with_a_limit_counts_by_itself() -> None:
    """Two failures are borne, passes between forgive nothing, the third rolls back; `threshold` isn't touched."""
    case = rolling({**RATE, "failureLimit": 2}, DURATION, threshold=1)
    bad, good = Value(90.0), Value(100.0)
    seen = reported(case, bad, good, bad, bad)
    assert seen[:3] == [
        ("hold", "SuccessRateBelowMinimum", 0),
        ("pass", "Analysing", 0),
        ("hold", "SuccessRateBelowMinimum", 0),
    ]
    assert seen[3][:2] == ("roll back", "SuccessRateBelowMinimum")


def test_a_limit_of_none_is_stricter_than_the_threshold() -> None:
    """The first failure rolls back."""
    assert reported(rolling({**RATE, "failureLimit": 0}, threshold=9), Value(90.0))[0][0] == "roll back"


def test_the_sentence_has_the_metrics_own_count() -> None:
    """Beside the common one, if other metrics failed as well."""
    bad = answering(lambda query: Value(90.0 if query.metric == RATE["name"] else 900.0))
    sentence = decided(bad(rolling({**RATE, "failureLimit": 2}, DURATION))).sentence
    assert sentence.endswith("(1 of 3 failed checks; request-success-rate failed 1 time, failureLimit 2)")


def test_errors_in_a_row_roll_back_before_the_time_is_over() -> None:
    """Only those in a row count, and only what couldn't be read: no data is an answer."""
    case = rolling({**RATE, "consecutiveErrorLimit": 1})
    down, none, good = Missing(Cause.REFUSED), Missing(Cause.EMPTY), Value(100.0)
    seen = [verdict for verdict, _, _ in reported(case, down, good, down, none, none, none, down, down)]
    assert seen == ["hold", "pass", "hold", "hold", "hold", "hold", "hold", "roll back"]


def test_errors_dont_count_while_nothing_is_exposed() -> None:
    """As the clocks of missing values."""
    case = paused(rolling({**RATE, "consecutiveErrorLimit": 0}))
    assert reported(case, Missing(Cause.REFUSED))[0][0] != "roll back"


@pytest.mark.parametrize("answer", [Value(1.0), Missing(Cause.REFUSED), Missing(Cause.EMPTY)])
def test_a_dry_run_is_shown_and_never_counted(answer: Sample) -> None:
    """Whether it fails, or can't be read."""
    case = rolling({**RATE, "dryRun": True}, DURATION, threshold=1)
    assert reported(case, answer)[0] == ("pass", "Analysing", 0)

    def value(query: Query) -> Sample | None:
        return answer if (query.subject.workload, query.metric) == ("v2", "request-success-rate") else None

    rollout = decided(answering(value)(case)).status.rollout
    assert rollout is not None
    assert rollout.evaluation is not None
    shown = {check.metric: (check.result, check.dry_run) for check in rollout.evaluation.checks}
    result = "failed" if isinstance(answer, Value) else "missing"
    assert shown == {"request-success-rate": (result, True), "request-duration": ("passed", None)}


def test_a_rollout_starts_without_an_answer_to_a_dry_run() -> None:
    """Nothing depends on it, so nothing waits for it."""
    case = rolling({**RATE, "dryRun": True}, DURATION)
    start = case.but(step=0, desired=case.rollout.plan.steps[0].traffic.but(weight=0), evaluation=None)

    def value(query: Query) -> Sample | None:
        return Missing(Cause.REFUSED) if query.metric == "request-success-rate" else None

    rollout = decided(answering(value)(start)).status.rollout
    assert rollout is not None
    assert rollout.evaluation is not None
    assert rollout.evaluation.verdict == "pass"


def test_evidence_without_limits_is_what_an_older_build_can_read() -> None:
    """Its format is the old one until a metric with a limit has failed."""
    for metric, version in ((RATE, 1), ({**RATE, "failureLimit": 5}, 2)):
        bad = answering(lambda query: Value(90.0))(rolling(metric))
        rollout = decided(bad).status.rollout
        assert rollout is not None
        assert rollout.evidence is not None
        assert rollout.evidence.version == version
    kept = Evidence(judge="threshold", version=1, data={"failed_checks": 2}, up_to=bad.now)
    assert reported(rolling({**RATE, "failureLimit": 5}).but(evidence=kept), Value(100.0))[0] == (
        "pass",
        "Analysing",
        2,
    )


def test_limits_are_pinned() -> None:
    """A later edit is for the next rollout."""
    (metric,) = wants(
        metrics=[{**RATE, "failureLimit": 1, "consecutiveErrorLimit": 4, "dryRun": False}]
    ).policy.metrics
    assert (metric.failure_limit, metric.consecutive_error_limit, metric.dry_run) == (1, 4, None)
