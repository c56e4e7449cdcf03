"""How much more errors vary than independent ones would: the dispersion φ ≥ 1, from evaluations of one version.

Errors come in clusters: a client retries, a connection breaks with all of its requests. The likelihood of counts then
looks φ times as sure as it is, so evidence is divided by φ: that of stable's errors or that of the canary's own,
whichever is higher, for the canary may have the first clusters. This is a heuristic: it is right on the average, and
no bound on the rate of false rollbacks follows from it.

Each evaluation is compared with the one before it. So errors that begin in mid-rollout and stay are no cluster: of
the increases, the largest counts only as much as the second largest, as in `burst.py`. A cluster has a decrease too.

Sources: von Neumann, Kent, Bellinson and Hart, The mean square successive difference, 1941 (differences of neighbours
in place of those from the mean); McCullagh and Nelder, Generalized Linear Models, 1989, 4.5 (dispersion,
quasi-likelihood).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .special import Floats

MEMORY = 0.95
"""What an evaluation still counts after the next one: about the last 20 count."""
PRIOR, PRIOR_WEIGHT = 1.0, 2.0
"""Before anything is known, errors are taken to be independent; this counts like so many evaluations."""
HIGHEST = 25.0
"""A spike in the history doesn't make the judge blind."""


class Spread(NamedTuple):
    """Sums over pairs of evaluations in a row, each with its weight, over any leading axes."""

    square: Floats
    """Σ d², with d² of `seen`."""
    weight: Floats
    """Σ 1, over pairs with an error."""
    largest: Floats
    """The largest d² of an increase, with its weight."""
    second: Floats
    """The second largest."""


def fresh(*shape: int) -> Spread:
    """Before the first evaluation."""
    return Spread(*(np.zeros(shape) for _ in range(4)))


def seen(spread: Spread, x: ArrayLike, n: ArrayLike, x0: ArrayLike, n0: ArrayLike) -> Spread:
    """After an evaluation with x errors in n requests that follows one with x0 in n0; as it was if neither had an
    error, or one had no request.

    d² = (x/n − x0/n0)² / (p·(1−p)·(1/n + 1/n0)), with p the rate of both together: χ² with one degree of freedom, and
    1 on the average for as many independent errors.
    """
    x, n, x0, n0 = (np.asarray(one, np.float64) for one in (x, n, x0, n0))
    bad, total, product = x + x0, n + n0, n * n0
    varies = (product > 0) & (bad > 0) & (bad < total)
    higher, fade = x * n0 - x0 * n, np.where(varies, MEMORY, 1.0)
    square = varies * np.minimum(higher**2 * total / np.where(varies, product * bad * (total - bad), 1), bad)
    largest, second, rise = spread.largest * fade, spread.second * fade, np.where(higher > 0, square, 0.0)
    return Spread(
        square=spread.square * fade + square,
        weight=spread.weight * fade + varies,
        largest=np.maximum(largest, rise),
        second=np.maximum(second, np.minimum(largest, rise)),
    )


def stacked(*spreads: Spread) -> Spread:
    """Several of one shape along a new first axis."""
    return Spread(*map(np.array, zip(*spreads, strict=True)))


def parts(spreads: Spread) -> Iterator[Spread]:
    """Those along the first axis."""
    return map(Spread, *spreads)


def dispersion(spread: Spread) -> Floats:
    """φ over (...): the mean of d², drawn towards the prior while there are few, and at least 1."""
    known = spread.square - spread.largest + spread.second
    estimate = (PRIOR * PRIOR_WEIGHT + known) / (PRIOR_WEIGHT + spread.weight)
    return np.minimum(np.maximum(estimate, 1.0), HIGHEST)
