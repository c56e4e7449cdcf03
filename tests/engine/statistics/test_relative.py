"""Evidence against stable: its recursion by brute force, its expectation by enumeration, and what it can tell."""

from math import comb, exp, log

import numpy as np
import pytest

from canary.engine.statistics import relative

R0 = 1.5


def run(evaluations: list[tuple[int, int, int, int]]) -> float:
    state = relative.fresh()
    for y, n_c, x, n_b in evaluations:
        state = relative.update(state, relative.log_factors(y, n_c, x, n_b, R0))
    return float(relative.log_evidence(state))


def brute_force(evaluations: list[tuple[int, int, int, int]]) -> float:
    """The sum over each beginning and each ratio of the product of the likelihood ratios since."""
    weights = [0.7] + [0.005] * 60
    grid = [1.6 * (200 / 1.6) ** (k / 29) for k in range(30)]
    total = 1 - sum(weights[: len(evaluations)])
    for r in grid:
        for start in range(len(evaluations)):
            product = 1.0
            for y, n_c, x, n_b in evaluations[start:]:
                here, null = (one * n_c / (one * n_c + n_b) for one in (r, R0))
                product *= (here / null) ** y * ((1 - here) / (1 - null)) ** x
            total += weights[start] * product / len(grid) if start < len(weights) else 0
    return log(total)


@pytest.mark.parametrize(
    "evaluations",
    [
        [(0, 50, 0, 950)],
        [(3, 50, 1, 950), (0, 40, 2, 960), (5, 300, 0, 700)],
        [(9, 10, 80, 90), (9, 10, 85, 90)],
        [(0, 500, 1, 500)] * 70,
    ],
)
def test_against_the_sum_over_beginnings(evaluations: list[tuple[int, int, int, int]]) -> None:
    assert run(evaluations) == pytest.approx(brute_force(evaluations), abs=1e-9)


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.6])
@pytest.mark.parametrize(("n_c", "n_b"), [(1, 19), (10, 10), (15, 2)])
def test_it_is_an_e_value(rate: float, n_c: int, n_b: int) -> None:
    """Over all outcomes at the null's edge, and inside, each factor's expectation is at most 1."""
    for ratio in (R0, 1.0, 0.3):
        expected = np.zeros(relative.RATIOS)
        for y in range(n_c + 1):
            for x in range(n_b + 1):
                chance = _binomial(y, n_c, ratio * rate) * _binomial(x, n_b, rate)
                factors = relative.log_factors(y, n_c, x, n_b, R0)
                expected = expected + chance * np.exp(factors)
        assert np.max(expected) <= 1 + 1e-9


def _binomial(k: int, n: int, p: float) -> float:
    return comb(n, k) * p**k * (1 - p) ** (n - k)


def test_an_outage_that_both_share_is_no_evidence() -> None:
    assert run([(30, 50, 570, 950)] * 20) < 0


def test_a_regression_is_evidence_wherever_it_begins() -> None:
    healthy, worse = (0, 100, 2, 900), (5, 100, 2, 900)
    assert run([worse] * 4) > log(100)
    assert run([healthy] * 20 + [worse] * 6) > log(100)


def test_no_request_is_no_evidence() -> None:
    assert not relative.log_factors(0, 0, 3, 100, R0).any()
    assert not relative.log_factors(3, 100, 0, 0, R0).any()


def test_an_evaluation_that_does_not_count_changes_nothing() -> None:
    state = relative.update(relative.fresh(2), relative.log_factors([5, 5], 50, 0, 950, R0), [True, False])
    assert list(state.looks) == [1, 0]
    assert relative.log_evidence(state)[1] == 0


def test_large_evidence_is_no_infinity() -> None:
    assert 1e4 < run([(5000, 10_000, 100, 90_000)] * 5) < 1e6
    assert exp(run([(0, 10_000, 0, 90_000)])) == pytest.approx(1, abs=1e-9)
