"""A pinned plan as stages of a simulation, a time grid that its times fit on, and what judges on a batch share."""

import math
from collections.abc import Iterable
from datetime import timedelta

import numpy as np

from canary.api.pinned import Limit, Policy
from canary.api.plan import Answer, Plan, Traffic
from canary.api.webhooks import HookType
from canary.engine.next_traffic import matching

from .arrays import Bools, Floats, Ints
from .requests import AT_ONCE, Grid, Scrapes
from .rollouts import HOLD, PASS, ROLL_BACK, Rollouts, SimulatedStep, weights_of

MATCHED = 5
"""Per cent of all requests that a `match` is taken to choose, as in `canary simulate`."""
LOAD = 10
"""Per cent of all requests that a hook of the type `rollout` sends, as in `canary simulate`."""
FINEST, TICKS = 3, 1500
"""Ticks in a scrape interval, and how many a simulation may take before ticks get coarser."""


def load_of(policy: Policy) -> int:
    """What hooks send to a canary that gets no other request, in per cent of all requests."""
    return LOAD if any(hook.type == HookType.ROLLOUT for hook in policy.webhooks) else 0


def stages_of(plan: Plan, load: int = 0) -> list[SimulatedStep]:
    """The steps that are analysed, up to the one that ends the rollout; `load` is that of `load_of`, which a step
    has instead of users' requests."""
    steps = [*plan.steps, *plan.promotion][1:]
    while steps and steps[-1].iterations == 0 and not steps[-1].hold:
        steps.pop()  # the end: all traffic, or the copy to the primary
    return [
        SimulatedStep(
            share(one.traffic),
            one.traffic.mirror or (0 if share(one.traffic) else load),
            one.hold.total_seconds(),
            one.iterations,
        )
        for one in steps
    ]


def share(traffic: Traffic) -> int:
    """Per cent of all requests that the canary answers."""
    return max(traffic.weight, math.ceil(MATCHED * matching(traffic) / 100))


def grid_of(
    policy: Policy, stages: Iterable[SimulatedStep], horizon: float, edges: tuple[float, ...], *, scraped: bool
) -> tuple[Grid, Scrapes]:
    """Ticks that divide the interval between evaluations: a part of a scrape, or coarser if the horizon is far.

    Unless counters are `scraped`, each evaluation reads those of both versions at once.
    """
    interval, scrape = policy.interval / timedelta(seconds=1), policy.scrape_interval / timedelta(seconds=1)
    finest = max(scrape / FINEST, horizon / TICKS)
    tick = interval / max(math.floor(interval / finest), 1)
    scrapes = Scrapes(max(round(scrape / tick), 1)) if scraped else AT_ONCE
    return Grid(weights_of(stages), tick, edges, at_once=not scraped), scrapes


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
