"""No traffic moves before each metric could be read once; above 0%, missing metrics have an answer by default."""

from dataclasses import replace
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.plan import Traffic
from canary.api.status import Outcome
from canary.engine.decide import needs
from canary.engine.observed import Cause
from tests.engine.situations import (
    HOUR,
    MINUTE,
    NOW,
    Case,
    Change,
    after,
    asks,
    at_20_percent,
    at_step,
    changed,
    decided,
    missing,
    no_data,
    no_pods,
    of_canary,
    paused,
    prometheus_down,
    route_at,
    wants,
)
from tests.moves import moves

UNREACHABLE = [cause for cause in Cause if cause.unreachable]
READ = [cause for cause in Cause if not cause.unreachable]


def at_start(*changes: Change, spec: dict[str, bool] | None = None, **analysis: Any) -> Case:
    """At step 0, in place, and the first answer is due."""
    return changed(at_step(0, wants(spec, **analysis)).but(started=NOW, deadline=NOW + 2 * HOUR), *changes)


@pytest.mark.parametrize("cause", UNREACHABLE)
def test_waits_at_0_while_metrics_cannot_be_read(cause: Cause) -> None:
    """Without a failed check, with the reason and the time of the first miss; asked again after an interval."""
    case = at_start(missing(cause))
    for minutes in range(3):
        decision = decided(case)
        assert (decision.reason, decision.actions, decision.status.canary_weight) == ("MetricsUnreachable", (), 0)
        sentence = f"waiting at 0%: request-success-rate can't be read: {cause.value}, since 10:00:00 UTC"
        assert decision.sentence == sentence
        assert (decision.status.failed_checks, decision.evaluated, decision.requeue_after) == (0, False, MINUTE)
        assert case.now == NOW + minutes * MINUTE
        case = after(case, decision, seconds=60)
    assert decided(changed(case, of_canary())).reason == "CanaryReady"  # starts by itself


@pytest.mark.parametrize("cause", READ)
def test_no_data_yet_is_an_answer(cause: Cause) -> None:
    """The canary has no requests."""
    assert decided(at_start(missing(cause))).status.canary_weight == 10


def test_what_is_read_at_the_start_is_not_judged() -> None:
    """Nor does it count for the first step."""
    decision = decided(at_start(of_canary(rate=0.0)))
    assert (decision.reason, decision.status.failed_checks) == ("CanaryReady", 0)
    assert decision.status.rollout is not None
    assert (decision.status.rollout.evaluation, decision.status.rollout.evidence) == (None, None)


def test_each_metric_is_asked_once() -> None:
    """While replicas are awaited, the answer stays known."""
    case = at_start(no_pods)
    assert len(needs(case.resolved, case.status, case.now).queries) == 4
    decision = decided(case)
    assert decision.reason == "CanaryNotReady"
    case = after(case, decision, seconds=60)
    assert needs(case.resolved, case.status, case.now).queries == ()


def test_nothing_moves_before_the_first_answer() -> None:
    """As in a reconcile between slots."""
    decision = decided(at_start().but(next_evaluation=NOW + MINUTE))
    assert (decision.reason, decision.actions, decision.status.canary_weight) == ("Analysing", (), 0)


@pytest.mark.parametrize("verb", [Verb.SKIP, Verb.PROMOTE])
def test_a_person_may_start_without_metrics(verb: Verb) -> None:
    assert decided(at_start(prometheus_down, asks(verb))).actions != ()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(at_start(prometheus_down, metrics=None), id="no metrics"),
        pytest.param(at_start(prometheus_down, spec={"skipAnalysis": True}), id="skipAnalysis"),
    ],
)
def test_a_rollout_that_is_not_analysed_asks_nothing(case: Case) -> None:
    assert needs(case.resolved, case.status, case.now).queries == ()
    assert decided(case).reason == "CanaryReady"


@pytest.mark.parametrize("more", [{}, {"mirror": True}, {"match": [{"headers": {"x": {"exact": "y"}}}]}], ids=str)
def test_other_strategies_wait_as_well(more: dict[str, Any]) -> None:
    """Blue/green, a mirror, and single users."""
    decision = decided(at_start(prometheus_down, steps=None, iterations=2, **more))
    assert (decision.reason, decision.actions) == ("MetricsUnreachable", ())


def test_the_word_to_promote_without_data_does_not_start() -> None:
    limit = {"after": "0s", "then": "promote"}
    assert decided(at_start(prometheus_down, onUnreachable=limit)).reason == "MetricsUnreachable"


def test_the_deadline_ends_the_wait() -> None:
    case = at_start(prometheus_down)
    late = decided(replace(after(case, decided(case)), now=case.now + 2 * HOUR))
    assert late.status.rollout is not None
    assert late.status.rollout.end is not None
    assert (late.status.rollout.end.outcome, late.reason) == (Outcome.ROLLED_BACK, "DeadlinePassed")


@pytest.mark.parametrize(
    ("lack", "reported"),
    [
        pytest.param(no_data, "no evidence of request-success-rate: no data", id="no data"),
        pytest.param(prometheus_down, "request-success-rate can't be read: connection refused", id="unreachable"),
    ],
)
def test_by_default_15_minutes_without_evidence_roll_back(lack: Change, reported: str) -> None:
    """The time of the first miss is shown from the beginning, and when the answer comes."""
    first = decided(at_20_percent(lack))
    assert first.sentence == f"holding at 20%: {reported}, since 10:00:00 UTC, to be rolled back at 10:15:00 UTC"
    early = after(at_20_percent(lack), first, seconds=14 * 60)
    again = decided(early)
    assert again.sentence == first.sentence
    last = decided(after(early, again, seconds=60))
    assert (last.sentence, moves(last)[0].traffic) == (f"{reported}, for 15m", Traffic())


def test_the_clock_stands_still_while_paused() -> None:
    """No time is shown then."""
    case = at_20_percent(prometheus_down, paused)
    rollout = decided(case).status.rollout
    assert rollout is not None
    assert rollout.evaluation is not None
    assert rollout.evaluation.message == "request-success-rate can't be read: connection refused"
    assert case.route == route_at(Traffic(weight=20))
