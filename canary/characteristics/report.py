"""What an analysis means at some traffic: simulated rollouts for a grid of true regressions, and what became of them.

`canary/cli/policy.py` asks for it, `canary/show/characteristics.py` shows it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from canary.api.pinned import Policy
from canary.api.plan import Plan
from canary.engine.errors import Invalid
from canary.engine.pairs import source_of
from canary.engine.policy_merge import judged_by
from canary.engine.resolved import ResolvedSpec

from .arrays import Floats
from .intervals import wilson
from .plan import grid_of, load_of, stages_of
from .requests import Grid, Scrapes, SimulatedRequests
from .rollouts import PROMOTED, ROLLED_BACK, Rollouts, SimulatedStep, run
from .sequential import SequentialRollouts
from .service import Latency, SimulatedService, SimulatedVersion
from .threshold import DURATION, ThresholdRollouts

BATCH = 100
"""Rollouts that are simulated at once."""
BATCHES = 10
"""How often that is done, if there is time."""
FACTORS, RATES = (2.0, 4.0, 10.0), (0.05, 0.2, 0.5)
"""True error rates of the canary: so many times the usual one, and so much."""
SLOW = ((0.02, 6.0), (0.05, 10.0), (0.2, 10.0))
"""True slowness of the canary: (share of the requests, how many times as long they take)."""
LEAST, MOST = 3600.0, 4.0
"""Seconds that are simulated at least, and how many times the shortest rollout, unless the deadline is sooner."""
LIMIT = 500.0
"""Milliseconds, where the analysis has no limit for latency."""
UNFED = (
    "at 0% no request reaches the canary, and no webhook of the type rollout sends any, so nothing can be judged "
    "there; write such a webhook, or mirror: true"
)
MAKERS: Mapping[str, Callable[[Policy, Plan, Grid, int], Rollouts]] = {
    "threshold": ThresholdRollouts,
    "sequential": SequentialRollouts,
}
"""The judges that can be simulated, by name."""


@dataclass(frozen=True)
class UsualTraffic:
    """What is known of a service before the rollout."""

    rps: float
    """Requests per second to both versions together."""
    errors: float
    """Share of requests that usually fail, 0 to 1."""


@dataclass(frozen=True)
class Regression:
    """One true state of the canary."""

    name: str
    version: SimulatedVersion
    errors: float | None = None
    """Its error rate, 0 to 1; None where it is slow instead."""

    @property
    def healthy(self) -> bool:
        """Whether it is as good as stable."""
        return self.name == HEALTHY


HEALTHY = "as stable"


@dataclass(frozen=True)
class Row:
    """What became of the simulated rollouts for one regression. Seconds are since the canary's first weight."""

    regression: Regression
    rollouts: int
    rolled_back: int
    promoted: int
    rollback_seconds: float | None
    """Median of those that were rolled back."""
    promotion_seconds: float | None
    """Median of those that were promoted."""
    harmed: float
    """Mean of requests that failed or were slow because they met the canary, an hour after a promotion included."""
    harmed_until: float
    """The same without that hour."""

    def wire(self) -> dict[str, Any]:
        """As JSON has it."""
        low, high = wilson(self.rolled_back, self.rollouts)
        return {
            "canary": self.regression.name,
            "errorRate": self.regression.errors,
            "rollouts": self.rollouts,
            "rolledBack": self.rolled_back / self.rollouts,
            "rolledBackInterval": [low, high],
            "promoted": self.promoted / self.rollouts,
            "undecided": (self.rollouts - self.rolled_back - self.promoted) / self.rollouts,
            "rollbackSeconds": self.rollback_seconds,
            "promotionSeconds": self.promotion_seconds,
            "harmedRequests": self.harmed_until,
            "harmedRequestsWithHourAfterPromotion": self.harmed,
        }


@dataclass
class Simulation:
    """Simulates an analysis at some traffic. Raises Invalid for one that can't be simulated."""

    spec: ResolvedSpec
    traffic: UsualTraffic
    seed: int = 1
    judge: str = ""
    """Instead of the analysis's own."""
    policy: Policy = field(init=False)
    """The analysis's, for this judge."""
    stages: list[SimulatedStep] = field(init=False)
    grid: Grid = field(init=False)
    scrapes: Scrapes = field(init=False)
    horizon: float = field(init=False)
    """Seconds that are simulated; later everything is undecided."""

    def __post_init__(self) -> None:
        self.judge = self.judge or self.spec.policy.judge
        if self.judge not in MAKERS:
            raise Invalid(f"the judge {self.judge!r} can't be simulated; there are {', '.join(MAKERS)}")
        self.stages = stages_of(self.spec.plan, load_of(self.spec.policy))
        if not any(one.weight or one.mirror for one in self.stages):
            raise Invalid("the analysis has no step with requests to the canary, so there is nothing to simulate")
        if any(one.iterations and not (one.weight or one.mirror) for one in self.stages):
            raise Invalid(UNFED)
        self.policy = policy = judged_by(self.spec.policy, self.judge)
        shortest = sum(max(one.hold, one.iterations * policy.interval.total_seconds()) for one in self.stages)
        self.horizon = min(policy.deadline.total_seconds(), max(LEAST, MOST * shortest))
        scraped = source_of(self.spec.manifest.spec) == "prometheus"
        self.grid, self.scrapes = grid_of(policy, self.stages, self.horizon, self.edges, scraped=scraped)
        self._rollouts(1)  # so that it fails now

    @property
    def slowest(self) -> float | None:
        """The longest time that most requests may take, in milliseconds; None if the judge doesn't look at it."""
        judged = [
            one for one in self.policy.metrics if one.name == DURATION and one.query is None and not one.dry_run
        ]
        if self.policy.sequential is not None:
            return self.policy.sequential.slowest if judged else None
        return min((one.range.max for one in judged if one.range.max), default=None)

    @property
    def loaded(self) -> bool:
        """Whether webhooks send all requests that the canary gets in some step."""
        return self.stages != stages_of(self.spec.plan)

    @property
    def seeds(self) -> range:
        """Those of the batches; another seed has none of them, so its report is evidence of its own."""
        return range(BATCHES * (self.seed - 1) + 1, BATCHES * self.seed + 1)

    @property
    def limit(self) -> float:
        """The same, and a usual one where the judge has none."""
        return self.slowest or LIMIT

    @property
    def edges(self) -> tuple[float, ...]:
        """Bounds of a histogram that has the limit, and a few around it."""
        return tuple(self.limit * by for by in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0))

    @property
    def usual(self) -> Latency:
        """The latency of stable: its p99 is well below the limit."""
        return Latency(self.limit / 8, self.limit * 0.6)

    def regressions(self) -> list[Regression]:
        """The grid: as stable, then worse and worse."""
        base = self.traffic.errors
        found = [Regression(HEALTHY, SimulatedVersion(base, self.usual), base)]
        times = {round(base * by, 9) for by in FACTORS if 0 < base * by <= 1}
        for rate in sorted(times | {one for one in RATES if one > FACTORS[0] * base}):
            found.append(Regression(f"{100 * rate:.4g}% errors", SimulatedVersion(rate, self.usual), rate))
        if self.slowest is not None:
            for share, by in SLOW:
                slow = Latency(self.usual.p50, self.usual.p99, ((share, by),))
                found.append(Regression(f"{100 * share:g}% of requests {by:g}× slower", SimulatedVersion(base, slow)))
        return found

    def rows(self, tell: Callable[[float], None], enough: Callable[[int], bool]) -> list[Row]:
        """One row for each regression; batches go on until so many are `enough`. `tell` gets the share done."""
        asked = self.regressions()
        kept: list[list[Rollouts]] = [[] for _ in asked]
        for batch, seed in enumerate(self.seeds):
            for number, regression in enumerate(asked):
                done = (batch * len(asked) + number) / (BATCHES * len(asked))
                kept[number].append(self._batch(regression, seed))
                tell(done)
            if enough(batch + 1):
                break
        tell(1.0)
        return [_row(regression, batches) for regression, batches in zip(asked, kept, strict=True)]

    def _batch(self, regression: Regression, seed: int) -> Rollouts:
        rollouts = self._rollouts(BATCH)
        stable = SimulatedVersion(self.traffic.errors, self.usual)
        service = SimulatedService(self.traffic.rps, stable, regression.version)
        run(SimulatedRequests(service, self.grid, BATCH, seed, self.scrapes), [rollouts], self.horizon)
        return rollouts

    def _rollouts(self, count: int) -> Rollouts:
        return MAKERS[self.judge](self.policy, self.spec.plan, self.grid, count)


def _row(regression: Regression, batches: Sequence[Rollouts]) -> Row:
    outcome, ended = (np.concatenate([getattr(one, name) for one in batches]) for name in ("outcome", "ended"))
    harmed, until = (np.concatenate([getattr(one, name) for one in batches]) for name in ("harmed", "harmed_until"))
    back, through = outcome == ROLLED_BACK, outcome == PROMOTED
    return Row(
        regression,
        rollouts=len(outcome),
        rolled_back=int(back.sum()),
        promoted=int(through.sum()),
        rollback_seconds=_median(ended[back]),
        promotion_seconds=_median(ended[through]),
        harmed=float(harmed.mean()),
        harmed_until=float(until.mean()),
    )


def _median(values: Floats) -> float | None:
    return float(np.median(values)) if len(values) else None
