"""The logarithms of the beta function and of the regularised incomplete beta function, over arrays.

`scipy.special` has no logarithm of the incomplete beta function, which is below the smallest float for the counts
that a busy service has; and importing it takes 0.7 s and 40 MiB.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SHIFT = 8
"""Stirling's series is used from here on: its first term left out is below 1e-13."""
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
HALF_LOG_TWO_PI = 0.9189385332046727
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2  # of the interval from 0 to 1
DROP = 30.0
"""The quadrature ends where the density is below its start by this much in the logarithm."""
CORRECTIONS = 2
"""Newton's steps to find that end; none goes below it, as the logarithm of the density is concave."""


def log_gamma(x: ArrayLike) -> Floats:
    """ln Γ(x) for x > 0, to 1e-13 of its size. Stirling's series at x + 8 (DLMF 5.11.1), Γ(x) = Γ(x+8)/(x)₈."""
    x = np.asarray(x, np.float64)
    ends = x * (x + 7)  # (x)₈ is the product of x(x+7), (x+1)(x+6), (x+2)(x+5), (x+3)(x+4)
    product = ends * (ends + 6) * (ends + 10) * (ends + 12)
    high = x + SHIFT
    inverse = 1 / high
    square = inverse * inverse
    series = STIRLING[-1] * square
    for term in STIRLING[-2:0:-1]:
        series = (series + term) * square
    series = series + STIRLING[0]
    return np.asarray((high - 0.5) * np.log(high) - high + HALF_LOG_TWO_PI + series * inverse - np.log(product))


def log_beta(a: ArrayLike, b: ArrayLike) -> Floats:
    """ln B(a, b) for a, b > 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        a, b = np.broadcast_arrays(a, b)
    of_a, of_b, of_both = log_gamma(np.array((a, b, a + b)))
    return np.asarray(of_a + of_b - of_both)


def log_tails(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> tuple[Floats, Floats]:
    """ln I_x(a, b) and ln(1 − I_x(a, b)): the logarithms of the Beta(a, b) distribution below and above x.

    For a, b ≥ 1 and 0 < x < 1, to 1e-8 of their size. The part on the far side of the mode from x is integrated; the
    other is the rest. In t = ln(p/(1−p)), the density is σ(t)^a · σ(−t)^b: smooth and log-concave for all a and b,
    so a quadrature with a fixed number of points does from x to where nothing is left. The continued fraction
    (DLMF 8.17.22) needs as many steps as the square root of the counts.
    """
    a, b, x = floats(a, b, x)
    return log_tails_of(a, b, x, log_beta(a, b))


def log_tails_of(a: Floats, b: Floats, x: Floats, whole: Floats) -> tuple[Floats, Floats]:
    """The same of arrays of one shape, where `whole` is ln B(a, b)."""
    total, log_rest = a + b, np.log1p(-x)
    near = a * np.log(x) + b * log_rest - whole + _log_integral(a, total, x, log_rest)
    near = np.minimum(near, -1e-16)
    far, above = np.log(-np.expm1(near)), total * x >= a
    return np.where(above, far, near), np.where(above, near, far)


def floats(*given: ArrayLike) -> list[Floats]:
    """Arrays of one shape."""
    found = [np.asarray(one, np.float64) for one in given]
    if len({one.shape for one in found}) > 1:
        found = [np.asarray(one) for one in np.broadcast_arrays(*found)]
    return found


def _log_integral(a: Floats, total: Floats, x: Floats, log_rest: Floats) -> Floats:
    """ln ∫ f(t)/f(t₀) dt from t₀ = ln(x/(1−x)) away from the mode, f as in `log_tails`: by Gauss and Legendre's rule.

    At t₀ + v, ln f is higher by a·v − (a+b)·ln((1 + e^(t₀+v))/(1 + e^t₀)), which falls in that direction. `total` is
    a+b, and `log_rest` is ln(1−x) = −ln(1 + e^t₀).
    """
    rest, mean = 1.0 - x, total * x
    odds, beyond = x / rest, mean - a
    curve = 2 * DROP * mean * rest
    end = np.copysign(2 * DROP / (np.abs(beyond) + np.sqrt(beyond * beyond + curve)), beyond)
    for _ in range(CORRECTIONS):
        rest = odds * np.exp(end)
        higher = a * end - total * (np.log1p(rest) + log_rest)
        end = end - (higher + DROP) / (a - total * rest / (1.0 + rest))
    v = end[..., None] * NODES
    rest = np.log1p(odds[..., None] * np.exp(v))
    higher = a[..., None] * v - total[..., None] * (rest + log_rest[..., None])
    return np.asarray(np.log(np.exp(higher) @ WEIGHTS * np.abs(end)))


def log0(value: Floats | Flags | NDArray[np.int64]) -> Floats:
    """Its logarithm, −∞ for 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(value), np.float64)
