"""What the rules of other tools have in common: what they ask Prometheus, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from canary.characteristics.arrays import Bools, Floats, Ints
from canary.characteristics.counters import CANARY, quantile, success_rate
from canary.characteristics.requests import SLOWER, TOTAL, Grid
from canary.characteristics.rollouts import Rollouts, SimulatedStep

SCRAPE, WINDOW = 15.0, 60.0
"""Seconds between scrapes, and the window of `rate(…[1m])`."""
SUCCESS, SLOWEST = 99.0, 500.0
"""The least share of successes in per cent, and the highest p99 in milliseconds."""


@dataclass(frozen=True)
class Answers:
    """What Prometheus answers about the canary; each of shape (rollouts,), NaN for no requests."""

    success: Floats
    """Per cent of requests without an error."""
    p99: Floats
    """Milliseconds."""
    known: Bools
    """Whether the series exist: the canary has ever answered a request."""


class ForeignRollouts(Rollouts):
    """Rollouts by the rule of another tool."""

    def __init__(self, stages: Sequence[SimulatedStep], grid: Grid, count: int, interval: float) -> None:
        super().__init__(stages, grid, count, interval, WINDOW)

    def _answers(self) -> Answers:
        """`rate(x[1m])` is the difference between the last sample and the first one in the window, which is up to a
        scrape younger than the window; the extrapolation cancels in ratios."""
        counts = self.counters.window(np.full(self.count, round((WINDOW - SCRAPE) / self.grid.tick)))
        return Answers(success_rate(counts), p99(counts, self.grid), self.counters.seen[CANARY][:, TOTAL] > 0)


def p99(counts: Ints, grid: Grid) -> Floats:
    """`histogram_quantile(0.99, …)` of counts of shape (rollouts, columns), in milliseconds; above the
    highest edge Prometheus answers that edge."""
    return quantile(0.99, grid.edges, counts[:, TOTAL], counts[:, SLOWER:], grid.edges[-1])
