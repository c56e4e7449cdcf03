"""The verdicts of counts, evaluation by evaluation, and of simulated outages that two scrapes see apart."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from canary.engine.statistics import decision, objective
from canary.engine.statistics.decision import Weighed
from canary.engine.statistics.state import Design, Look, State, fresh

SEED = 20_260_102
STEPS = 4


def design(lanes: int = 1, allowed: float = 0.01, skew: float = 0.25) -> Design:
    return Design(
        alpha=0.01,
        effect=1.5,
        weights=np.full(lanes, 1 / lanes),
        allowed=np.full(lanes, allowed),
        gates=np.full(lanes, True),
        steps=STEPS,
        skew=skew,
    )


def after(*counts: tuple[int, int, int, int], step: int = 1, allowed: float = 0.01, skew: float = 0.25) -> Weighed:
    """The verdict after evaluations with (canary's errors, requests, stable's errors, requests)."""
    chosen, state = design(allowed=allowed, skew=skew), fresh(1)
    for one in counts:
        state = decision.fold(state, Look(*(np.array([float(each)]) for each in one)), step, chosen)
    return decision.weigh(state, chosen)


HEALTHY, WORSE, OUTAGE = (0, 100, 2, 900), (9, 100, 2, 900), (9, 100, 80, 900)


def test_a_regression_is_rolled_back() -> None:
    assert after(*[WORSE] * 3).roll_back


def test_an_evaluation_waits_for_the_next_one() -> None:
    """Stable may have counted the same time in the evaluation before, or may count it in the next one."""
    assert not after(HEALTHY, HEALTHY, (40, 100, 2, 900), skew=1).roll_back
    assert not after(HEALTHY, (40, 100, 2, 900), (40, 100, 360, 900), skew=1).roll_back
    assert not after(HEALTHY, (40, 100, 360, 900), (40, 100, 2, 900), HEALTHY, skew=1).roll_back
    assert after(HEALTHY, (40, 100, 2, 900), (40, 100, 2, 900), skew=1).roll_back


def test_what_no_scrape_accounts_for_needs_no_wait() -> None:
    assert after((90, 100, 0, 900), skew=0.25).roll_back
    assert not after((20, 100, 0, 900), skew=0.25).roll_back


def test_one_scrape_of_both_needs_no_wait() -> None:
    """Nor are stable's counts of other moments looked at. Lanes may differ: only the second one waits."""
    bad = (40, 100, 2, 900)
    assert after(HEALTHY, bad, skew=0).relative > np.log(1000)
    assert after(OUTAGE, bad, bad, skew=0).relative > after(OUTAGE, bad, bad).relative + np.log(1000)
    lanes, state = replace(design(lanes=2), skew=np.array((0.0, 0.25))), fresh(2)
    for counts in ((40, 100, 360, 900), (90, 100, 2, 900)):
        state = decision.fold(state, Look(*(np.full(2, float(one)) for one in counts)), 1, lanes)
    first, second = decision.weigh(state, lanes).by_lane
    assert first > np.log(1000)
    assert second <= 0


def test_what_chance_explains_is_no_outage() -> None:
    """Stable's counts of other moments take nothing away, though they are twice as high."""
    counts = [(9, 100, x, 900) for x in (0, 4, 1, 4, 2)]
    assert after(*counts).relative == pytest.approx(after(*counts, skew=0).relative)
    few = [(9, 100, *one) for one in ((0, 900), (1, 3), (0, 900), (0, 900))]
    assert after(*few).relative == pytest.approx(after(*few, skew=0).relative)


def test_the_last_evaluation_counts_as_far_as_the_one_before_it_was_alike() -> None:
    steady, more = after(*[WORSE] * 2, skew=1), after(WORSE, (18, 100, 2, 900), skew=1)
    assert steady.relative == pytest.approx(more.relative)
    assert steady.relative > after(WORSE, HEALTHY, skew=1).relative + 1


@pytest.mark.parametrize("skew", [0.25, 0.5, 1.0])
def test_one_error_among_few_requests_before_it_hides_no_outage(skew: float) -> None:
    """As many errors as before count, not as high a rate: stable may turn out to fail as well."""
    counts = [*[(0, 3, 2, 900)] * 3, (1, 3, 2, 900), (75, 300, 2, 900)]
    assert not after(*counts, skew=skew).roll_back
    assert after(*counts, (75, 300, 225, 900), skew=skew).relative < 0


@pytest.mark.parametrize("skew", [0.0, 0.25])
def test_few_errors_count_at_once(skew: float) -> None:
    """They are no burst. With two scrapes, as far as none accounts for them."""
    few, more = after((4, 10, 1, 900), skew=skew), after((4, 10, 1, 900), (0, 10, 1, 900), skew=skew)
    assert (few.relative > np.log(20)) == (skew == 0)
    assert more.relative > 0


def test_an_outage_of_both_is_no_cluster_of_the_canary() -> None:
    outage = [(50, 100, 450, 900)] * 4
    told = after(*[HEALTHY] * 2, *outage, *[HEALTHY] * 3, *[(5, 100, 2, 900)] * 4)
    alone = after(*[HEALTHY] * 5, *[(5, 100, 2, 900)] * 4)
    assert told.relative > alone.relative / 2 > np.log(10)


def test_evidence_is_less_if_the_canarys_errors_come_in_clusters() -> None:
    """As many of as many requests, though stable has shown no cluster."""
    steady, clusters = ([(y, 100, 2, 900) for y in one] for one in ([4] * 8, [0, 16, 0, 0, 16, 0, 0, 0]))
    assert after(*clusters).relative < after(*steady).relative / 3
    assert after(*clusters).missed < after(*steady).missed / 2


def test_an_outage_of_both_holds() -> None:
    found = after(*[HEALTHY] * 2, *[OUTAGE] * 6)
    assert found.shared
    assert not found.roll_back
    assert not found.advance


def test_enough_requests_without_an_error_advance() -> None:
    few, enough = ((0, 20, 1, 900), (0, 140, 1, 900))
    assert after(few, step=1).advance
    assert not after(few, step=STEPS).advance
    assert after(enough, step=STEPS).advance


@pytest.mark.parametrize(("errors", "advance"), [(3, True), (4, False), (5, False)])
def test_a_sign_of_more_than_three_to_one_delays_an_increase(errors: int, advance: bool) -> None:
    found = after(HEALTHY, (errors, 100, 2, 900))
    assert (bool(found.advance), bool(found.doubted), bool(found.roll_back)) == (advance, not advance, False)
    assert np.log(1.5) < found.suspected < np.log(50)


NO_OBJECTIVE = float("nan")


def test_errors_of_the_last_evaluation_alone_delay_an_increase() -> None:
    """They prove nothing yet, and are few among all of the step."""
    found = after(*[HEALTHY] * 30, (6, 100, 2, 900))
    assert (bool(found.advance), bool(found.doubted)) == (False, True)


def test_a_step_that_is_worse_as_a_whole_delays_an_increase() -> None:
    """Stable's clusters of errors take all of the evidence away, but not the sign. One lane of two is enough."""
    chosen, state = design(lanes=2, allowed=NO_OBJECTIVE), fresh(2)
    for clusters in (0.0, 0.0, 0.0, 60.0) * 2:
        look = Look(np.array([0.0, 5.0]), np.full(2, 100.0), np.full(2, clusters), np.full(2, 900.0))
        state = decision.fold(state, look, 1, chosen)
    found = decision.weigh(state, chosen)
    assert found.relative < 0
    assert (bool(found.advance), bool(found.doubted)) == (False, True)


def test_evidence_of_an_earlier_step_delays_an_increase() -> None:
    """Also where nothing in the present one speaks for it."""
    chosen, state = design(allowed=NO_OBJECTIVE), fresh(1)
    for step, errors in ((1, 2), (1, 2), (1, 2), (1, 2), (2, 0)):
        state = decision.fold(state, Look(*(np.array([float(one)]) for one in (errors, 100, 2, 900))), step, chosen)
    found = decision.weigh(state, chosen)
    assert (bool(found.advance), bool(found.doubted)) == (False, True)


@pytest.mark.parametrize("gates", [True, False])
def test_only_lanes_that_gate_need_requests(gates: bool) -> None:
    chosen = replace(design(lanes=2), gates=np.array([True, gates]))
    look = Look(np.zeros(2), np.array([100.0, 0.0]), np.ones(2), np.full(2, 900.0))
    assert decision.weigh(decision.fold(fresh(2), look, 1, chosen), chosen).advance == (not gates)


@pytest.mark.parametrize(("evaluations", "errors", "blamed"), [(2, 2, False), (5, 2, True)])
def test_a_lane_is_blamed_for_its_own_evidence_and_only_if_all_lanes_agree(
    evaluations: int, errors: int, blamed: bool
) -> None:
    """The first lane has evidence over 3 both times; the average of all four only once."""
    chosen, state = design(lanes=4), fresh(4)
    look = Look(np.array([float(errors), 0, 0, 0]), np.full(4, 100.0), np.full(4, 2.0), np.full(4, 900.0))
    for _ in range(evaluations):
        state = decision.fold(state, look, 1, chosen)
    found = decision.weigh(state, chosen)
    assert found.by_lane[0] > np.log(3)
    assert (found.relative > np.log(3)) == blamed
    assert found.blamed.tolist() == [blamed, False, False, False]


def test_the_counts_of_a_step_are_its_own() -> None:
    chosen, state = design(), fresh(1)
    for step, count in ((1, 500.0), (STEPS, 5.0)):
        state = decision.fold(state, Look(*(np.array([one]) for one in (0.0, count, 1.0, 900.0))), step, chosen)
    assert state.sums.total == 505
    assert not decision.weigh(state, chosen).advance


def test_a_canary_that_serves_everything_is_judged_on_the_objective() -> None:
    steps = [HEALTHY] * 5
    assert not after(*steps, *[(5, 1000, 0, 0)] * 3, step=STEPS).roll_back
    assert after(*steps, *[(60, 1000, 0, 0)] * 3, step=STEPS).roll_back


def test_a_canary_that_serves_everything_and_fails_wholly_is_rolled_back_at_once() -> None:
    """Only a quarter of an evaluation may be a burst."""
    steps = [HEALTHY] * 5
    assert after(*steps, (1000, 1000, 0, 0), step=STEPS).roll_back
    assert not after(*steps, (240, 1000, 0, 0), step=STEPS).roll_back


def test_counts_of_stable_begin_with_the_first_requests_of_both_in_a_step() -> None:
    """Those of the step before are kept until then, for nothing else says how stable does."""
    chosen, state, seen = design(), fresh(1), []
    for step, counts in ((1, HEALTHY), (2, (0, 0, 1, 900)), (2, (0, 0, 1, 900)), (2, HEALTHY), (2, HEALTHY)):
        state = decision.fold(state, Look(*(np.array([float(each)]) for each in counts)), step, chosen)
        seen.append(state.sums.stable_bad.item())
    assert seen == [2, 3, 4, 2, 4]


def test_evidence_against_the_objective_is_half_of_the_rollout_and_half_of_its_steps() -> None:
    """By hand. A step that was skipped counts as no evidence, and so does each to come. Errors are alike in all
    evaluations, so that none is a burst, and stable has none, so that the dispersion is 1."""

    def evidence(evaluations: int) -> float:
        return float(np.exp(objective.log_evidence_above(2 * evaluations, 98 * evaluations, 0.01)))

    chosen, state, turns = design(), fresh(1), Counter[int]()
    look = Look(*(np.array([one]) for one in (2.0, 100.0, 0.0, 900.0)))
    for step in (1, 1, 2, 4, 5):
        state = decision.fold(state, look, step, chosen)
        turns[step] += 1
        without = (step >= 4) + max(STEPS - step, 0)
        steps = (sum(map(evidence, turns.values())) + without) / max(STEPS, step)
        if turns.total() > 1:  # the first one alone may be a burst
            expected = np.log((evidence(turns.total()) + steps) / 2)
            assert decision.weigh(state, chosen).missed == pytest.approx(expected), step


def test_an_objective_that_was_missed_delays_an_increase() -> None:
    """Beside no stable version, and though nothing in the present step speaks for it."""
    chosen, state = design(), fresh(1)
    for step, errors in ((1, 4), (1, 4), (1, 4), (2, 0)):
        state = decision.fold(state, Look(*(np.array([float(one)]) for one in (errors, 100, 0, 0))), step, chosen)
    found = decision.weigh(state, chosen)
    assert np.log(5) < found.suspected < np.log(100)
    assert (bool(found.advance), bool(found.doubted), bool(found.shared)) == (False, True, False)


@pytest.mark.parametrize(("canary", "stable", "alone"), [(10, 25, False), (25, 10, True)])
def test_stable_is_compared_with_unless_it_has_fewer_requests(canary: int, stable: int, alone: bool) -> None:
    """Few errors are expected of it either way. With many it is compared with, however few requests it has."""
    assert after(*[(0, canary, 0, stable), (1, canary, 0, stable)] * 2).blamed == alone
    assert not after(*[HEALTHY] * 3, (30, 1000, 2, 900)).blamed


def test_requests_of_one_scrape_are_rounded_up() -> None:
    """A quarter of ten requests may be three of them."""
    assert after(HEALTHY, (3, 10, 0, 900), skew=0.25).by_lane <= 0


def test_stable_had_missed_the_objective_too() -> None:
    found = after(*[(9, 100, 80, 900)] * 5, *[(90, 1000, 0, 0)] * 3, step=STEPS)
    assert not found.roll_back
    assert not found.blamed


def test_without_an_objective_only_stable_counts() -> None:
    alone = after(*[(60, 1000, 0, 0)] * 3, allowed=float("nan"))
    assert not alone.roll_back
    assert after(*[WORSE] * 3, allowed=float("nan")).roll_back


def test_no_requests_change_nothing() -> None:
    found = after(*[(0, 0, 2, 900)] * 5)
    assert not found.roll_back
    assert not found.advance
    assert found.suspected <= 1e-12


def test_rollouts_are_judged_as_if_alone() -> None:
    """The same counts in a batch, with a metric beside them, and by themselves."""
    random = np.random.default_rng(SEED)
    chosen, rollouts = design(lanes=2), 5
    batch = fresh(rollouts, 2)
    single = [fresh(2) for _ in range(rollouts)]
    for turn in range(8):
        n_c, n_b = random.poisson(50, (rollouts, 2)), random.poisson(400, (rollouts, 2))
        look = [random.binomial(n_c, 0.1), n_c, random.binomial(n_b, 0.02), n_b]
        counts = [one.astype(float) for one in look]
        step = np.minimum(1 + turn // np.arange(1, rollouts + 1), STEPS)
        batch = decision.fold(batch, Look(*counts), step, chosen)
        for row in range(rollouts):
            one = Look(*(each[row] for each in counts))
            single[row] = decision.fold(single[row], one, int(step[row]), chosen)
    together = decision.weigh(batch, chosen)
    for row, state in enumerate(single):
        alone = decision.weigh(state, chosen)
        assert alone.relative == pytest.approx(together.relative[row])
        assert alone.objective == pytest.approx(together.objective[row])
        assert alone.roll_back == together.roll_back[row]


def outages(rollouts: int, evaluations: int, scrape: int, seconds: int) -> State:
    """An outage that both share, of one minute; each version is scraped at its own time within a scrape, or both at
    the same time, if that is 0."""
    random = np.random.default_rng(SEED)
    chosen, state = design(skew=min(1, scrape / seconds)), fresh(rollouts, 1)
    length = seconds * evaluations
    begins = random.integers(60, length - 60, (rollouts, 1))
    time = np.arange(length)
    rate = np.where((time >= begins) & (time < begins + 60), 0.2, 0.002)
    rolled = np.zeros(rollouts, bool)
    sums = []
    for rps in (20, 180):
        requests = random.poisson(rps, (rollouts, length))
        sums += [np.cumsum(random.binomial(requests, rate), axis=1), np.cumsum(requests, axis=1)]
    phases = random.integers(0, max(scrape, 1), (2, rollouts))
    rows, known = np.arange(rollouts), [np.zeros(rollouts)] * 4
    for turn in range(1, evaluations + 1):
        at = [np.maximum(turn * seconds - 1 - phases[side], 0) for side in (0, 0, 1, 1)]
        now = [one[rows, when].astype(float) for one, when in zip(sums, at, strict=True)]
        look = Look(*((new - old)[:, None] for new, old in zip(now, known, strict=True)))
        state, known = decision.fold(state, look, 2, chosen), now
        rolled |= decision.weigh(state, chosen).roll_back
    assert rolled.mean() <= 0.01
    return state


@pytest.mark.parametrize(("scrape", "seconds"), [(15, 15), (15, 60), (1, 5), (0, 5), (0, 15)])
def test_the_onset_of_a_shared_outage_blames_neither_version(scrape: int, seconds: int) -> None:
    outages(rollouts=300, evaluations=600 // seconds, scrape=scrape, seconds=seconds)


def test_about_as_many_requests_are_needed_as_it_takes() -> None:
    chosen, state = design(), fresh(1)
    state = decision.fold(state, Look(*(np.array([one]) for one in (0.0, 38.0, 1.0, 900.0))), STEPS, chosen)
    weighed = decision.weigh(state, chosen)
    needed = decision.needed(state, weighed, chosen, 0)
    assert not weighed.advance
    assert needed is not None
    assert 110 < needed < 140
    clustered = decision.needed(state, replace(weighed, lately=np.array([4.0])), chosen, 0)
    assert clustered is not None
    assert clustered > 2 * needed
    more = Look(*(np.array([one]) for one in (0.0, needed - 38.0, 1.0, 900.0)))
    assert decision.weigh(decision.fold(state, more, STEPS, chosen), chosen).advance


@pytest.mark.parametrize(
    ("bad", "total", "allowed", "limit"),
    [
        pytest.param(0, 900, 0.01, 0.05, id="the last gate"),
        pytest.param(0, 900, 0.2, 0.3, id="an objective that allows more"),
        pytest.param(90, 900, 0.01, 0.15, id="a stable version that errs more"),
        pytest.param(9, 90, 0.01, 0.05, id="too few requests to know"),
        pytest.param(800, 900, 0.01, 0.95, id="a stable version that fails"),
    ],
)
def test_no_less_is_to_be_ruled_out_than_is_normal(bad: int, total: int, allowed: float, limit: float) -> None:
    """What is normal, times the ratio from which on the canary is worse."""
    assert after((0, 100, bad, total), step=STEPS, allowed=allowed).limit == pytest.approx(limit)


def test_bounds_of_both() -> None:
    chosen, state = design(), fresh(1)
    for _ in range(5):
        state = decision.fold(state, Look(*(np.array([one]) for one in (10.0, 100.0, 20.0, 900.0))), 1, chosen)
    low, high = decision.bounds(*decision.shown(state, decision.weigh(state, chosen)), chosen)
    assert low[0] < 0.1 < high[0]
    assert low[1] < 20 / 900 < high[1]
    assert low[0] > 0.03
    assert high[1] < 0.06
    wider = decision.bounds(state.sums, np.array([4.0]), chosen)
    assert (wider[0] < low).all()
    assert (wider[1] > high).all()
