"""The judge `sequential`, evaluation by evaluation, on counts that a script says."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from canary.api.analysis import EventCounts, Range
from canary.api.canary import Canary
from canary.api.evidence import CheckResult, Evidence
from canary.api.pinned import Policy
from canary.engine.judges.judge import Ruling, Standing, Verdict
from canary.engine.judges.sequential import Sequential
from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Subject
from canary.engine.resolved import resolve_spec
from tests.engine.situations import NOW

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
METRICS = [
    {"name": "request-success-rate", "thresholdRange": {"min": 99}},
    {"name": "request-duration", "thresholdRange": {"max": 500}},
]
HEALTHY = (200, 0)
Snapshots = tuple[datetime, datetime] | None
Pair = tuple[Sample, Sample]
"""Of the canary and of stable."""


def policy(judge: Any = "sequential", metrics: Any = METRICS, **analysis: Any) -> Policy:
    """Of a manifest with this judge."""
    rules = {
        "interval": "1m",
        "threshold": 2,
        "stepWeights": [10, 30],
        "judge": judge,
        "metrics": metrics,
        **analysis,
    }
    spec = {"targetRef": {"kind": "EnvoyRoute", "name": "shop"}, "version": "v2", "analysis": rules}
    return resolve_spec(Canary.model_validate({"metadata": {"name": "shop"}, "spec": spec})).policy


def counts(total: int, bad: int, slow: int = 0, snapshots: Snapshots = None) -> Callable[[Query], Sample]:
    """So many requests, of which some fail, and some are slower than every edge."""
    return lambda query: Counts(
        total,
        bad,
        tuple((edge, slow) for edge in query.edges),
        timed=total if query.edges else 0,
        snapshots=snapshots,
    )


@dataclass
class Play:
    """A step of a rollout; each evaluation sees what `see` is given."""

    policy: Policy = field(default_factory=policy)
    standing: Standing = field(
        default_factory=lambda: Standing(
            at=NOW,
            since=NOW - MINUTE,
            step=1,
            steps=3,
            weight=10,
            exposed=True,
            paused=False,
            stable=Subject("v1"),
            canary=Subject("v2"),
            began=NOW - 2 * MINUTE,
        )
    )
    evidence: Evidence | None = None
    windows: list[set[timedelta]] = field(default_factory=list)

    def see(
        self,
        canary: Callable[[Query], Sample] | Sample,
        stable: Callable[[Query], Sample] | Sample,
        after: timedelta = MINUTE,
        **more: Any,
    ) -> Ruling:
        """The next evaluation, a minute after the last one."""
        self.standing = replace(self.standing, at=self.standing.at + after, **more)
        asked = Sequential().asks(self.policy, self.evidence, self.standing)
        self.windows.append({query.window for query in asked})
        of = {"v1": stable, "v2": canary}
        given = {query: of[query.subject.workload] for query in asked}
        answers = {query: one(query) if callable(one) else one for query, one in given.items()}
        ruling = Sequential().fold(self.policy, self.evidence, answers, self.standing)
        self.evidence = Evidence.model_validate_json(ruling.evidence.model_dump_json(by_alias=True))
        assert self.evidence == ruling.evidence
        return ruling

    def sees(self, often: int, canary: Any, stable: Any) -> Ruling:
        """The last one of several alike."""
        return [self.see(canary, stable) for _ in range(often)][-1]


def said(ruling: Ruling) -> tuple[str, str]:
    return ruling.verdict.value, ruling.reason.value


def test_a_healthy_canary_passes_once_enough_is_known() -> None:
    """Latency counts after a minute; the sentence says how many requests are known and needed."""
    play = Play()
    first = play.see(counts(3, 0), counts(27, 0))
    assert said(first) == ("hold", "GatheringEvidence")
    assert first.sentence == "3 of about 8 requests needed to rule out 50%"
    assert first.weighing is not None
    assert (first.weighing.requests, first.weighing.needed, first.weighing.remaining) == (
        3,
        8,
        timedelta(seconds=100),
    )
    second = play.see(counts(100, 0), counts(900, 1))
    assert said(second) == ("pass", "ChecksPassed")
    assert second.sentence == "canary errs 0–5.9%, stable 0–1%"


@pytest.mark.parametrize(
    ("canary", "stable", "reason", "sentence"),
    [
        pytest.param(counts(100, 20), counts(900, 0), "CanaryWorse", "canary errs ", id="errors"),
        pytest.param(
            counts(200, 0, 60), counts(1800, 2, 9), "CanaryWorse", "canary takes longer than ", id="latency"
        ),
    ],
)
def test_proof_against_the_canary(canary: Any, stable: Any, reason: str, sentence: str) -> None:
    """In a few evaluations, with bounds of both, evidence and bar."""
    play = Play()
    play.see(counts(100, 0), counts(900, 1))
    rulings = [play.see(canary, stable) for _ in range(4)]
    found = next(one for one in rulings if one.verdict is Verdict.ROLL_BACK)
    assert said(found) == ("roll back", reason)
    assert found.sentence.startswith(sentence)
    assert ", stable " in found.sentence
    assert "bar 100)" in found.sentence
    assert found.weighing is not None
    assert found.weighing.evidence >= found.weighing.bar == 100
    failed = found.checks[sentence.startswith("canary takes")]
    assert (failed.result, failed.canary_bounds is not None, failed.stable_bounds is not None) == (
        "failed",
        True,
        True,
    )


ONE, OTHER = (NOW - MINUTE, NOW), (NOW - MINUTE, NOW - SECOND)


def erring(failing: int, canary: Snapshots, stable: Snapshots) -> Pair:
    """One evaluation with so many errors; with the snapshots of both."""
    return counts(60, failing, snapshots=canary), counts(540, 1, snapshots=stable)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("snapshots", "needed"),
    [
        pytest.param([(ONE, ONE)] * 4, 2, id="one scrape has the counts of both"),
        pytest.param([(None, None)] * 4, 3, id="the source can't say"),
        pytest.param([(ONE, OTHER)] * 4, 3, id="two scrapes"),
        pytest.param([(ONE, OTHER), *[(ONE, ONE)] * 3], 3, id="the first evaluation still waits for the second"),
        pytest.param([(ONE, ONE), *[(None, None)] * 3], 3, id="no longer"),
    ],
)
def test_the_last_evaluation_counts_in_full_if_both_versions_were_read_at_once(
    snapshots: list[tuple[Snapshots, Snapshots]], needed: int
) -> None:
    """With an interval of one scrape, so that an evaluation has to wait for the next one otherwise, but for as many
    errors as the one before had."""
    play = Play(policy(interval="15s", scrapeInterval="15s"))
    rulings = (play.see(*erring(errors, *one)) for errors, one in zip((2, 20, 20, 20), snapshots, strict=True))
    verdicts = [one.verdict for one in rulings]
    assert verdicts.index(Verdict.ROLL_BACK) + 1 == needed


@pytest.mark.parametrize(
    ("errors", "interval", "needed"),
    [(90, "15s", 2), (90, "30s", 1), (45, "30s", 2), (45, "1m", 1), (20, "1m", 2), (20, "5m", 1)],
)
def test_no_more_of_the_last_evaluation_waits_than_one_scrape_may_hold(
    errors: int, interval: str, needed: int
) -> None:
    """Of 100 requests, which come evenly: all of them in an interval of one scrape, 50, 25 and 5 in longer ones."""
    play = Play(policy(interval=interval, scrapeInterval="15s"))
    verdicts = [play.see(counts(100, errors), counts(900, 0)).verdict for _ in range(needed)]
    assert verdicts == [Verdict.HOLD] * (needed - 1) + [Verdict.ROLL_BACK]


def test_a_regression_below_the_objective_is_found() -> None:
    """0.8% errors where 1% is allowed, but stable has 0.1%."""
    play = Play()
    rulings = [play.see(counts(1000, 8), counts(9000, 9)) for _ in range(15)]
    assert said(rulings[-1]) == ("roll back", "CanaryWorse")


def test_a_late_onset_is_found_as_an_early_one() -> None:
    """An hour without an error doesn't weigh against what comes then."""
    play = Play()
    play.sees(60, counts(100, 0), counts(900, 1))
    assert any(play.see(counts(100, 8), counts(900, 1)).verdict is Verdict.ROLL_BACK for _ in range(5))


def test_a_shared_outage_holds() -> None:
    """Half of all requests fail in both: neither is to blame, and nothing goes on."""
    play = Play()
    play.sees(3, counts(100, 0), counts(900, 1))
    rulings = [play.see(counts(100, 50), counts(900, 450)) for _ in range(20)]
    assert {one.verdict for one in rulings} == {Verdict.HOLD}
    assert said(rulings[-1]) == ("hold", "SharedOutage")
    assert rulings[-1].sentence == "both versions err; this looks like a shared outage"


def test_after_a_shared_outage_it_is_counted_again() -> None:
    """From its end on, and the sentence says since when and why."""
    play = Play()
    play.sees(3, counts(1, 0), counts(900, 1))
    assert play.evidence is not None
    play.sees(5, counts(100, 50), counts(900, 450))
    last = play.see(counts(1, 0), counts(900, 1))
    assert (*said(last), last.sentence) == (
        "hold",
        "SharedOutage",
        "both versions err; this looks like a shared outage",
    )
    since = f"(counting again since {play.standing.at:%H:%M:%S} UTC: both versions erred)"
    few = play.see(counts(3, 0), counts(900, 1))
    assert (*said(few), few.sentence) == (
        "hold",
        "GatheringEvidence",
        f"3 of about 8 requests needed to rule out 50% {since}",
    )
    assert few.weighing is not None
    assert few.weighing.requests == 3
    enough = play.see(counts(100, 0), counts(900, 1))
    assert (*said(enough), enough.sentence) == ("pass", "ChecksPassed", f"canary errs 0–5.9%, stable 0–0.6% {since}")
    assert [one.result for one in enough.checks] == ["passed", "passed"]
    following = play.see(counts(200, 0), counts(900, 1), step=2)
    assert following.verdict is Verdict.PASS
    assert "again" not in following.sentence


def test_a_shared_slowdown_is_counted_again() -> None:
    """All that is known of latency, and errors as ever."""
    play = Play()
    play.sees(3, counts(100, 0), counts(900, 1))
    held = play.sees(3, counts(100, 0, 60), counts(900, 1, 540))
    assert held.sentence == "both versions are slow; this looks like a shared outage"
    rulings = [play.see(counts(100, 0), counts(900, 1)) for _ in range(3)]
    assert rulings[-1].verdict is Verdict.PASS
    assert rulings[-1].sentence.endswith("UTC: both versions were slow)")
    assert rulings[-1].checks[0].canary_bounds != rulings[-1].checks[1].canary_bounds


def test_a_canary_that_errs_alone_is_not_counted_again() -> None:
    """It is rolled back, and nothing is left out."""
    play = Play()
    play.see(counts(100, 0), counts(900, 1))
    rulings = [play.see(counts(100, 30), counts(900, 1)) for _ in range(4)]
    assert said(rulings[-1]) == ("roll back", "CanaryWorse")
    assert not any("recount" in one.evidence.data["numbers"] for one in rulings)


def test_a_shared_slowdown_is_not_proved_by_errors() -> None:
    """Both become slow, and the canary errs a little more: the objective that both miss blames neither."""
    play = Play()
    play.sees(3, counts(100, 0, 0), counts(900, 1, 0))
    rulings = [play.see(counts(100, 2, 60), counts(900, 1, 540)) for _ in range(4)]
    against = [one.weighing.evidence for one in rulings if one.weighing]
    assert 3 < max(against) < 100
    assert {one.verdict for one in rulings} == {Verdict.HOLD}
    assert rulings[-1].sentence == "both versions are slow; this looks like a shared outage"
    failing = [play.see(counts(100, 20, 60), counts(900, 1, 540)) for _ in range(4)]
    found = next(one for one in failing if one.verdict is Verdict.ROLL_BACK)
    assert found.sentence.startswith("canary errs ")


@pytest.mark.parametrize(
    ("then", "verdict"), [("rollback", "roll back"), ("hold", "hold"), ("promote", "pass")], ids=str
)
def test_what_follows_without_a_verdict(then: str, verdict: str) -> None:
    """After `onInconclusive.after`, counted from the first evaluation of the step without one."""
    judge = {"type": "sequential", "onInconclusive": {"after": "5m", "then": then}}
    play = Play(policy(judge))
    rulings = [play.see(counts(1, 0), counts(9, 0)) for _ in range(7)]
    assert {one.verdict.value for one in rulings[:5]} == {"hold"}
    assert rulings[5].verdict.value == verdict
    assert rulings[5].reason.value == {"rollback": "Inconclusive", "hold": "GatheringEvidence"}.get(
        then, "ChecksPassed"
    )


@pytest.mark.parametrize(("then", "verdict"), [("rollback", "roll back"), ("promote", "pass")], ids=str)
def test_what_follows_without_a_verdict_follows_without_requests_too(then: str, verdict: str) -> None:
    """At the time that was said; and the time begins with the step's first requests."""
    play = Play(policy({"type": "sequential", "onInconclusive": {"after": "5m", "then": then}}))
    quiet = [play.see(counts(0, 0), counts(9, 0)) for _ in range(10)]
    held = [play.see(counts(1, 0), counts(9, 0)), *(play.see(counts(0, 0), counts(9, 0)) for _ in range(4))]
    assert {one.verdict.value for one in (*quiet, *held)} == {"hold"}
    due = f"to be {'rolled back' if then == 'rollback' else 'passed'} at {NOW + 16 * MINUTE:%H:%M:%S}"
    assert [due in one.sentence for one in held] == [True] * 5
    assert play.see(counts(0, 0), counts(9, 0)).verdict.value == verdict


def test_a_metric_counts_as_much_as_its_weight() -> None:
    """Evidence is averaged: three quarters of that of errors instead of half of it, and a quarter of latency's."""

    def evidence(canary: Any, stable: Any, *weights: float) -> float:
        metrics = [{**one, "weight": weight} for one, weight in zip(METRICS, weights, strict=True)]
        play = Play(policy(metrics=metrics))
        play.see(counts(50, 0), counts(500, 0))
        found = play.sees(2, canary, stable).weighing
        assert found is not None
        return found.evidence

    errors, slow = (counts(20, 4), counts(300, 1)), (counts(20, 0, 5), counts(300, 0, 1))
    assert evidence(*errors, 3, 1) == pytest.approx(1.5 * evidence(*errors, 1, 1), rel=0.01)
    assert evidence(*slow, 3, 1) == pytest.approx(0.5 * evidence(*slow, 1, 1), rel=0.01)


def test_each_step_has_its_own_time_for_a_verdict() -> None:
    """A step that ends without one doesn't end the next one as well."""
    judge = {"type": "sequential", "onInconclusive": {"after": "3m", "then": "promote"}}
    play = Play(policy(judge))
    assert play.sees(4, counts(1, 0), counts(9, 0)).verdict is Verdict.PASS
    seen = [play.see(counts(1, 0), counts(9, 0), step=2).verdict for _ in range(4)]
    assert seen == [Verdict.HOLD] * 3 + [Verdict.PASS]


def test_no_traffic_holds_and_then_does_what_on_no_data_says() -> None:
    play = Play(policy(onNoData={"after": "3m", "then": "rollback"}))
    rulings = [play.see(counts(0, 0), counts(100, 0)) for _ in range(4)]
    assert [said(one) for one in rulings] == [("hold", "NoData")] * 3 + [("roll back", "NoData")]
    assert "send requests to the canary" in rulings[0].sentence


def test_no_traffic_holds_by_default_and_says_how_to_get_some() -> None:
    """For as long as it lasts, also if there were requests before."""
    play = Play()
    rulings = [play.see(counts(0, 0), counts(100, 0)) for _ in range(60)]
    assert {said(one) for one in rulings} == {("hold", "NoData")}
    assert rulings[-1].sentence.endswith("; send requests to the canary, such as by a webhook of type rollout")
    late = Play()
    late.see(counts(3, 0), counts(100, 0))
    rulings = [late.see(counts(0, 0), counts(100, 0)) for _ in range(17)]
    assert {one.verdict for one in rulings} == {Verdict.HOLD}
    assert ["such as by a webhook" in one.sentence for one in rulings] == [False] * 15 + [True] * 2


@pytest.mark.parametrize("seed", range(4))
def test_no_request_is_counted_twice_or_invented(seed: int) -> None:
    """Evaluations come late, twice, or by a clock that was set back, and some have no answer: against a count of
    the requests one by one."""
    chance, play = Random(seed), Play(policy(metrics=METRICS[:1]))
    requests = [Counts(chance.randrange(3), 0) for _ in range(4 * 3600)]
    begin = play.standing.at - 60 * MINUTE

    def happened(query: Query) -> Sample:
        end = (play.standing.at - begin) // SECOND
        return Counts(sum(one.total for one in requests[max(end - query.window // SECOND, 0) : end]), 0)

    first, counted_to, latest = 0, 0, -1
    for _ in range(40):
        step = timedelta(seconds=chance.choice((0, -45, 7, 60, 60, 61, 300)))
        answered = chance.random() < 0.7
        lost = Missing(chance.choice((Cause.REFUSED, Cause.EMPTY, Cause.PARTIAL)))
        ruling = play.see(happened if answered else lost, happened, step)
        end = (play.standing.at - begin) // SECOND
        if answered and end > latest:
            first, counted_to = (first if counted_to else end - min(play.windows[-1]) // SECOND), end
        latest = max(latest, end)
        assert ruling.evidence.data["numbers"]["counts"]["total"] == [
            sum(one.total for one in requests[max(first, 0) : counted_to])
        ]


@pytest.mark.parametrize("cause", [Cause.REFUSED, Cause.EMPTY, Cause.PARTIAL])
def test_what_has_no_answer_is_asked_again(cause: Cause) -> None:
    """Windows tile: the next one begins where the last one that was answered ended, for at most an hour."""
    play = Play()
    play.see(counts(10, 0), counts(90, 0))
    for _ in range(3):
        play.see(Missing(cause), counts(90, 0))
    play.see(counts(40, 0), counts(360, 0))
    play.see(counts(10, 0), counts(90, 0))
    assert play.windows[1:] == [{MINUTE}, {2 * MINUTE}, {3 * MINUTE}, {4 * MINUTE}, {MINUTE}]
    play.sees(70, Missing(cause), counts(90, 0))
    assert play.windows[-1] == {60 * MINUTE}


def test_a_history_that_is_gone_costs_one_window() -> None:
    """As after a restart, with counters that only this process has read."""
    play = Play()
    play.see(counts(10, 0), counts(90, 0))
    ruling = play.see(Missing(Cause.NOT_YET), Missing(Cause.NOT_YET))
    assert said(ruling) == ("hold", "NoData")
    assert play.see(counts(100, 0), counts(900, 0)).verdict is Verdict.PASS
    assert play.windows[-1] == {MINUTE}


def test_a_histogram_that_is_missing_hides_no_error() -> None:
    """Latency can't be read, but errors are proof."""

    def failing(query: Query) -> Sample:
        return Missing(Cause.EMPTY, "no histogram") if query.edges else Counts(100, 30)

    play = Play()
    rulings = [play.see(failing, counts(900, 1)) for _ in range(4)]
    assert said(rulings[-1]) == ("roll back", "CanaryWorse")


def histogram(total: int, **slower: int) -> Callable[[Query], Sample]:
    """A native one, of so many requests that took longer than some milliseconds: `_250=3`."""
    edges = tuple((float(edge.strip("_")), slow) for edge, slow in slower.items())
    return lambda query: Counts(total, 0, edges, timed=total, native=True) if query.edges else Counts(total, 0)


def test_a_canary_that_is_slower_within_the_objective_is_worse_than_stable() -> None:
    """Half of the objective is counted as well: all requests take less than 500 ms, and most more than 250 ms."""
    play = Play()
    play.see(counts(100, 0), counts(900, 0))
    slower, usual = histogram(100, _250=60, _500=0), histogram(900, _250=9, _500=0)
    assert said([play.see(slower, usual) for _ in range(3)][-1]) == ("roll back", "CanaryWorse")


@pytest.mark.parametrize(
    ("canary", "stable", "outcome"),
    [
        pytest.param(
            histogram(100, _250=95, _500=90), histogram(900, _400=40, _600=30), ("hold", "NoData"),
            id="no common edge",
        ),
        pytest.param(
            histogram(100, _250=95, _500=90), histogram(900, _400=0, _600=0), ("roll back", "CanaryWorse"),
            id="none of stable's is between 400 and 600 ms",
        ),
        pytest.param(
            histogram(100, _430=90, _512=90), histogram(900, _256=9, _512=9), ("roll back", "CanaryWorse"),
            id="a finer resolution",
        ),
        pytest.param(
            histogram(100, _430=90, _470=40, _540=0), histogram(900, _256=9, _512=9), ("roll back", "CanaryWorse"),
            id="worse at 470 ms, where both are known",
        ),
    ],
)  # fmt: skip
def test_histograms_that_differ(canary: Any, stable: Any, outcome: tuple[str, str]) -> None:
    """Requests slower than 500 ms are compared where the counts of both are known, and are guessed nowhere."""
    play = Play()
    play.see(counts(100, 0), counts(900, 0))
    for _ in range(5):
        ruling = play.see(canary, stable)
    assert said(ruling) == outcome
    assert outcome[1] != "NoData" or "no edge of the histogram" in ruling.sentence


def test_latency_does_not_count_while_the_canary_warms_up() -> None:
    """Its errors do."""
    judge = {"type": "sequential", "warmup": "10m"}
    slow, failing = Play(policy(judge)), Play(policy(judge))
    ruling = slow.sees(8, counts(100, 0, 90), counts(900, 1))
    assert ruling.sentence == "the canary warms up: its latency doesn't count yet"
    rulings = [failing.see(counts(100, 30, 0), counts(900, 1)) for _ in range(4)]
    assert Verdict.ROLL_BACK in {one.verdict for one in rulings}


def test_hooks_count_as_for_threshold() -> None:
    """A no is a failed check, of which `threshold` roll back; a hook that is awaited holds."""
    no = CheckResult(metric="load-test", result="failed", detail="HTTP 500")
    play = Play()
    play.see(counts(200, 0), counts(900, 0))
    awaited = play.see(counts(200, 0), counts(900, 0), hooks=(no.but(result="missing"),))
    assert said(awaited) == ("hold", "HookPending")
    first = play.see(counts(200, 0), counts(900, 0), hooks=(no,))
    assert (*said(first), first.failed_checks) == ("hold", "HookFailed", 1)
    second = play.see(counts(200, 0), counts(900, 0), hooks=(no,))
    assert (*said(second), second.failed_checks) == ("roll back", "HookFailed", 2)


def test_templates_with_counts_are_judged() -> None:
    """Their own counters of all events and of the bad ones."""
    metric = policy().metrics[0]
    own = policy().but(
        metrics=(
            metric.but(
                name="orders",
                counts=EventCounts(total="orders_total", bad="orders_failed_total"),
                range=Range(min=99),
            ),
        )
    )
    play = Play(own)
    asked = Sequential().asks(own, None, play.standing)
    assert {(query.metric, query.text, query.bad) for query in asked} == {
        ("orders", "orders_total", "orders_failed_total")
    }
    rulings = [play.see(counts(100, 30), counts(900, 1)) for _ in range(4)]
    assert rulings[-1].sentence.startswith("orders fails ")
    assert rulings[-1].verdict is Verdict.ROLL_BACK


def test_a_second_evaluation_of_the_same_time_counts_once() -> None:
    """As after a crash between the judge's ruling and its write."""
    play = Play()
    play.sees(3, counts(100, 1), counts(900, 9))
    before = play.evidence
    play.standing = replace(play.standing, at=play.standing.at - MINUTE)
    play.see(counts(100, 90), counts(900, 9))
    assert play.evidence == before


def test_evidence_stays_small() -> None:
    """In a status that a cluster stores: under 4 KiB with three metrics."""
    play = Play()
    play.sees(50, counts(123_456, 789, 321), counts(987_654, 3210, 654))
    assert play.evidence is not None
    assert len(json.dumps(play.evidence.wire())) < 4096


def test_a_policy_without_events_is_judged_by_nothing() -> None:
    """Values aren't counts; it holds and says so."""
    gauge = [{"name": "cpu", "query": "avg(cpu)", "thresholdRange": {"max": 1}}]
    ruling = Play(policy(metrics=gauge)).see(counts(1, 0), counts(1, 0))
    assert (*said(ruling), ruling.sentence) == (
        "hold",
        "NoData",
        "no metric counts events, so nothing can be judged",
    )
