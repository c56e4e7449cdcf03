"""Figures of the benchmark against independent computations, and its page against the results that are kept."""

import numpy as np
import pytest

from .contestants import CONTESTANTS
from .figures import mean, median, ratio, read, row_of, wire
from .scenarios import scenarios
from .simulate import TUNING, chosen, seed_of, simulate
from .validity import validity


def test_a_ratio_of_means_is_one_for_equal_values() -> None:
    """Pairs have no luck then, however much they vary."""
    values = np.random.default_rng(1).exponential(3, 200)
    found = ratio(values, values)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))
    assert ratio(values, np.zeros(200)) is None


def test_intervals_hold_their_value_in_19_of_20() -> None:
    """Means and medians of many samples whose true value is known."""
    random, held = np.random.default_rng(2), np.zeros(2)
    for _ in range(400):
        values = random.normal(5, 2, 200)
        middle = median(values, 200)
        assert middle is not None
        held += [one.low <= 5 <= one.high for one in (mean(values), middle)]
    assert (held / 400 > 0.91).all()


def test_a_median_of_few_is_none() -> None:
    """Less than one rollout in twenty."""
    assert median(np.ones(4), 100) is None
    assert median(np.ones(5), 100) is not None


def test_what_is_kept_is_read_again() -> None:
    """With five digits."""
    scenario = chosen(["all fail"])[0]
    row = row_of(scenario, simulate(scenario, seed_of(TUNING, scenario, 0), 20))
    assert wire(read(wire(row))) == wire(row)
    assert set(row.cells) == set(CONTESTANTS)


def test_evidence_is_seldom_wrong() -> None:
    """A small run of what the page has: 1% of 100 rollouts is 1, and 6 come once in a thousand runs."""
    found = list(validity(100, 3, evaluations=25))
    assert len({(one.form, one.rate) for one in found}) == len(found) == 15
    assert max(one.crossed for one in found) < 6


def test_names_fit_a_table() -> None:
    """No cell is split."""
    assert not any("|" in one.name for one in scenarios())
