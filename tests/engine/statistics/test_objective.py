"""Evidence about an objective against mpmath's quadrature, and its bounds against the evidence itself."""

import mpmath
import numpy as np
import pytest

from canary.engine.statistics import objective

COUNTS = [(0, 38), (3, 0), (1, 500), (12, 300), (40, 40), (700, 90_000), (3, 1_000_000)]


@pytest.mark.parametrize(("bad", "good"), COUNTS)
@pytest.mark.parametrize("p0", [0.0005, 0.01, 0.3])
def test_against_quadrature(bad: int, good: int, p0: float) -> None:
    """The likelihood ratio against p0, averaged over the prior's part above p0, and over that below it."""
    above, below = (float(mpmath.log(_average(bad, good, p0, end))) for end in (1, 0))
    assert objective.log_evidence_above(bad, good, p0) == pytest.approx(above, rel=1e-7, abs=1e-7)
    assert objective.log_evidence_below(bad, good, p0) == pytest.approx(below, rel=1e-7, abs=1e-7)


def _average(bad: int, good: int, p0: float, end: int) -> mpmath.mpf:
    with mpmath.workdps(20):
        peak = mpmath.mpf(bad + 0.01) / (bad + good + 0.1)
        deviation = mpmath.sqrt(peak * (1 - peak) / (bad + good + 1))
        peak = min(max(peak, p0), 1) if end else min(peak, p0)  # as far as the range reaches
        points = [peak + deviation * step for step in (-12, -6, -3, 0, 3, 6, 12)]
        inside = sorted({mpmath.mpf(p0), mpmath.mpf(end), *(p for p in points if min(p0, end) < p < max(p0, end))})

        def prior(p: mpmath.mpf) -> mpmath.mpf:
            return (1 - p) ** 8

        def likelihood(p: mpmath.mpf) -> mpmath.mpf:
            return mpmath.exp(bad * mpmath.log(p / p0) + good * mpmath.log((1 - p) / (1 - p0))) * prior(p)

        return mpmath.quad(likelihood, inside, maxdegree=4) / mpmath.quad(prior, [min(p0, end), max(p0, end)])


@pytest.mark.parametrize("alpha", [0.05, 0.01, 1e-4])
def test_bounds_are_where_the_evidence_reaches_the_bar(alpha: float) -> None:
    bad = np.array([1, 5, 50, 5000, 0, 300_000, 1, 3])
    good = np.array([10, 100, 5000, 1e6, 1000, 1e6, 0, 0])
    low, high = objective.bounds(bad, good, alpha)
    seen = bad > 0
    above = objective.log_evidence_above(bad[seen], good[seen], low[seen])
    below = objective.log_evidence_below(bad[good > 0], good[good > 0], high[good > 0])
    assert above == pytest.approx(-np.log(alpha), abs=2e-2)
    assert below == pytest.approx(-np.log(alpha), abs=2e-2)
    assert list(high[good == 0]) == [1, 1]
    assert low[4] == 0


@pytest.mark.parametrize("bad", [0, 2, 40.5])
@pytest.mark.parametrize("p0", [0.015, 0.05, 0.5])
@pytest.mark.parametrize("phi", [1.0, 2.5])
def test_how_many_more_events_it_takes(bad: float, p0: float, phi: float) -> None:
    """Enough by the evidence itself, and a fifth fewer would not be: each of `MORE` is a ninth more than the last."""
    more = objective.more_good(bad, 10.0, p0, 0.01, phi)
    assert more is not None

    def evidence(good: float) -> float:
        return float(objective.log_evidence_below(bad / phi, good / phi, p0))

    assert evidence(10 + more) >= np.log(100)
    assert more == 0 or np.log(100) > evidence(10 + 0.8 * more - 1)


def test_nothing_seen_bounds_nothing() -> None:
    low, high = objective.bounds([0, 0], [0, 3], 0.01)
    assert list(low) == [0, 0]
    assert high[0] == 1
    assert high[1] > 0.6


def test_it_takes_about_this_many_requests() -> None:
    """Requests without an error that rule out an error rate: what the user's page says."""
    good = np.arange(1, 500)
    needed = {p: int(good[objective.log_evidence_below(0, good, p) >= np.log(100)][0]) for p in (0.5, 0.2, 0.05)}
    assert needed == {0.5: 8, 0.2: 27, 0.05: 123}
