"""Flagger's rule (pkg/controller/scheduler.go): failed checks are counted up to a threshold.

At each interval: if `threshold` checks have failed, roll back; else check the metrics. A failed check, or a metric
without a value, is counted and the weight stays; otherwise the next weight follows. So the rollback comes one
interval after the last failed check.
"""

from collections.abc import Sequence

import numpy as np

from canary.characteristics.arrays import Ints
from canary.characteristics.requests import Grid
from canary.characteristics.rollouts import HOLD, PASS, ROLL_BACK, SimulatedStep

from .rules import SLOWEST, SUCCESS, ForeignRollouts


class FlaggerRollouts(ForeignRollouts):
    """Rollouts of many Canary objects."""

    def __init__(self, weights: Sequence[int], grid: Grid, count: int, interval: float, threshold: int) -> None:
        super().__init__([SimulatedStep(one) for one in weights], grid, count, interval)
        self.threshold = threshold
        self.failed_checks = np.zeros(count, np.int64)

    def judge(self, now: float) -> Ints:
        """One interval."""
        back = self.failed_checks >= self.threshold
        found = self._answers()
        good = (found.success >= SUCCESS) & (found.p99 <= SLOWEST)  # NaN, which is no value, compares as false
        self.failed_checks += ~good
        return np.where(back, ROLL_BACK, np.where(good, PASS, HOLD))
