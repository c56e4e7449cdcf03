"""Where verdicts and limits turn: counts on both sides of each bar, exact sums and integrals."""

from math import exp, lgamma, log, nan

import numpy as np
import pytest
from numpy.typing import ArrayLike

from canary.engine.statistics import decision
from canary.engine.statistics.decision import Weighed
from canary.engine.statistics.state import Design, Look, State, design_of, fresh

SOME = 3
"""Evidence of which docs/judge-sequential.md says: with less against the canary, the weight is increased; with as
much that stable does better, the canary is to blame for an objective that is missed."""


def design(allowed: float = 0.01, skew: float = 0.25, effect: float = 1.5) -> Design:
    return design_of(0.01, effect, [(1.0, allowed, True)], 2, skew)


def fold(state: State, chosen: Design, counts: tuple[ArrayLike, ...], step: int = 1) -> State:
    """After one more evaluation of one lane; each of its four counts may be one of each rollout."""
    y, n_c, x, n_b = np.broadcast_arrays(*counts)
    return decision.fold(state, Look(*(one.astype(float)[..., None] for one in (y, n_c, x, n_b))), step, chosen)


def after(chosen: Design, *evaluations: tuple[ArrayLike, ...], step: int = 1) -> Weighed:
    state = fresh(*np.broadcast(*evaluations[-1]).shape, 1)
    for one in evaluations:
        state = fold(state, chosen, one, step)
    return decision.weigh(state, chosen)


def test_no_increase_with_some_evidence() -> None:
    """With a little less there is one, for any counts."""
    errors, requests, stable = np.meshgrid(np.arange(10, 60), (400, 900), np.arange(1, 80))
    found = after(design(allowed=nan), *[(errors, requests, stable, 900)] * 2)
    evidence, advance, held = np.exp(found.suspected), found.advance, found.doubted
    assert 0.97 * SOME < evidence[advance].max() < SOME <= evidence[held].min() < 1.03 * SOME
    assert (advance ^ held ^ found.roll_back).all()


def test_a_missed_objective_is_blamed_with_some_evidence_against_stable() -> None:
    """However clear it is that it is missed. Only then the canary is rolled back for it."""
    errors, stable = np.meshgrid(np.arange(30, 70), np.arange(90, 300, 3))
    found = after(design(), *[(errors, 500, stable, 4500)] * 4)
    evidence, blamed = np.exp(found.by_lane[..., 0]), found.blamed[..., 0]
    near = (found.missed[..., 0] > log(1000)) & (evidence < 2 * SOME) & (evidence > SOME / 2)
    assert near.sum() > 50
    assert 0.97 * SOME < evidence[near & ~blamed].max() < SOME <= evidence[near & blamed].min() < 1.03 * SOME
    assert np.array_equal(found.roll_back[near], blamed[near])


def poisson(mean: float, counts: np.ndarray) -> np.ndarray:
    return np.array([exp(one * log(mean) - mean - lgamma(one + 1)) for one in counts.tolist()])


@pytest.mark.parametrize("traffic", [1, 3])
def test_stable_at_the_same_rate_hardly_ever_seems_to_have_an_outage(traffic: float) -> None:
    """What chance explains is about what a one-sided test at 2.5% allows. Summed over all pairs of counts of two
    evaluations in a row, with their probabilities if the rate is the same in both."""
    mean, counts = 50, np.arange(250)
    here, beside = np.meshgrid(counts[:110], counts, indexing="ij")
    chance = np.outer(poisson(mean, counts[:110]), poisson(mean * traffic, counts))
    taken = []
    for skew in (0.25, 0.0):
        chosen, state = design(skew=skew), fresh(*here.shape, 1)
        for one in ((9, 100, here, 900), (0, 100 * traffic, beside, 900 * traffic)):
            state = fold(state, chosen, one)
        taken.append(state.relative.log_s[..., 0, -1])
    differs = chance[taken[0] < taken[1] - 1e-9].sum()
    assert chance.sum() == pytest.approx(1, abs=1e-6)
    assert 0.01 < differs < 0.04


def surest(errors: int, requests: int, stable: np.ndarray, effect: float) -> np.ndarray:
    """The highest logarithm of evidence that there may be of these errors and none of stable's: of all ratios the
    likeliest, in place of a mixture of them."""
    ratio = np.geomspace(effect, 1e9, 500)
    likelihood = (requests * one / (requests * one + stable[:, None]) for one in (ratio, effect))
    return np.asarray((errors * np.subtract(*map(np.log, likelihood))).max(axis=-1))


@pytest.mark.parametrize("effect", [1.5, 4.0])
@pytest.mark.parametrize("cluster", [0, 6], ids=["independent", "clusters"])
def test_stable_is_compared_with_if_the_comparison_could_give_some_evidence(effect: float, cluster: int) -> None:
    """It has had no error in this step, which is the highest evidence that so few requests can give."""
    stable = np.arange(10, 4000)
    chosen, state = design(allowed=0.02, effect=effect), fresh(len(stable), 1)
    for turn in range(7):
        state = fold(state, chosen, (0, 1000, turn % 2 * cluster, np.full(stable.shape, 1000)))
    state = fold(state, chosen, (1000, 100_000, 0, stable), step=2)
    found = decision.weigh(state, chosen)
    assert (found.phi[0, 0] > 2) == (cluster > 0)
    evidence = np.exp(surest(1000, 100_000, stable, effect) / found.phi[:, 0])
    alone = found.blamed[:, 0] & (found.by_lane[:, 0] < log(SOME))
    assert 0.97 * SOME < evidence[alone].max() <= 1.01 * SOME
    assert np.array_equal(alone, stable <= stable[alone].max())


def test_evidence_of_lanes_is_averaged() -> None:
    """By weight: against stable over all, against the objective over those that have one. There a lane counts as 0
    where the canary isn't to blame."""
    lanes = [(6.0, 0.01, True), (1.0, 0.01, True), (1.0, nan, True)]
    chosen = design_of(0.01, 1.5, lanes, 2, 0.25)
    for second, share in ((9.0, 1.0), (0.0, 6 / 7)):
        state, errors = fresh(3), np.array([9, second, 0])
        for _ in range(4):
            state = decision.fold(state, Look(errors, np.full(3, 100.0), np.ones(3), np.full(3, 900.0)), 1, chosen)
        found = decision.weigh(state, chosen)
        assert found.blamed.tolist() == [True, second > 0, False]
        assert found.relative == pytest.approx(log(np.exp(found.by_lane) @ (0.75, 0.125, 0.125)))
        assert found.proved == pytest.approx(found.missed[0] + log(share))


@pytest.mark.parametrize(("errors", "requests"), [(4, 100), (12, 100), (30, 250), (2400, 30_000)])
def test_the_rate_of_stable_is_its_mean_after_these_counts(errors: int, requests: int) -> None:
    """With the prior of `objective.py`, whose density is in proportion to (1 − p)⁸: here by integration."""
    p = (np.arange(200_000) + 0.5) / 200_000
    density = errors * np.log(p) + (requests - errors + 8) * np.log1p(-p)
    weights = np.exp(density - density.max())
    found = after(design(effect=4.0), (0, 100, errors, requests), step=2)
    assert found.limit[0] == pytest.approx(min(4 * np.average(p, weights=weights), 0.95), rel=1e-4)


@pytest.mark.parametrize("spike", [10, 1000])
def test_a_spike_in_the_history_does_not_hide_a_canary_that_fails_wholly(spike: int) -> None:
    """All of stable's requests failed once, in so many times the usual ones. Two evaluations are enough."""
    usual, wholly = (0, 100, 2, 900), (100, 100, 2, 900)
    spiked = (0, 100 * spike, 900 * spike, 900 * spike)
    assert after(design(), usual, usual, spiked, usual, usual, wholly, wholly).roll_back
