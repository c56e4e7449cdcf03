"""The judge `sequential` (`engine/judges/sequential.py`) on a batch of rollouts.

Evidence and its weighing are the judge's own functions, which take any number of rollouts; here is what is counted in
each evaluation, and the order of the rule. Of a metric that counts events of the user's own, each request is taken to
be one, and none is bad.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import cast

import numpy as np

from canary.api.pinned import Policy, SequentialPolicy
from canary.api.plan import Plan
from canary.engine.errors import Invalid
from canary.engine.judges.sequential import LONGEST, design_for
from canary.engine.judges.sequential_lanes import Kind, Lane, lanes_of, limit_of
from canary.engine.statistics import decision, storage
from canary.engine.statistics.state import Look, State, fresh

from .arrays import Bools, Ints
from .counters import CANARY, STABLE
from .plan import JudgedRollouts, overdue, seconds, since
from .requests import BAD, SLOWER, TOTAL, Grid
from .rollouts import HOLD, PASS, ROLL_BACK


class SequentialRollouts(JudgedRollouts):
    """Rollouts that the judge `sequential` judges. Raises Invalid for a policy without a metric to simulate."""

    def __init__(self, policy: Policy, plan: Plan, grid: Grid, count: int) -> None:
        super().__init__(policy, plan, grid, count, seconds(policy.interval))
        self.settings = policy.sequential or SequentialPolicy()
        self.lanes = lanes_of(policy)
        if all(one.kind is Kind.EVENTS for one in self.lanes):
            raise Invalid(
                "the judge 'sequential' needs request-success-rate, or request-duration with a max, to be simulated:"
                " what your own metrics would count isn't known"
            )
        together = [one.metric for one in self.lanes if grid.at_once and one.kind is not Kind.EVENTS]
        self.design = design_for(policy, self.lanes, len(plan.steps), together)
        self.going = np.arange(count)
        """The rollouts that `state` is about: those that weren't over at the last evaluation."""
        self.state = fresh(count, len(self.lanes))
        self.judged = False
        self.began = np.full(count, np.nan)
        """When requests could first reach the canary, as an evaluation sees it."""
        self.inconclusive_since = np.full(count, np.nan)
        self._exposed = np.array([bool(one.weight or one.mirror) for one in self.stages] + [False])

    def judge(self, now: float) -> Ints:
        """One more evaluation, in the order of `sequential._rule`."""
        left = self.running[self.going]
        if not left.all():
            self.going, self.state = self.going[left], cast("State", _part(self.state, left))
        exposed, settled, counts = self._exposed[self.step], self._settled(now), self._counts(now)
        self.began = np.where(np.isnan(self.began) & exposed, now, self.began)
        state = decision.fold(self.state, self._look(counts, now), self.step[self.going] + 1, self.design)
        self.state = storage.rounded(state)
        weighed = decision.weigh(self.state, self.design)
        advance, roll_back = self._all(weighed.advance), self._all(weighed.roll_back)
        known, missing = self._all(self.state.sums.step_total.max(axis=-1) > 0), counts[0][:, TOTAL] == 0
        waits = exposed & settled & known & ~advance & ~roll_back
        self.inconclusive_since = since(self.inconclusive_since, waits, now)
        inconclusive = overdue(self.inconclusive_since, self.settings.on_inconclusive, now)
        borne = self._bear(missing & exposed, now)
        borne = np.where((borne == HOLD) & known, inconclusive, borne)
        verdict = np.where(missing, borne, np.where(advance, PASS, inconclusive))
        return np.where(roll_back, ROLL_BACK, np.where(settled, verdict, HOLD))

    def _all(self, found: Bools) -> Bools:
        """For all rollouts; False for those that are over."""
        every: Bools = np.zeros(self.count, bool)
        every[self.going] = found
        return every

    def _counts(self, now: float) -> tuple[Ints, Ints]:
        """Of both versions since the last evaluation; shape (rollouts, columns)."""
        ticks = np.full(self.count, round(min(self.interval, seconds(LONGEST)) / self.grid.tick))
        if not self.judged:
            ticks, self.judged = self._window(self.policy.interval, now), True
        return self.counters.window(ticks, CANARY), self.counters.window(ticks, STABLE)

    def _look(self, counts: tuple[Ints, Ints], now: float) -> Look:
        """What is counted in each lane of the rollouts that are going on; latency counts once the canary is warm."""
        warm = now - self.began >= seconds(self.settings.warmup)
        by_version = ([self._lane(lane, one, warm)[self.going] for lane in self.lanes] for one in counts)
        canary, stable = (np.stack(lanes, axis=1).astype(np.float64) for lanes in by_version)
        return Look(canary[..., 0], canary[..., 1], stable[..., 0], stable[..., 1])

    def _lane(self, lane: Lane, counts: Ints, warm: Bools) -> Ints:
        """Bad events and all of them; shape (rollouts, 2)."""
        total = counts[:, TOTAL]
        if lane.kind is Kind.EVENTS:
            return np.stack((np.zeros_like(total), total), axis=1)
        if lane.kind is Kind.ERRORS:
            return np.stack((counts[:, BAD], total), axis=1)
        edge = _edge_of(lane.kind, self.grid.edges, self.settings.slowest or 0.0)
        if edge is None:
            raise Invalid(f"no edge of the simulated histogram is right for {self.settings.slowest:g}ms")
        bad = counts[:, SLOWER + self.grid.edges.index(edge)]
        return np.stack((bad, total), axis=1) * warm[:, None]


def _edge_of(kind: Kind, edges: Sequence[float], slowest: float) -> float | None:
    """The edge beyond which requests are bad in a lane of latency; None if the histogram has none for it."""
    limit = limit_of(kind, slowest)
    if kind is Kind.OVER:
        return next((one for one in edges if one >= limit), None)
    return next((one for one in reversed(edges) if one <= limit), None)


def _part(found: object, which: Bools) -> object:
    """Some rollouts of a state, whose arrays have the rollout as the first axis."""
    if isinstance(found, np.ndarray):
        return found[which]
    named = found if isinstance(found, tuple) else [getattr(found, one.name) for one in fields(cast("State", found))]
    return type(found)(*(_part(one, which) for one in named))
