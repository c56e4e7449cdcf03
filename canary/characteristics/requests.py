"""Draws the requests of many simulated rollouts, tick by tick, before it is known how the rollouts go.

Traffic is cut into slices between the weights that occur. Each slice has two fates in each tick: what is counted if
the canary gets it, and what is counted if stable does. A rollout at weight w gets the canary's fate of the slices up
to w and stable's fate of the others. So judges that move differently see the same random numbers ("common random
numbers"), and differences between them aren't luck. Arrivals are Poisson given the rate, so slices are independent.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from .arrays import Bools, Floats, Ints
from .service import SimulatedChange, SimulatedService, SimulatedVersion

TOTAL, BAD, SLOWER = 0, 1, 2
"""Columns of counts: requests, failing ones, and from the third on those slower than each edge."""
EDGES = (25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0)
"""Bucket bounds of a simulated histogram in milliseconds: those of Istio's that matter to most services."""
STICKINESS = 8.0
"""Concentration of a bad pod's share of the requests, which has a Beta distribution."""
HOUR, PARTS = 3600.0, 24
"""What follows a promotion is the mean of so many moments of an hour."""
WANDER = 60.0
"""Seconds in which the common level of errors forgets its value."""


@dataclass(frozen=True)
class Scrapes:
    """How counters are read."""

    every: int = 3
    """Ticks between two scrapes of one version; each rollout and version has its own phase."""
    late: float = 0.1
    """How often a scrape comes a tick late."""
    missed: float = 0.005
    """How often a scrape fails."""


AT_ONCE = Scrapes(every=1, late=0.0, missed=0.0)
"""Counters of both versions that are read at once, in each evaluation, as Envoy's own are."""


@dataclass(frozen=True)
class Tick:
    """What happens in one tick, at all weights."""

    canary: tuple[tuple[int, Ints], ...]
    """(first weight index, counts of all slices up to each weight index; shape (weights, rollouts, columns))."""
    stable: Ints
    """Counts of all slices above each weight index; same shape."""
    scraped: Bools
    """Whose counters are read at the end of the tick; shape (2, rollouts): canary, stable."""
    harm: tuple[tuple[int, Floats], ...]
    """(first weight index, requests harmed per tick if the canary had all traffic; shape (rollouts,))."""
    hour_after: Callable[[], Floats]
    """Requests harmed in the hour that follows if the canary then has all traffic; shape (rollouts,)."""

    def counts(self, canary: Ints, stable: Ints) -> Ints:
        """Counts in this tick for rollouts at these weight indices; shape (2, rollouts, columns)."""
        each = np.arange(len(canary))
        found = self.canary[0][1][canary, each]
        for start, counts in self.canary[1:]:
            found = np.where((canary >= start)[:, None], counts[canary, each], found)
        return np.stack([found, self.stable[stable, each]])

    def harmed(self, index: Ints) -> Floats:
        """As `harm`, for rollouts at these weight indices."""
        found = self.harm[0][1]
        for start, harm in self.harm[1:]:
            found = np.where(index >= start, harm, found)
        return found


@dataclass(frozen=True)
class Grid:
    """The time and traffic grid that all simulated rollouts share."""

    weights: tuple[int, ...]
    """All weights that occur, increasing, from 0 to 100."""
    tick: float = 5.0
    """Seconds."""
    edges: tuple[float, ...] = EDGES
    at_once: bool = False
    """Whether the counters of both versions are read at the same moments."""

    @property
    def columns(self) -> int:
        """Of counts."""
        return SLOWER + len(self.edges)


class SimulatedRequests:
    """A stream of ticks for a number of rollouts."""

    def __init__(
        self, service: SimulatedService, grid: Grid, count: int, seed: int, scrapes: Scrapes | None = None
    ) -> None:
        self.service, self.grid, self.count = service, grid, count
        self.scrapes = scrapes or Scrapes()
        self.random = np.random.default_rng(seed)
        self.phases = self.random.integers(0, self.scrapes.every, (2, count))
        self.overdue = np.zeros((2, count), bool)
        self.delay = self.random.random(count)
        self.phase = self.random.random(count)
        self.level = self.random.normal(size=count)
        self.ticks = 0
        self._widths = np.diff(np.array(grid.weights, float))[:, None] / 100

    def next(self) -> Tick:
        """The next tick."""
        start = self.ticks * self.grid.tick
        arrivals, errors = self._arrivals(start), self._common_errors()
        stable_errors, above = self._rates(self.service.stable, start, 100, errors, self._share)
        drawn = self._draw(self.service.stable, arrivals, stable_errors, above)
        stable = np.zeros((len(self.grid.weights), self.count, self.grid.columns), np.int64)
        stable[:-1] = drawn[::-1].cumsum(axis=0)[::-1]
        canary, harm = [], []
        for weight in sorted({0, *(one.above_weight for one in self.service.canary.changes)}):
            index = next((i for i, one in enumerate(self.grid.weights) if one > weight), 0) if weight else 0
            canary_errors, above = self._rates(self.service.canary, start, weight + 1, errors, self._share)
            fates = self._draw(self.service.canary, arrivals * (not self.service.unused), canary_errors, above)
            canary.append((index, np.concatenate([np.zeros_like(fates[:1]), fates.cumsum(axis=0)])))
            harm.append((index, arrivals * self._harmed(start, weight + 1, canary_errors - stable_errors)))
        self.ticks += 1
        return Tick(tuple(canary), stable, self._scraped(), tuple(harm), partial(self._hour, self.ticks))

    def _arrivals(self, start: float) -> Floats:
        """Expected requests in the tick, given what varies; shape (rollouts,)."""
        service, angle = self.service, 2 * math.pi * (start / self.service.period + self.phase)
        expected = service.rps * self.grid.tick * (1 + service.wave * np.sin(angle))
        if service.unsteady:
            shape = service.unsteady**-2
            expected = expected * self.random.gamma(shape, 1 / shape, self.count)
        return np.asarray(expected, np.float64)

    def _common_errors(self) -> Floats:
        """The factor that both versions' errors share, with mean 1; shape (rollouts,)."""
        if not self.service.noise:
            return np.ones(self.count)
        kept = math.exp(-self.grid.tick / WANDER)
        self.level = kept * self.level + math.sqrt(1 - kept**2) * self.random.normal(size=self.count)
        return np.exp(self.service.noise * self.level - self.service.noise**2 / 2)

    def _share(self, pods: int) -> Floats:
        """The share of requests that one of so many pods gets in this tick; shape (rollouts,)."""
        return self.random.beta(STICKINESS / pods, STICKINESS * (1 - 1 / pods), self.count)

    def _hour(self, ticks: int) -> Floats:
        """Requests harmed in the hour after so many ticks, at all traffic; shape (rollouts,)."""
        usual, total = np.ones(self.count), np.zeros(self.count)
        for part in range(PARTS):
            start = ticks * self.grid.tick + part * HOUR / PARTS
            canary, stable = (
                self._rates(one, start, 100, usual, lambda pods: usual / pods)[0]
                for one in (self.service.canary, self.service.stable)
            )
            total += self._harmed(start, 100, canary - stable)
        return total / PARTS * HOUR * self.service.rps

    def _rates(
        self, version: SimulatedVersion, start: float, weight: int, common: Floats, pod_share: Callable[[int], Floats]
    ) -> tuple[Floats, Floats]:
        """Share of failing requests, shape (rollouts,), and of those slower than each edge, (rollouts, edges)."""
        errors = version.errors * common
        above = np.repeat(version.latency.above(self.grid.edges)[None], self.count, axis=0)
        for one in version.changes:
            if weight <= one.above_weight:
                continue
            active, since = self._active(one, start)
            extra = one.errors + one.growth * since
            if one.pods > 1:
                extra = extra * pod_share(one.pods)
            errors = errors + active * extra
            if one.latency is not None:
                above += active[:, None] * (one.latency.above(self.grid.edges) - above)
        return np.clip(errors, 0.0, 1.0), above

    def _active(self, change: SimulatedChange, start: float) -> tuple[Floats, Floats]:
        """The share of the tick in which a change is there, and the seconds since it began, at the middle of that."""
        after, end = change.after + change.spread * self.delay, start + self.grid.tick
        begins = np.maximum(after, start)
        ends = np.minimum(change.until + change.spread * self.delay, end)
        active = np.clip(ends - begins, 0, None) / self.grid.tick
        return active, np.where(active > 0, (begins + ends) / 2 - after, 0.0)

    def _draw(self, version: SimulatedVersion, arrivals: Floats, errors: Floats, above: Floats) -> Ints:
        """Counts of each slice; shape (slices, rollouts, columns)."""
        expected = self._widths * (arrivals * (1 - version.lost))
        failing, burst = expected * errors, self.service.burst
        bad = self.random.poisson(failing / burst)
        if burst > 1:
            bad = bad + np.where(bad > 0, self.random.negative_binomial(np.maximum(bad, 1), 1 / burst), 0)
        shares = -np.diff(above, axis=1, prepend=1.0, append=0.0)
        good = self.random.poisson((expected * (1 - errors))[..., None] * np.clip(shares, 0, None))
        found = np.empty((*bad.shape, self.grid.columns), np.int64)
        found[..., BAD] = bad
        found[..., SLOWER:] = good[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
        if self.service.timeouts:
            found[..., SLOWER:] += bad[..., None]
        found[..., TOTAL] = bad + good.sum(axis=-1)
        return found

    def _harmed(self, start: float, weight: int, excess: Floats) -> Floats:
        """Share of the canary's requests that fail, are lost or are slowed because it is the canary."""
        slowed, usual = np.zeros(self.count), self.service.stable.latency.slowed
        slowed += self.service.canary.latency.slowed - usual
        for one in self.service.canary.changes:
            if one.latency is not None and weight > one.above_weight:
                slowed += self._active(one, start)[0] * one.latency.slowed
        lost = self.service.canary.lost
        return np.asarray(lost + (1 - lost) * (np.maximum(excess, 0.0) + slowed), np.float64)

    def _scraped(self) -> Bools:
        """Scrapes at the end of this tick: due ones, less those that fail or come a tick late."""
        due = (self.ticks + self.phases) % self.scrapes.every == 0
        luck = self.random.random((2, self.count))
        late = due & (luck < self.scrapes.late) & (self.scrapes.every > 1)
        failed = due & (luck > 1 - self.scrapes.missed)
        found: Bools = (due & ~late & ~failed) | self.overdue
        self.overdue = late
        return found
