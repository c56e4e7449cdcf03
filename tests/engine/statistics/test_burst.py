"""One burst of errors is no proof; two are, and so is a canary that fails wholly."""

import numpy as np
import pytest

from canary.engine.statistics import burst, decision
from canary.engine.statistics.state import Look, design_of, fresh


def test_the_two_largest_are_kept() -> None:
    """Against sorting all values."""
    values = np.random.default_rng(1).integers(0, 9, (30, 5)).astype(float)
    kept = burst.fresh(5)
    for one in values:
        kept = burst.seen(kept, one)
    ordered = np.sort(np.vstack((np.zeros(5), values)), axis=0)
    assert kept.largest.tolist() == ordered[-1].tolist()
    assert burst.excess(kept).tolist() == (ordered[-1] - ordered[-2]).tolist()


def test_what_exceeds_a_quarter_of_the_requests_is_no_burst() -> None:
    """Rounded up. Nor are four errors."""
    assert burst.part([0, 4, 5, 9, 40], [10, 4, 10, 10, 40]).tolist() == [0, 0, 1, 3, 10]


def weighed(failing: list[int], skew: float, requests: int = 100) -> list[bool]:
    """Whether the judge rolls back after each evaluation, of which so many of the canary's requests fail."""
    design = design_of(alpha=0.01, effect=1.5, lanes=[(1.0, 0.01, True)], steps=3, skew=skew)
    state, found = fresh(1), []
    for y in failing:
        look = Look(*(np.array([float(one)]) for one in (y, requests, 4, 19 * requests)))
        state = decision.fold(state, look, 1, design)
        found.append(bool(decision.weigh(state, design).roll_back))
    return found


@pytest.mark.parametrize(
    ("failing", "rolled_back"),
    [
        pytest.param([0, 0, 20, 0, 0, 0, 0], False, id="one burst"),
        pytest.param([20, 0, 0, 0, 0, 0, 0], False, id="one at the start"),
        pytest.param([0, 0, 20, 0, 20, 0, 0], True, id="two bursts"),
        pytest.param([0, 0, 20, 20, 20], True, id="errors that stay"),
        pytest.param([0, 0, 100, 0, 0], True, id="nearly all failed once"),
        pytest.param([4, 5, 3, 6, 4, 5, 4, 5, 6, 5], True, id="few errors that stay"),
    ],
)
@pytest.mark.parametrize("skew", [0.5, 0.0])
def test_a_burst_is_no_proof(failing: list[int], rolled_back: bool, skew: float) -> None:
    """Nor is it forgotten: it blocks increases, and the next errors count on. Also where one scrape has the counts of
    both versions, so that none are left out for being seen apart."""
    assert any(weighed(failing, skew)) is rolled_back


def test_a_canary_that_fails_wholly_is_rolled_back_at_once() -> None:
    """In its first evaluation, though the last requests count in part."""
    assert weighed([100], skew=0.5) == [True]
