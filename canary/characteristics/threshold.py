"""The judge `threshold` (`engine/judges/threshold.py`) on a batch of rollouts: the same rule, with arrays.

Modelled are the two builtins, with what is said of them: ranges, windows, `failureLimit`, `minRequests`, `onNoData`.
Metrics with a query of the user's own pass, as in `canary simulate`.
"""

from dataclasses import dataclass

import numpy as np

from canary.api.pinned import MetricPolicy, Policy
from canary.api.plan import Plan

from .arrays import Bools, Ints
from .counters import quantile, success_rate
from .plan import JudgedRollouts, seconds
from .requests import SLOWER, TOTAL, Grid
from .rollouts import HOLD, PASS, ROLL_BACK

SUCCESS, DURATION = "request-success-rate", "request-duration"
BEYOND = 1e9
"""As `metrics/histogram.py` has it: a quantile above the highest edge fails every maximum."""


@dataclass(frozen=True)
class Check:
    """One metric in one evaluation; each of shape (rollouts,)."""

    failed: Bools
    missing: Bools


class ThresholdRollouts(JudgedRollouts):
    """Rollouts that the judge `threshold` judges."""

    def __init__(self, policy: Policy, plan: Plan, grid: Grid, count: int) -> None:
        self.metrics = tuple(
            one for one in policy.metrics if one.name in (SUCCESS, DURATION) and not one.own and not one.dry_run
        )
        longest = max((seconds(one.window) for one in policy.metrics), default=0.0)
        super().__init__(policy, plan, grid, count, longest)
        self.failed_checks = np.zeros(count, np.int64)
        self.own_failures = np.zeros((len(self.metrics), count), np.int64)

    def judge(self, now: float) -> Ints:
        """One more evaluation, in the order of `threshold._rule`."""
        policy = self.policy
        checks = [self._check(one, now) for one in self.metrics]
        failed = np.array([one.failed for one in checks], bool).reshape(-1, self.count)
        missing: Bools = np.sum([one.missing for one in checks], axis=0) > np.zeros(self.count)
        own = np.array([one.failure_limit is not None for one in self.metrics], bool)
        self.failed_checks += failed[~own].any(axis=0)
        self.own_failures += failed
        limits = np.array([one.failure_limit or 0 for one in self.metrics], np.int64)
        often = (own[:, None] & (self.own_failures > limits[:, None])).any(axis=0)
        worse = (self.failed_checks >= policy.threshold) | often
        verdict = np.where(missing, self._bear(missing, now), PASS)
        verdict = np.where(self._settled(now), verdict, HOLD)
        verdict = np.where(failed.any(axis=0), HOLD, verdict)
        return np.where(worse, ROLL_BACK, verdict)

    def _check(self, metric: MetricPolicy, now: float) -> Check:
        counts = self.counters.window(self._window(metric.window, now))
        if metric.name == SUCCESS:
            value = success_rate(counts)
        else:
            value = quantile(0.99, self.grid.edges, counts[:, TOTAL], counts[:, SLOWER:], BEYOND)
        missing = np.isnan(value) | (counts[:, TOTAL] < self.policy.min_requests)
        low, high = metric.range.min, metric.range.max
        outside = np.zeros(self.count, bool)
        outside |= (value < low) if low is not None else False
        outside |= (value > high) if high is not None else False
        return Check(outside & ~missing, missing)
