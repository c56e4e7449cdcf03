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
NODES, WEIGHTS = np.polynomial.legendre.leggauss(32)
HALF_NODES = (NODES + 1) / 2
"""Of the interval from 0 to 1."""
DROP = 36.0
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
    each = np.empty((3, *a.shape))
    each[0], each[1], each[2] = a, b, a + b
    each = log_gamma(each)
    return np.asarray(each[0] + each[1] - each[2])


def log_tails(a: ArrayLike, b: ArrayLike, x: ArrayLike, whole: Floats | None = None) -> tuple[Floats, Floats]:
    """ln I_x(a, b) and ln(1 − I_x(a, b)): the logarithms of the Beta(a, b) distribution below and above x.

    For a, b ≥ 1 and 0 < x < 1, to 1e-8 of their size. The part on the far side of the mode from x is integrated; the
    other is the rest. In t = ln(p/(1−p)), the density is σ(t)^a · σ(−t)^b: smooth and log-concave for all a and b,
    so a quadrature with a fixed number of points does from x to where nothing is left. The continued fraction
    (DLMF 8.17.22) needs as many steps as the square root of the counts. `whole` is ln B(a, b), if it is known.
    """
    a, b, x = floats(a, b, x)
    whole = log_beta(a, b) if whole is None else whole
    flipped = x * (a + b) > a
    first, second, at = np.where(flipped, b, a), np.where(flipped, a, b), np.where(flipped, 1 - x, x)
    log_at, log_rest = np.log(at), np.log1p(-at)
    near = first * log_at + second * log_rest - whole + _log_integral(first, second, at)
    near = np.minimum(near, -1e-16)
    far = np.log(-np.expm1(near))
    return np.where(flipped, far, near), np.where(flipped, near, far)


def floats(*given: ArrayLike) -> list[Floats]:
    """Arrays of one shape."""
    found = [np.asarray(one, np.float64) for one in given]
    if any(one.shape != found[0].shape for one in found):
        found = [np.asarray(one) for one in np.broadcast_arrays(*found)]
    return found


def _log_integral(a: Floats, b: Floats, x: Floats) -> Floats:
    """ln ∫ f(t)/f(t₀) dt below t₀ = ln(x/(1−x)), f as in `log_tails` and rising there: by Gauss and Legendre's rule.

    Below t₀ by u, ln f has fallen by F(u) = a·u − (a+b)·ln((1 + e^t₀)/(1 + e^(t₀−u))).
    """
    total, odds = a + b, x / (1 - x)
    slope, curve, base = np.maximum(a - total * x, 0), total * x * (1 - x), -np.log1p(-x)
    width = 2 * DROP / (slope + np.sqrt(slope * slope + 2 * DROP * curve))
    for _ in range(CORRECTIONS):
        rest = odds * np.exp(-width)
        fallen = a * width - total * (base - np.log1p(rest))
        width = width + (DROP - fallen) / (a - total * rest / (1 + rest))
    u = width[..., None] * HALF_NODES
    rest = np.log1p(odds[..., None] * np.exp(-u))
    fallen = a[..., None] * u - total[..., None] * (base[..., None] - rest)
    return np.asarray(np.log(np.exp(-fallen) @ WEIGHTS * width / 2))


def log0(value: Floats | Flags | NDArray[np.int64]) -> Floats:
    """Its logarithm, −∞ for 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(value), np.float64)
