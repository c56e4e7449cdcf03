"""The dispersion of simulated errors, alone and in clusters."""

import numpy as np
import pytest

from canary.engine.statistics import dispersion

SEED = 20_260_101


def after(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The estimate after these evaluations; rollouts are rows."""
    spread = dispersion.fresh(len(x))
    for one, total in zip(x.T, n.T, strict=True):
        spread = dispersion.seen(spread, one, total)
    return dispersion.dispersion(spread)


@pytest.mark.parametrize("size", [1, 5])
def test_it_finds_the_size_of_clusters(size: int) -> None:
    random = np.random.default_rng(SEED)
    n = np.full((2000, 60), 1000)
    found = after(random.poisson(4 / size, n.shape) * size, n)
    assert np.mean(found) == pytest.approx(size, rel=0.25)


def test_against_pearsons_sum() -> None:
    """Over evaluations that fade by a twentieth each, with four of independent errors before them."""
    x, n, weight = np.array([0, 9, 2, 30]), np.array([100, 300, 200, 400]), 0.95 ** np.arange(3, -1, -1)
    p = (weight * x).sum() / (weight * n).sum()
    pearson = (weight * (x - p * n) ** 2 / (n * p * (1 - p))).sum()
    assert after(x[None], n[None]) == pytest.approx((4 + pearson) / (4 + weight.sum() - 1))


def test_changing_traffic_is_no_dispersion() -> None:
    random = np.random.default_rng(SEED)
    n = random.integers(10, 3000, (2000, 60))
    assert np.mean(after(random.poisson(n * 0.01), n)) == pytest.approx(1.15, abs=0.15)


def test_without_errors_nothing_is_known() -> None:
    assert after(np.zeros((1, 30)), np.full((1, 30), 1000)) == [dispersion.PRIOR]


def test_no_request_is_no_evaluation() -> None:
    spread = dispersion.seen(dispersion.fresh(), 3, 100)
    assert dispersion.seen(spread, 0, 0) == spread
