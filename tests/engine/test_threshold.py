"""The judge `threshold`: Flagger's rule with its defects mended, table by table."""

from dataclasses import replace
from typing import Any

import pytest

from canary.api.analysis import EventCounts, Range
from canary.api.evidence import Evidence
from canary.api.pinned import MetricPolicy, Policy
from canary.engine.evaluations import names_of
from canary.engine.judges.judge import Standing
from canary.engine.judges.threshold import Threshold
from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject, Value
from tests.engine.situations import (
    MINUTE,
    NOW,
    SECOND,
    Case,
    Change,
    after,
    answering,
    at_20_percent,
    decided,
    good,
    manifest,
    missing,
    no_data,
    of_canary,
    one_failed_check,
    paused,
    prometheus_down,
)

MISSING = [kind for kind in Cause if kind is not Cause.ABSENT]


def verdict(case: Case) -> tuple[str, str, int]:
    """The evaluation's verdict and reason, and the failed checks."""
    status = decided(case).status
    assert status.rollout is not None
    assert status.rollout.evaluation is not None
    return status.rollout.evaluation.verdict, status.rollout.evaluation.reason, status.failed_checks


@pytest.mark.parametrize(
    ("rate", "duration", "expected"),
    [
        pytest.param(100, 40, ("pass", "ChecksPassed", 0), id="all in range"),
        pytest.param(99, 500, ("pass", "ChecksPassed", 0), id="both bounds are inclusive"),
        pytest.param(98.99, 40, ("hold", "SuccessRateBelowMinimum", 1), id="below the minimum"),
        pytest.param(100, 500.1, ("hold", "DurationAboveMaximum", 1), id="above the maximum"),
        pytest.param(90, 900, ("hold", "SuccessRateBelowMinimum", 1), id="two metrics, one failed check"),
        pytest.param(100, float("inf"), ("hold", "DurationAboveMaximum", 1), id="infinite is above any maximum"),
        pytest.param(float("nan"), 40, ("hold", "NoData", 0), id="NaN is neither"),
        pytest.param(float("nan"), 900, ("hold", "DurationAboveMaximum", 1), id="NaN here, a failure there"),
    ],
)
def test_a_look(rate: float, duration: float, expected: tuple[str, str, int]) -> None:
    assert verdict(at_20_percent(of_canary(rate, duration))) == expected


def test_failed_checks_are_counted_over_the_whole_rollout_not_in_a_row() -> None:
    """A pass in between forgives nothing; the one that reaches the threshold rolls back in its own reconcile."""
    case, reported = (
        at_20_percent(threshold=3, steps=[{"weight": 20, "iterations": 9}, {"weight": 20, "iterations": 9}]),
        [],
    )
    for rate in (90.0, 100.0, 90.0, 100.0, 90.0):
        decision = decided(replace(case, answers=at_20_percent(of_canary(rate)).answers))
        reported.append((decision.reason, decision.status.failed_checks, decision.status.canary_weight))
        case = after(case, decision, seconds=60)
    below = "SuccessRateBelowMinimum"
    assert reported == [(below, 1, 20), ("Analysing", 1, 20), (below, 2, 20), ("Analysing", 2, 20), (below, 3, 0)]


@pytest.mark.parametrize("kind", MISSING)
def test_what_is_missing_is_never_a_failed_check_and_never_a_pass(kind: Cause) -> None:
    """Promise 3, for every way in which something can be missing."""
    case = at_20_percent(one_failed_check, missing(kind))
    reason = "MetricsUnreachable" if kind.unreachable else "NoData"
    assert verdict(case) == ("hold", reason, 1)
    assert decided(case).status.iterations == 0


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(lambda query: Counts(10, 10), id="counts where a value was due"),
        pytest.param(lambda query: Value(1.0) if query.shape is Shape.COUNTS else good(query), id="the reverse"),
    ],
)
def test_an_answer_of_the_wrong_shape_is_missing(odd: Any) -> None:
    assert verdict(at_20_percent(answering(odd), minRequests=1))[:2] == ("hold", "MetricsUnreachable")


@pytest.mark.parametrize(
    ("of_canary", "said"),
    [
        pytest.param(Counts(200, 10), "orders 95 is below 99, stable 99.9 (1 of 1 failed checks)", id="too many"),
        pytest.param(Counts(200, 2), "all checks passed", id="just as many as may be"),
        pytest.param(Counts(0, 0), "no evidence of orders: no data (no event in the window)", id="no event"),
        pytest.param(Value(100.0), "orders can't be read: not an answer", id="a value"),
    ],
)
def test_counts_are_judged_by_the_share_of_good_events(of_canary: Sample, said: str) -> None:
    """In per cent, as a success rate; stable is asked as well, because the counters are the same."""
    counts = EventCounts(total='a_total{app="{{ target }}"}', bad="b_total")
    orders = MetricPolicy(name="orders", window=MINUTE, range=Range(min=99), counts=counts, variables={"a": "b"})
    v1, v2 = Subject("v1"), Subject("v2")
    where: dict[str, Any] = {"step": 1, "steps": 3, "weight": 20, "exposed": True, "paused": False}
    standing = Standing(at=NOW, since=NOW - 5 * MINUTE, stable=v1, canary=v2, names=(("name", "web"),), **where)
    policy = Policy(metrics=(orders,))
    names = (("name", "web"), ("variables.a", "b"))
    asked = Query("orders", MINUTE, v2, Shape.COUNTS, text=counts.total, bad="b_total", names=names)
    assert Threshold().asks(policy, None, standing) == (asked, replace(asked, subject=v1))
    ruling = Threshold().fold(policy, None, {asked: of_canary, replace(asked, subject=v1): Counts(1000, 1)}, standing)
    assert ruling.sentence.startswith(said)


def bearing(then: str) -> dict[str, Any]:
    """Both patiences are one minute."""
    return {name: {"after": "1m", "then": then} for name in ("onNoData", "onUnreachable")}


@pytest.mark.parametrize(("lack", "reason"), [(no_data, "NoData"), (prometheus_down, "MetricsUnreachable")])
@pytest.mark.parametrize(
    ("then", "expected"),
    [
        pytest.param("hold", ("hold", 20), id="hold"),
        pytest.param("rollback", ("roll back", 0), id="roll back"),
        pytest.param("promote", ("pass", 20), id="pass, on the manifest's word"),
    ],
)
def test_patience_ends_as_the_manifest_says(then: str, expected: tuple[str, int], lack: Change, reason: str) -> None:
    """The first evaluation without data starts the clock, the one a minute later has waited for a minute."""
    case = at_20_percent(lack, **bearing(then))
    first = decided(case)
    assert first.status.rollout is not None
    assert first.status.rollout.evaluation is not None
    assert (first.status.rollout.evaluation.verdict, first.reason) == ("hold", reason)
    second = decided(after(case, first, seconds=60))
    assert second.status.rollout is not None
    assert second.status.rollout.evaluation is not None
    assert (second.status.rollout.evaluation.verdict, second.status.canary_weight) == expected
    assert second.status.failed_checks == 0
    if then == "promote":
        assert second.status.rollout.evaluation.message == "passed without data, as the manifest asks"


@pytest.mark.parametrize(
    ("between", "verdict_"),
    [
        pytest.param(good, "hold", id="data in between: from the beginning"),
        pytest.param(lambda query: Missing(Cause.EMPTY), "roll back", id="none in between: over"),
    ],
)
def test_data_ends_the_wait_for_data(between: Any, verdict_: str) -> None:
    case = at_20_percent(no_data, onNoData={"after": "2m", "then": "rollback"})
    for answers in (case.answers, between, case.answers):
        decision = decided(replace(case, answers=answers))
        case = replace(after(case, decision, seconds=60), answers=case.answers)
    assert case.rollout.evaluation is not None
    assert case.rollout.evaluation.verdict == verdict_


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(paused, id="paused"),
        pytest.param(lambda case: case.but(desired=case.rollout.desired.but(weight=0)), id="no one meets the canary"),
    ],
)
def test_the_clock_of_missing_data_runs_only_while_someone_may_meet_the_canary(change: Change) -> None:
    waited = {"failed_checks": 0, "no_data_since": (NOW - 9 * MINUTE).isoformat(), "unreachable_since": None}
    evidence = Evidence(judge="threshold", version=1, data=waited)
    case = at_20_percent(no_data, change, onNoData={"after": "1m", "then": "rollback"}).but(evidence=evidence)
    assert verdict(case)[0] == "hold"


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        pytest.param(Counts(50, 0), ("pass", "ChecksPassed", 0), id="enough"),
        pytest.param(Counts(49, 0), ("hold", "NoData", 0), id="too few to judge"),
        pytest.param(Missing(Cause.REFUSED), ("hold", "MetricsUnreachable", 0), id="no one can say"),
    ],
)
def test_min_requests(requests: Sample, expected: tuple[str, str, int]) -> None:
    """A window with too few requests isn't judged, be it good or bad."""
    counts = answering(lambda query: requests if query.shape is Shape.COUNTS else None)
    assert verdict(at_20_percent(counts, minRequests=50)) == expected


def windows(case: Case) -> dict[str, float]:
    """Seconds of each metric's window in this evaluation, and where they end."""
    from canary.engine.decide import needs

    asked = needs(case.resolved, case.status, case.now)
    assert asked.at is not None
    return {query.metric: query.window.total_seconds() for query in asked.queries}


SCRAPED: dict[str, Any] = {"scrapeInterval": "15s"}
METRICS = [
    {"name": "request-success-rate", "interval": "5m", "thresholdRange": {"min": 99}},
    {"name": "request-duration", "interval": "30s", "thresholdRange": {"max": 500}},
]


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param(90, (60, 30), id="in place for 90 s, settled for 60: the longer one is cut"),
        pytest.param(600, (300, 30), id="in place for long: each its own"),
        pytest.param(44, (300, 30), id="not settled for a scrape yet: whole windows, that can't pass"),
        pytest.param(None, (300, 30), id="not in place: whole windows, that can't pass"),
    ],
)
def test_each_metric_has_its_window_cut_where_the_step_had_settled(
    held: int | None, expected: tuple[float, float]
) -> None:
    since = None if held is None else NOW - held * SECOND
    case = at_20_percent(lambda case: case.but(in_place_since=since), metrics=METRICS, **SCRAPED)
    assert tuple(windows(case).values()) == expected


def test_a_look_while_traffic_settles_may_roll_back_but_never_passes() -> None:
    """What is seen then belongs to what was before."""
    young = lambda case: case.but(in_place_since=NOW - 10 * SECOND)  # noqa: E731 - a change like others
    assert verdict(at_20_percent(young, **SCRAPED))[:2] == ("hold", "Settling")
    bad = at_20_percent(young, one_failed_check, of_canary(rate=50), **SCRAPED)
    assert (verdict(bad)[0], decided(bad).status.canary_weight) == ("roll back", 0)


def test_looks_keep_the_intervals_grid() -> None:
    """Late by 75 s: one evaluation, at the grid's last time; the next one where it would have been."""
    late = at_20_percent(lambda case: case.but(next_evaluation=NOW - 75 * SECOND))
    rollout = decided(late).status.rollout
    assert rollout is not None
    assert rollout.evaluation is not None
    assert (rollout.evaluation.at, rollout.next_evaluation) == (NOW - 15 * SECOND, NOW + 45 * SECOND)


def test_the_sentence_says_what_was_seen_and_what_is_asked() -> None:
    """Stable's value beside it, and how many failed checks are left."""
    sentence = decided(at_20_percent(of_canary(rate=97.123))).sentence
    assert sentence == (
        "holding at 20%: request-success-rate 97.12% is below 99%, stable 100% (1 of 2 failed checks)"
    )  # fmt: skip


def test_evidence_of_another_format_counts_as_none() -> None:
    """After an upgrade a judge begins again."""
    old = Evidence(judge="threshold", version=0, data={"banana": 1})
    assert verdict(at_20_percent(lambda case: case.but(evidence=old)))[0] == "pass"


def test_ingress_and_route_are_the_targets_unless_they_are_named() -> None:
    """As in Flagger."""
    assert dict(names_of(manifest()))["route"] == dict(names_of(manifest()))["ingress"] == "web"
    named = dict(names_of(manifest({"ingressRef": {"name": "in"}, "routeRef": {"name": "out"}})))
    assert (named["ingress"], named["route"]) == ("in", "out")


def test_only_builtins_are_asked_of_stable_too() -> None:
    """A query of one's own names its workload itself."""
    own = [{"name": "errors", "query": "up{ns='{{ namespace }}'}", "thresholdRange": {"max": 1}}]
    case = at_20_percent(metrics=own)
    asked: list[Query] = list(case.observed.samples)
    assert [(query.metric, query.subject.workload, query.names[0]) for query in asked] == [
        ("errors", "v2", ("name", "web"))
    ]
