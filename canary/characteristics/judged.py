"""What the judges on a batch share: whether a step's traffic has settled, windows, how long no data is borne."""

from datetime import timedelta

import numpy as np

from canary.api.pinned import Limit, Policy
from canary.api.plan import Answer, Plan

from .arrays import Bools, Floats, Ints
from .plan import load_of, stages_of
from .requests import Grid
from .rollouts import HOLD, PASS, ROLL_BACK, Rollouts

VERDICTS = {Answer.HOLD: HOLD, Answer.ROLLBACK: ROLL_BACK, Answer.PROMOTE: PASS}
"""What follows once something was borne long enough."""


def seconds(duration: timedelta) -> float:
    """A duration as a number."""
    return duration.total_seconds()


class JudgedRollouts(Rollouts):
    """Rollouts of a plan under a policy."""

    def __init__(self, policy: Policy, plan: Plan, grid: Grid, count: int, depth: float) -> None:
        """`depth` is the longest window that is asked, in seconds."""
        super().__init__(stages_of(plan, load_of(policy)), grid, count, seconds(policy.interval), depth)
        self.policy = policy
        self.no_data_since = np.full(count, np.nan)

    def _bear(self, missing: Bools, now: float) -> Ints:
        """What missing metrics amount to, once `onNoData` says so."""
        self.no_data_since = since(self.no_data_since, missing, now)
        return overdue(self.no_data_since, self.policy.on_no_data, now)

    def _age(self, now: float) -> Floats:
        """Seconds since the traffic of the step had settled."""
        return now - self.since - seconds(self.policy.settle)

    def _settled(self, now: float) -> Bools:
        return self._age(now) >= seconds(self.policy.scrape_interval)

    def _window(self, window: timedelta, now: float) -> Ints:
        """Ticks of a window, which is cut where the step had settled, else at the start."""
        scrape, longest = seconds(self.policy.scrape_interval), seconds(window)
        age = np.where(self._settled(now), self._age(now), max(now, scrape))
        grain = max(scrape // 1, 1.0)
        whole = np.floor(age / grain) * grain
        cut = np.where(whole >= scrape, whole, age)
        return np.rint(np.where(longest <= age, longest, cut) / self.grid.tick).astype(np.int64)


def since(known: Floats, going: Bools, now: float) -> Floats:
    """Since when something is going on; NaN where it isn't."""
    return np.where(going, np.where(np.isnan(known), now, known), np.nan)


def overdue(began: Floats, limit: Limit, now: float) -> Ints:
    """What follows where it has lasted so long; HOLD before, and where `began` is NaN."""
    return np.where(now - began >= seconds(limit.after), VERDICTS[limit.then], HOLD)
