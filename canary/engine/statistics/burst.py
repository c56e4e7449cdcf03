"""How far the worst evaluation stands out from all others: a burst of errors is no proof by itself.

Errors come in clusters: a connection breaks, and all of its requests fail in one evaluation. The dispersion
(`dispersion.py`) knows this only once one of the versions has shown it. Therefore the worst evaluation counts
only as much as the second worst, unless more than a quarter of the canary's requests failed in it: what exceeds a
quarter always counts, and so do four errors. A canary that errs all the time loses next to nothing, as its
evaluations are alike, and one that fails wholly is rolled back as soon as without this.

This only takes evidence away, so all that is proved of it stays true. Against clusters it is a heuristic, as the
dispersion is: two bursts in one rollout are two bad evaluations.

Source: Winsor's rule of replacing an extreme value by its neighbour (Tukey, The future of data analysis, 1962), here
for the largest value only.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .special import Floats

SHARE = 0.25
"""More than this share of the canary's requests is no burst."""
FEW = 4
"""So many errors always count: where there are few requests, one more evaluation would be a long time."""


class Burst(NamedTuple):
    """The largest values of single evaluations, over any leading axes."""

    largest: Floats
    second: Floats


def fresh(*shape: int) -> Burst:
    """Before the first evaluation."""
    return Burst(np.zeros(shape), np.zeros(shape))


def seen(burst: Burst, value: ArrayLike) -> Burst:
    """After an evaluation with this value."""
    value = np.asarray(value, np.float64)
    second = np.maximum(burst.second, np.minimum(burst.largest, value))
    return Burst(np.maximum(burst.largest, value), second)


def excess(burst: Burst) -> Floats:
    """By how much the largest value exceeds the second largest."""
    return burst.largest - burst.second


def part(bad: ArrayLike, total: ArrayLike) -> Floats:
    """How many of an evaluation's bad events may be a burst."""
    few = np.maximum(np.asarray(bad) - FEW, 0)
    return np.asarray(np.minimum(few, np.ceil(np.asarray(total) * SHARE)), np.float64)
