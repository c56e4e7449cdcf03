"""After an outage of both versions an increase is decided on requests after it, and a rollback on all of them."""

from dataclasses import replace
from math import log

import numpy as np
import pytest

from canary.engine.statistics import decision
from canary.engine.statistics.state import Design, Look, State, design_of, fresh

SEED = 20_260_104
STEPS = 3
Count = tuple[float, float, float, float]
"""The canary's errors and requests, and stable's."""
HEALTHY, OUTAGE = (0, 100, 2, 900), (50, 100, 450, 900)
WORSE, WORSE_IN_OUTAGE = (5, 100, 2, 900), (11, 100, 54, 900)
ALONE = (50, 100, 2, 900)
STABLE_ALONE = (0, 100, 450, 900)


def design(lanes: int = 1, metrics: tuple[str, ...] = ()) -> Design:
    return design_of(0.01, 1.5, [(1.0, 0.01, True)] * lanes, STEPS, 0.25, metrics)


def seen(*counts: Count, step: int = 1, state: State | None = None) -> State:
    """The state after these evaluations of one lane."""
    state = state or fresh(1)
    for one in counts:
        state = decision.fold(state, Look(*(np.array([float(each)]) for each in one)), step, design())
    return state


def advances(state: State) -> bool:
    return bool(decision.weigh(state, design()).advance)


@pytest.mark.parametrize("step", [1, STEPS])
def test_an_increase_comes_as_soon_after_an_outage_as_without_one(step: int) -> None:
    """But for the evaluation beside it, which may show its end."""
    state = seen(*[HEALTHY] * 3, *[OUTAGE] * 4, HEALTHY, step=step)
    without, after = fresh(1), []
    for _ in range(5):
        state, without = seen(HEALTHY, step=step, state=state), seen(HEALTHY, step=step, state=without)
        after.append((advances(state), advances(without)))
    assert after[-1] == (True, True)
    assert [one for one, _ in after] == [one for _, one in after]


def test_nothing_goes_on_during_an_outage() -> None:
    state = seen(*[HEALTHY] * 3)
    for _ in range(20):
        state = seen(OUTAGE, state=state)
        found = decision.weigh(state, design())
        assert (bool(found.shared), bool(found.advance), bool(found.roll_back)) == (True, False, False)


@pytest.mark.parametrize(
    "count",
    [ALONE, STABLE_ALONE, HEALTHY, (5, 100, 17, 900)],
    ids=["canary", "stable", "neither", "stable too little to prove it"],
)
def test_nothing_is_left_out_unless_both_err(count: Count) -> None:
    assert not seen(*[HEALTHY] * 2, *[count] * 4, *[HEALTHY] * 2).recount.left_out.total.any()


@pytest.mark.parametrize("usual", [0.002, 0.005, 0.01])
def test_a_canary_that_errs_alone_has_its_errors_counted(usual: float) -> None:
    """Beside a stable version within its objective, in 100 evaluations of each of 300 rollouts."""
    random, shape = np.random.default_rng(SEED), (300, 1)
    state = fresh(*shape)
    for _ in range(100):
        n_c, n_b = random.poisson(20, shape), random.poisson(180, shape)
        counts = (random.binomial(n_c, 0.05), n_c, random.binomial(n_b, usual), n_b)
        state = decision.fold(state, Look(*(one.astype(np.float64) for one in counts)), 1, design())
    assert (state.recount.left_out.total > 0).mean() <= (0.01 if usual < 0.01 else 0.1)


def test_a_canary_that_is_worse_beside_an_outage_does_not_get_through() -> None:
    """Neither in it nor after it, and evidence goes on until it is enough."""
    state = seen(*[WORSE_IN_OUTAGE] * 6)
    assert state.recount.left_out.total.all()
    rolled = False
    for _ in range(25):
        state = seen(WORSE, state=state)
        assert not advances(state)
        rolled |= bool(decision.weigh(state, design()).roll_back)
    assert rolled


def test_evidence_for_a_rollback_is_that_of_all_requests() -> None:
    """What is left out changes none of it."""
    state = seen(*[HEALTHY] * 2, *[WORSE_IN_OUTAGE] * 5, HEALTHY, WORSE)
    assert state.recount.left_out.total.all()
    nothing = replace(fresh(1).recount, log_past=state.log_past, spread=state.spread)
    found, whole = (decision.weigh(one, design()) for one in (state, replace(state, recount=nothing)))
    for name in ("relative", "objective", "proved", "roll_back", "by_lane", "missed", "blamed"):
        assert np.array_equal(getattr(found, name), getattr(whole, name)), name
    assert found.suspected < whole.suspected


def test_a_canary_that_is_worse_in_an_outage_misses_the_objective_with_all_its_requests() -> None:
    """None is left that an increase could be decided on, and evidence against stable alone isn't enough yet."""
    state = seen(*[(20, 100, 72, 900)] * 4)
    found = decision.weigh(state, design())
    assert state.ongoing.all()
    assert log(3) <= found.relative < log(100) <= found.proved
    assert found.proved == found.missed
    assert found.roll_back


def test_the_dispersion_of_an_increase_is_that_without_the_outage() -> None:
    """Nor the evaluations beside it, which may hold its beginning and its end: of nine pairs four are left."""
    state = seen(*[HEALTHY] * 3, *[OUTAGE] * 3, *[HEALTHY] * 4)
    assert state.recount.spread.weight == pytest.approx(sum(0.95**age for age in range(4)))
    assert state.recount.spread.square == 0
    assert state.spread.square > 100


def test_people_read_what_the_verdict_is_about() -> None:
    """All counts in an outage and for a rollback, and between them those since its end."""
    state, found = seen(*[HEALTHY] * 3, *[OUTAGE] * 3), []
    for following in (*[HEALTHY] * 3, *[(100.0, 100.0, 2.0, 900.0)] * 8):
        weighed = decision.weigh(state, design())
        counts, phi = decision.shown(state, weighed)
        all_ = phi == weighed.phi
        found.append((bool(weighed.roll_back), int(counts.step_total.item()), bool(all_.item())))
        state = seen(following, state=state)
    assert found[:4] == [(False, 600, True), (False, 700, True), (False, 100, False), (False, 200, False)]
    assert found[-1] == (True, 1600, True)


def test_without_an_outage_nothing_differs() -> None:
    """Both kinds of counts are the same, also over steps."""
    random, state = np.random.default_rng(SEED), fresh(1)
    for turn in range(40):
        counts = (random.poisson(1), 100, random.poisson(4), 900)
        state = seen(counts, step=1 + turn // 15, state=state)
    assert np.array_equal(state.recount.log_past, state.log_past)
    assert np.array_equal(state.recount.spread, state.spread)


def test_an_outage_of_an_earlier_step_is_no_fault_of_a_canary_that_serves_most() -> None:
    """Stable has too few requests to compare with, and was healthy when it had them; so is the canary."""
    state = seen(*[HEALTHY] * 2, *[OUTAGE] * 4, *[HEALTHY] * 3)
    for _ in range(10):
        state = seen((1, 520, 1, 480), step=STEPS, state=state)
        assert not decision.weigh(state, design()).roll_back
    for _ in range(4):
        state = seen((60, 1000, 0, 10), step=STEPS, state=state)
    assert decision.weigh(state, design()).roll_back


def test_a_metric_is_counted_again_as_a_whole_and_no_other() -> None:
    """The second lane is of the same metric as the first one, and the third isn't."""
    chosen, state = design(3, ("time", "time", "errors")), fresh(3)
    for _ in range(3):
        look = Look(*(np.array(one, float) for one in ([50, 0, 50], [100] * 3, [450, 0, 2], [900] * 3)))
        state = decision.fold(state, look, 1, chosen)
    assert state.ongoing.tolist() == [True, True, False]
    assert state.going.step_total.tolist() == [0, 0, 300]
