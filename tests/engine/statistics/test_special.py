"""The incomplete beta function against mpmath, and where that takes too long against sums of binomial terms."""

import mpmath
import numpy as np
import pytest

from canary.engine.statistics import special

P0 = 0.0005


@pytest.mark.parametrize("x", [1e-3, 0.5, 1.0, 2.5, 9.0, 1234.5, 1e6, 3e7])
def test_log_gamma(x: float) -> None:
    assert special.log_gamma(x) == pytest.approx(float(mpmath.loggamma(x)), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("a", [1.0, 1.3, 4.0, 70.0, 900.0])
@pytest.mark.parametrize("b", [1.0, 9.0, 33.3, 1009.0])
@pytest.mark.parametrize("x", [P0, 0.01, 0.2, 0.7, 0.999])
def test_small_parameters_against_mpmath(a: float, b: float, x: float) -> None:
    with mpmath.workdps(40):
        parts = mpmath.betainc(a, b, 0, x), mpmath.betainc(b, a, 0, 1 - mpmath.mpf(x))
        below, above = (mpmath.log(part / mpmath.beta(a, b)) for part in parts)
    for found, wanted in zip(special.log_tails(a, b, x), (below, above), strict=True):
        assert found == pytest.approx(float(wanted), rel=1e-8, abs=1e-8)


GRID = [(a, b) for a in (1, 2, 30, 1500, 40_000) for b in (9, 600, 50_000)] + [(1_000_000, 600)]
LOG_FACTORIALS = np.concatenate([[0], np.cumsum(np.log(np.arange(1, 1_060_000, dtype=np.longdouble)))])


@pytest.mark.parametrize(("a", "b"), GRID)
@pytest.mark.parametrize("off", [-6.0, -1.0, 0.0, 2.0, None])
def test_large_counts_against_sums(a: int, b: int, off: float | None) -> None:
    """I_x(a, b) is the chance of a or more successes among a + b − 1; x lies some deviations from the mode, or is
    small."""
    mode = a / (a + b)
    x = P0 if off is None else float(np.clip(mode * (1 + off / a**0.5), 1e-6, 1 - 1e-6))
    n = a + b - 1
    k = np.arange(n + 1)
    terms = LOG_FACTORIALS[n] - LOG_FACTORIALS[k] - LOG_FACTORIALS[n - k]
    terms = terms + k * np.log(np.longdouble(x)) + (n - k) * np.log1p(-np.longdouble(x))
    below, above = special.log_tails(a, b, x)
    wanted = min(_log_sum(terms[a:]), _log_sum(terms[:a]))
    assert min(below, above) == pytest.approx(wanted, rel=1e-7, abs=1e-7)
    assert np.exp(below) + np.exp(above) == pytest.approx(1)


def _log_sum(terms: np.ndarray) -> float:
    highest = terms.max()
    return float(highest + np.log(np.exp(terms - highest).sum()))


def test_over_arrays() -> None:
    one = special.log_tails(np.array([[2.0], [30.0]]), 9.0, np.array([0.1, 0.2, 0.9]))[0]
    assert one.shape == (2, 3)
    assert one[1, 2] == special.log_tails(30.0, 9.0, 0.9)[0]
