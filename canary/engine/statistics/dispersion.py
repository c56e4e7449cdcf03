"""How much more errors vary than independent ones would: the dispersion φ ≥ 1, from stable's own evaluations.

Errors come in clusters: a client retries, a connection breaks with all of its requests. The likelihood of counts then
looks φ times as sure as it is, so evidence is divided by φ. This is a heuristic: it is right on the average and for
clusters of the kind that stable has shown, and no bound on the rate of false rollbacks follows from it.

Source: McCullagh and Nelder, Generalized Linear Models, 1989, 4.5 (Pearson's estimate of the dispersion,
quasi-likelihood).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .special import Floats

MEMORY = 0.95
"""What an evaluation still counts after the next one: about the last 20 count."""
PRIOR, PRIOR_WEIGHT = 1.0, 4.0
"""Before anything is known of stable, errors are taken to be independent; this counts like so many evaluations."""
HIGHEST = 25.0
"""A spike in stable's history doesn't make the judge blind."""


class Spread(NamedTuple):
    """Sums over stable's evaluations, each with its weight, over any leading axes."""

    bad: Floats
    total: Floats
    square: Floats
    """Σ x²/n."""
    weight: Floats
    """Σ 1."""


def fresh(*shape: int) -> Spread:
    """Before the first evaluation."""
    return Spread(*(np.zeros(shape) for _ in range(4)))


def seen(spread: Spread, x: ArrayLike, n: ArrayLike) -> Spread:
    """After an evaluation in which stable had x errors in n requests; as it was without a request."""
    x, n = np.asarray(x, np.float64), np.asarray(n, np.float64)
    fade = np.where(n > 0, MEMORY, 1.0)
    return Spread(
        bad=spread.bad * fade + x,
        total=spread.total * fade + n,
        square=spread.square * fade + x * x / np.maximum(n, 1),
        weight=spread.weight * fade + (n > 0),
    )


def dispersion(spread: Spread) -> Floats:
    """φ over (...): Σ (x − p·n)² / (n·p·(1−p)) = (Σ x²/n − p·Σ x) / (p·(1−p)), over one less than the evaluations.

    It is drawn towards the prior while there are few, or few errors, and is at least 1.
    """
    p = spread.bad / np.maximum(spread.total, 1)
    variance = p * (1 - p)
    varies = variance > 0
    pearson = np.maximum(spread.square - p * spread.bad, 0) * varies / np.where(varies, variance, 1)
    known = np.maximum(spread.weight - 1, 0) * varies
    estimate = (PRIOR * PRIOR_WEIGHT + pearson) / (PRIOR_WEIGHT + known)
    return np.minimum(np.maximum(estimate, 1.0), HIGHEST)
