"""What scrapes make visible of the requests: cumulative counters of both versions, now and some time ago."""

from collections import deque

import numpy as np

from .arrays import Bools, Floats, Ints
from .requests import TOTAL

CANARY, STABLE = 0, 1


class SimulatedCounters:
    """Counters of many rollouts; shape of all counts: (2, rollouts, columns), canary first."""

    def __init__(self, count: int, columns: int, depth: int) -> None:
        self.true = np.zeros((2, count, columns), np.int64)
        self.seen = self.true.copy()
        self._past = deque([self.seen], maxlen=depth + 1)

    def add(self, counts: Ints, scraped: Bools) -> None:
        """One tick's requests, then the scrapes at its end."""
        self.true = self.true + counts
        self.seen = np.where(scraped[..., None], self.true, self.seen)
        self._past.append(self.seen)

    def ago(self, ticks: int) -> Ints:
        """What the counters showed so many ticks ago; at the beginning if that is before it."""
        found: Ints = self._past[max(len(self._past) - 1 - ticks, 0)]
        return found

    def window(self, ticks: Ints, version: int = CANARY) -> Ints:
        """A version's counts in the last so many ticks of each rollout; shape (rollouts, columns)."""
        found: Ints = np.empty(self.seen.shape[1:], np.int64)
        for one in np.unique(ticks):
            chosen = ticks == one
            found[chosen] = (self.seen[version] - self.ago(int(one))[version])[chosen]
        return found


def quantile(q: float, edges: tuple[float, ...], total: Ints, slower: Ints, beyond: float) -> Floats:
    """Prometheus' `histogram_quantile` over whole counts: linear inside of a bucket, the lowest begins at 0.

    `slower` has the requests above each edge, shape (rollouts, edges). `beyond` stands for a quantile above the
    highest edge. NaN without requests. https://prometheus.io/docs/prometheus/latest/querying/functions/
    """
    below = np.concatenate([np.zeros_like(total)[:, None], total[:, None] - slower], axis=1)
    rank = q * total
    reached = (below[:, 1:] >= rank[:, None]) & (below[:, 1:] > below[:, :-1])
    bucket, each = reached.argmax(axis=1), np.arange(len(total))
    bounds = np.array((0.0, *edges))
    inside = below[each, bucket + 1] - below[each, bucket]
    part = (rank - below[each, bucket]) / np.maximum(inside, 1)
    found = np.where(reached.any(axis=1), bounds[bucket] + (bounds[bucket + 1] - bounds[bucket]) * part, beyond)
    return np.where(total > 0, found, np.nan)


def success_rate(counts: Ints) -> Floats:
    """Per cent of requests that didn't fail; NaN without requests. Counts have shape (..., columns)."""
    total = counts[..., TOTAL]
    return np.where(total > 0, 100 * (1 - counts[..., TOTAL + 1] / np.maximum(total, 1)), np.nan)
