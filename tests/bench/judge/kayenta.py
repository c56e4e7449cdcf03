"""Kayenta's rule (NetflixACAJudge): a Mann-Whitney U test of points of the canary against points of stable.

A point is the error rate, or the p99, of one scrape. Beside timed steps, all points so far are judged each minute,
from the second one on. A metric is High if the lower end of the 98% interval of the shift is more than a quarter of
the estimated shift. There are two groups of one metric, each with a weight of 50, and a score below 75 fails. A group
without data has no score, so without requests the score is 0. Kayenta's documentation asks for far more points: an
analysis of hours.

Source: MannWhitney.scala, MannWhitneyClassifier.scala, WeightedSumScorer.scala of spinnaker/kayenta; the interval is
R's asymptotic one with the corrections for continuity and for ties.
"""

from collections.abc import Sequence

import numpy as np

from canary.characteristics.arrays import Bools, Floats, Ints
from canary.characteristics.counters import CANARY, STABLE, success_rate
from canary.characteristics.requests import Grid
from canary.characteristics.rollouts import HOLD, ROLL_BACK, SimulatedStep

from .rules import SCRAPE, ForeignRollouts, p99

PAUSE, FIRST = 60.0, 120.0
"""Seconds of a step and between judgements, and until the first one."""
Z98 = 2.3263478740408408
"""The normal quantile of both sides of 98%."""
TOLERANCE = 0.25
MARGINAL = 75.0
"""A lower score fails."""


class KayentaRollouts(ForeignRollouts):
    """Rollouts with an automated canary analysis."""

    def __init__(self, weights: Sequence[int], grid: Grid, count: int) -> None:
        super().__init__([SimulatedStep(one, hold=PAUSE, iterations=0) for one in weights], grid, count, PAUSE)
        self.points: list[list[Floats]] = [[], [], [], []]
        """Error rates of canary and stable, then p99 of canary and stable; each of shape (rollouts,) per point."""

    def judge(self, now: float) -> Ints:
        """All points so far."""
        self._add(now)
        if now < FIRST:
            return np.full(self.count, HOLD)
        score = np.zeros(self.count)
        errors_c, errors_s, slow_c, slow_s = (np.stack(one, axis=1) for one in self.points)
        for canary, stable in ((errors_c, errors_s), (slow_c, slow_s)):
            there = ~np.isnan(canary).all(axis=1) & ~np.isnan(stable).all(axis=1)
            score += np.where(there & ~high(canary, stable), 50.0, 0.0)
        return np.where(score < MARGINAL, ROLL_BACK, HOLD)

    def _add(self, now: float) -> None:
        """The points of the last minute."""
        ticks, parts = round(SCRAPE / self.grid.tick), round(PAUSE / SCRAPE)
        for part in reversed(range(parts)):
            for number, version in enumerate((CANARY, STABLE)):
                counts = self.counters.ago(part * ticks)[version] - self.counters.ago((part + 1) * ticks)[version]
                self.points[number].append(100 - success_rate(counts))
                self.points[2 + number].append(p99(counts, self.grid))


def high(canary: Floats, stable: Floats) -> Bools:
    """Whether the canary's points are High; arrays of shape (rollouts, points), NaN for a point without data."""
    shifts = canary[:, :, None] - stable[:, None, :]
    there = ~np.isnan(shifts)
    some = there.any(axis=(1, 2))
    shifts[~some] = 0.0
    bound = TOLERANCE * np.abs(np.nanmedian(shifts, axis=(1, 2)))
    lowest = np.nanmin(shifts, axis=(1, 2))
    # The interval begins where z falls to its quantile, or at the lowest shift if z never exceeds it.
    found = (z(canary, stable, bound) > Z98) | ((z(canary, stable, lowest) <= Z98) & (lowest > bound))
    return np.asarray(found & some)


def z(canary: Floats, stable: Floats, shift: Floats) -> Floats:
    """R's statistic of the Wilcoxon test for the canary's points less a shift; 0 where all points are tied."""
    x, y = canary - shift[:, None], stable
    n, m = (np.sum(~np.isnan(one), axis=1) for one in (x, y))
    wins, equal = (np.sum(one(x[:, :, None], y[:, None, :]), axis=(1, 2)) for one in (np.greater, np.equal))
    difference = wins + equal / 2 - n * m / 2
    pooled = np.concatenate((x, y), axis=1)
    ties = np.sum(pooled[:, :, None] == pooled[:, None, :], axis=2)
    tied = np.sum(np.where(ties > 0, ties**2 - 1, 0), axis=1)
    both = np.maximum(n + m, 2)
    variance = n * m / 12 * (both + 1 - tied / (both * (both - 1)))
    corrected = difference - np.sign(difference) / 2
    return np.where(variance > 0, corrected / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)
