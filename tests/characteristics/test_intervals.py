"""Wilson's interval against the test that it inverts."""

import pytest

from canary.characteristics.intervals import Z95, wilson


def differs(share: float, hits: int, trials: int) -> float:
    """By how much the squared deviation of the observed share from this one exceeds the 95% quantile."""
    return (hits / trials - share) ** 2 - Z95**2 * share * (1 - share) / trials


@pytest.mark.parametrize(("hits", "trials"), [(1, 1000), (3, 7), (500, 1000), (999, 1000)])
def test_its_ends_are_where_the_score_test_rejects(hits: int, trials: int) -> None:
    low, high = wilson(hits, trials)
    assert low < hits / trials < high
    assert (differs(low, hits, trials), differs(high, hits, trials)) == pytest.approx((0, 0), abs=1e-12)


@pytest.mark.parametrize("trials", [1, 100, 800, 1000])
def test_of_no_hit_it_begins_at_0_and_of_hits_only_it_ends_at_1(trials: int) -> None:
    """Exactly, for people read the numbers: no 4e-19."""
    assert wilson(0, trials)[0] == 0
    assert wilson(trials, trials)[1] == 1


def test_without_trials_nothing_is_known() -> None:
    assert wilson(0, 0) == (0, 1)
