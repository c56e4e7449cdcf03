"""Evidence that the canary errs more than stable, at the same moments.

At one evaluation the canary had y errors in n_c requests, stable x in n_b. Let the canary's error rate be r times
that of stable; the null hypothesis is r ≤ r₀. For each r > r₀, with θ(r) = r·n_c / (r·n_c + n_b), the factor

    e(r) = (θ(r)/θ(r₀))^y · ((1−θ(r))/(1−θ(r₀)))^x

has an expectation of at most 1 under the null, for any error rate p of stable, also one that changes: by
1 + z ≤ e^z, the logarithm of the expectation is at most r₀·p·n_c·(θ(r)/θ(r₀) − 1) + p·n_b·((1−θ(r))/(1−θ(r₀)) − 1),
which is 0; and a smaller ratio makes the first factor smaller. So an error that both share cancels, and weights may
change at every evaluation.

A mixture over the ratio r and over the evaluation at which the regression began is a martingale of the same kind:

    S_i(r) = (S_{i−1}(r) + w_i) · e_i(r),   E_i = Σ π(r)·S_i(r) + (1 − w_1 − … − w_i)

By Ville's inequality E ever reaches 1/α with a probability of at most α under the null, however often one looks.

Sources: Lindon and Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022 (the conditional
likelihood ratio and its mixture over r); Shin, Ramdas and Rinaldo, E-detectors, 2023 (the mixture over beginnings).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .special import Floats, log0

RATIOS = 30
"""How many ratios are mixed."""
HIGHEST = 200.0
"""The highest of them."""
LOWEST = 1.6 / 1.5
"""The lowest of them, in units of r₀."""
AT_FIRST, LATER, EVALUATIONS = 0.7, 0.005, 60
"""The share of beginnings at the first evaluation, at each later one, and the number of these: 1 in all."""


@dataclass(frozen=True)
class Relative:
    """The evidence so far, over any leading axes."""

    log_s: Floats
    """ln S(r), over (..., RATIOS); −∞ before the first evaluation."""
    looks: Floats
    """Evaluations so far, over (...)."""


def fresh(*shape: int) -> Relative:
    """Before the first evaluation."""
    return Relative(np.full((*shape, RATIOS), -np.inf), np.zeros(shape))


@cache
def ratios(r0: float) -> tuple[Floats, Floats]:
    """The ratios that are mixed, with equal weights: evenly spaced in their logarithm; and ln r/r₀."""
    r = np.geomspace(r0 * LOWEST, max(HIGHEST, r0 * 10), RATIOS)
    return r, np.log(r / r0)


def start_weight(looks: ArrayLike) -> Floats:
    """w for the evaluation after so many."""
    looks = np.asarray(looks, np.float64)
    return np.where(looks == 0, AT_FIRST, np.where(looks <= EVALUATIONS, LATER, 0.0))


def unspent(looks: ArrayLike) -> Floats:
    """What is left of the start weights after so many evaluations."""
    looks = np.asarray(looks, np.float64)
    return np.where(looks == 0, 1.0, np.maximum(1 - AT_FIRST - LATER * (looks - 1), 0.0))


ALL_SPENT = EVALUATIONS + 2
"""After so many evaluations, or more, nothing is left."""
LOG_STARTS, LOG_LEFT = (log0(of(np.arange(ALL_SPENT + 1))) for of in (start_weight, unspent))
"""The logarithms of both, by the number of evaluations."""


def _row(looks: Floats) -> NDArray[np.intp]:
    return np.minimum(looks, ALL_SPENT).astype(np.intp)


def log_factors(y: ArrayLike, n_c: ArrayLike, x: ArrayLike, n_b: ArrayLike, r0: float) -> Floats:
    """ln e(r), over (..., RATIOS); 0 where one of the two had no request."""
    y, n_c, x, n_b = (np.asarray(one, np.float64)[..., None] for one in (y, n_c, x, n_b))
    r, log_r = ratios(r0)
    # ln θ(r)/θ(r₀) = ln r/r₀ − ln q, ln (1−θ(r))/(1−θ(r₀)) = −ln q, with q = (r·n_c + n_b) / (r₀·n_c + n_b)
    both = (n_c > 0) & (n_b > 0)
    q = (r * n_c + n_b) / np.where(both, r0 * n_c + n_b, 1.0)
    if both.all():
        return np.asarray(y * log_r - (y + x) * np.log(q))
    found = y * log_r - (y + x) * np.log(np.where(both, q, 1.0))
    return np.where(both, found, 0.0)


def update(state: Relative, factors: Floats, counts: ArrayLike = True) -> Relative:
    """One more evaluation with these `log_factors`, which may have further axes in front; as it was where `counts` is
    false."""
    begun = np.logaddexp(state.log_s, LOG_STARTS[_row(state.looks)][..., None]) + factors
    counts = np.asarray(counts)
    return Relative(np.where(counts[..., None], begun, state.log_s), state.looks + counts)


def log_evidence(state: Relative) -> Floats:
    """ln E, over (...)."""
    left = LOG_LEFT[_row(state.looks)]
    highest = np.maximum(state.log_s.max(axis=-1), left)
    mixed = np.exp(state.log_s - highest[..., None]).sum(axis=-1) / RATIOS + np.exp(left - highest)
    return np.asarray(np.log(mixed) + highest)
