"""Argo Rollouts' rule (rollout/analysis.go, analysis/analysis.go): a background analysis beside timed steps.

Each metric is measured each minute, the first time after `initialDelay: 1m`. More than `failureLimit` failed
measurements abort the rollout; until then the steps go on. A metric without a value (0/0) fails. A query whose series
don't exist yet is an error: it is asked again after 10 s, and the fifth error in succession aborts.
"""

from collections.abc import Sequence

import numpy as np

from canary.characteristics.arrays import Ints
from canary.characteristics.requests import Grid
from canary.characteristics.rollouts import HOLD, ROLL_BACK, SimulatedStep

from .rules import SLOWEST, SUCCESS, ForeignRollouts

PAUSE, EVERY, RETRY = 60.0, 60.0, 10.0
"""Seconds of a step, between measurements, and after an error."""
CONSECUTIVE_ERRORS = 4


class ArgoRollouts(ForeignRollouts):
    """Rollouts with a success rate and a p99 in one AnalysisTemplate."""

    def __init__(self, weights: Sequence[int], grid: Grid, count: int, failure_limit: int) -> None:
        super().__init__([SimulatedStep(one, hold=PAUSE, iterations=0) for one in weights], grid, count, RETRY)
        self.failure_limit = failure_limit
        self.due = np.full(count, EVERY)
        """When the next measurement comes; the two metrics are asked at the same moments."""
        self.failures = np.zeros((2, count), np.int64)
        self.errors = np.zeros(count, np.int64)
        """In succession."""

    def judge(self, now: float) -> Ints:
        """The measurements that are due."""
        found, due = self._answers(), now >= self.due
        # A successCondition that meets NaN is false, so a value of no requests fails.
        self.failures[0] += due & found.known & ~(found.success >= SUCCESS)
        self.failures[1] += due & found.known & ~(found.p99 <= SLOWEST)
        self.errors = np.where(due, np.where(found.known, 0, self.errors + 1), self.errors)
        self.due = np.where(due, now + np.where(found.known, EVERY, RETRY), self.due)
        back = (self.failures > self.failure_limit).any(axis=0) | (self.errors > CONSECUTIVE_ERRORS)
        return np.where(back, ROLL_BACK, HOLD)
