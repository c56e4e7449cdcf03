"""The dispersion of simulated errors: alone, in clusters, and after a change."""

import numpy as np
import pytest

from canary.engine.statistics import dispersion
from canary.engine.statistics.dispersion import Spread

SEED = 20_260_101


def seen(x: np.ndarray, n: np.ndarray) -> Spread:
    """After these evaluations; rollouts are rows."""
    spread, before = dispersion.fresh(len(x)), (np.zeros(len(x)), np.zeros(len(x)))
    for now in zip(x.T, n.T, strict=True):
        spread, before = dispersion.seen(spread, *now, *before), now
    return spread


def after(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The estimate."""
    return dispersion.dispersion(seen(x, n))


@pytest.mark.parametrize("size", [1, 5])
def test_it_finds_the_size_of_clusters(size: int) -> None:
    random = np.random.default_rng(SEED)
    n = np.full((2000, 60), 1000)
    found = after(random.poisson(4 / size, n.shape) * size, n)
    assert np.mean(found) == pytest.approx(size, rel=0.25)


def test_a_difference_is_pearsons_statistic_of_its_table() -> None:
    """Of errors and successes in two evaluations, here with its definition. The first one has none before it."""
    x, n = np.array([[3, 11]]), np.array([[100, 250]])
    table = np.array([x[0], (n - x)[0]])
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    assert seen(x, n).square == pytest.approx(((table - expected) ** 2 / expected).sum())


def test_against_a_plain_sum() -> None:
    """Differences fade by a twentieth with each later one; two of independent errors are before them."""
    x, n = [0, 9, 2, 30, 8], [100, 300, 200, 400, 300]
    differences, rises = [], []
    for i in range(1, 5):
        p = (x[i] + x[i - 1]) / (n[i] + n[i - 1])
        d = (x[i] / n[i] - x[i - 1] / n[i - 1]) ** 2 / (p * (1 - p) * (1 / n[i] + 1 / n[i - 1]))
        differences.append(d * 0.95 ** (4 - i))
        rises += [differences[-1]] if x[i] / n[i] > x[i - 1] / n[i - 1] else []
    known = sum(differences) - max(rises) + min(rises)
    weight = sum(0.95**age for age in range(4))
    assert after(np.array([x]), np.array([n])) == pytest.approx((2 + known) / (2 + weight))


@pytest.mark.parametrize("errors", [20, 200])
def test_errors_that_begin_and_stay_are_no_cluster(errors: int) -> None:
    random, n = np.random.default_rng(SEED), np.full((500, 12), 1000)
    rates = np.where(np.arange(12) < 8, 2, errors)
    assert np.mean(after(random.poisson(rates, n.shape), n)) < 1.5


@pytest.mark.parametrize("at", [0, 1, 5, 7])
def test_a_cluster_is_one_as_soon_as_it_is_over(at: int) -> None:
    x = np.zeros((1, 9))
    x[0, at] = 20
    assert after(x, np.full((1, 9), 250)) > 5
    assert after(x[:, : at + 1], np.full((1, at + 1), 250)) == 1


def test_one_error_is_no_cluster_among_however_few_requests() -> None:
    assert after(np.array([[0, 1, 0, 0]]), np.array([[1000, 3, 1000, 1000]])) == 1


def test_changing_traffic_is_no_dispersion() -> None:
    random = np.random.default_rng(SEED)
    n = random.integers(10, 3000, (2000, 60))
    assert np.mean(after(random.poisson(n * 0.01), n)) == pytest.approx(1.15, abs=0.15)


def test_without_errors_nothing_is_known() -> None:
    assert after(np.zeros((1, 30)), np.full((1, 30), 1000)) == [dispersion.PRIOR]
    assert after(np.full((1, 30), 1000), np.full((1, 30), 1000)) == [dispersion.PRIOR]


def test_no_request_is_no_evaluation() -> None:
    spread = dispersion.seen(dispersion.fresh(), 3, 100, 0, 100)
    for nothing in ((0, 0, 3, 100), (3, 100, 0, 0)):
        assert dispersion.seen(spread, *nothing) == spread
