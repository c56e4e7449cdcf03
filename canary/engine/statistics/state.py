"""What the judge `sequential` knows of a rollout: what doesn't change, the counts of an evaluation, and their sums.

A lane is one count of bad events: errors, requests slower than an edge, the bad events of a template. Arrays have the
shape (..., lanes), where the leading axes are rollouts: the judge has none, a simulation has thousands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from . import burst, dispersion, relative
from .burst import Burst
from .dispersion import Spread
from .relative import Relative
from .special import Flags, Floats, log0

FIRST_GATE, LAST_GATE = 0.5, 0.05
"""The error rates that are to be ruled out for the end of the first step and of the last one."""


@dataclass(frozen=True)
class Design:
    """What doesn't change during a rollout."""

    alpha: float
    """The chance of a false rollback; evidence of 1/alpha rolls back."""
    effect: float
    """The ratio of error rates from which on the canary is worse."""
    weights: Floats
    """Of the lanes for evidence against stable, 1 in all."""
    allowed: Floats
    """The objective: the share of bad events that is allowed, by lane; NaN for none."""
    gates: Flags
    """Lanes in which a high rate must be ruled out before an increase."""
    steps: int
    """Analysed steps."""
    skew: Floats | float
    """How much of an evaluation one scrape takes, 0 to 1, for all lanes or by lane; 0 where one scrape has the counts
    of both versions."""
    metrics: tuple[str, ...] = ()
    """The metric of each lane: its lanes share an outage. Without any, each lane is one of its own."""

    @cached_property
    def judged(self) -> Flags:
        """Lanes that have an objective."""
        return ~np.isnan(self.allowed)

    @cached_property
    def objectives(self) -> bool:
        """Whether any lane has one."""
        return bool(self.judged.any())

    @cached_property
    def limits(self) -> Floats:
        """The objective, and some number where a lane has none."""
        return np.where(self.judged, self.allowed, 0.5)

    @cached_property
    def least(self) -> Floats:
        """The objective, 0 where a lane has none."""
        return np.where(self.judged, self.allowed, 0.0)

    @cached_property
    def log_weights(self) -> Floats:
        """Of the lanes for evidence against stable."""
        return log0(self.weights)

    @cached_property
    def log_shares(self) -> Floats:
        """Of the lanes for evidence against the objective: that of the metric, −∞ where a lane has none."""
        of_metric = self.judged * (self.together @ self.weights)
        return log0(of_metric / (of_metric.sum() or 1.0))

    @cached_property
    def skews(self) -> Floats:
        """How much of an evaluation one scrape takes, by lane."""
        return np.broadcast_to(np.asarray(self.skew, np.float64), self.weights.shape)

    @cached_property
    def shares_left_out(self) -> Floats:
        """Of the canary's last evaluation, over (3, lanes): what a scrape may account for; also what may be a burst;
        and nothing."""
        return np.array((self.skews, np.maximum(self.skews, burst.SHARE), np.zeros(self.skews.shape)))

    @cached_property
    def gate_rates(self) -> Floats:
        """The error rate that is to be ruled out for the end of each step, over (steps + 1), where 0 is before the
        first one: evenly spaced in its logarithm.

        A heuristic of ours, measured with the whole judge in docs/judge.md.
        """
        done = np.arange(-1, self.steps) / (self.steps - 1) if self.steps > 1 else np.ones(self.steps + 1)
        return np.asarray(FIRST_GATE * (LAST_GATE / FIRST_GATE) ** np.maximum(done, 0.0))

    @cached_property
    def log_steps_left(self) -> Floats:
        """How many steps follow each, over (steps + 1)."""
        return log0(np.arange(self.steps, -1, -1))

    @cached_property
    def apart(self) -> bool:
        """Whether the two versions are scraped at different moments in some lane."""
        return bool(self.skews.any())

    @cached_property
    def together(self) -> Flags:
        """Which lanes are of the same metric, over (lanes, lanes)."""
        names = np.array(self.metrics or range(len(self.weights)))
        return np.asarray(names[:, None] == names)


class Look(NamedTuple):
    """The counts of one evaluation, over (..., lanes)."""

    y: Floats
    """The canary's bad events."""
    n_c: Floats
    """Its events."""
    x: Floats
    """Stable's bad events."""
    n_b: Floats
    """Its events."""

    @classmethod
    def none(cls, *shape: int) -> Self:
        """An evaluation without a request."""
        return cls(*(np.zeros(shape) for _ in range(4)))


class Sums(NamedTuple):
    """Counts of many evaluations, over (..., lanes)."""

    bad: Floats
    """Of the canary in the whole rollout."""
    total: Floats
    step_bad: Floats
    """Of the canary in the present step."""
    step_total: Floats
    stable_bad: Floats
    """Of stable in the last step in which both had requests."""
    stable_total: Floats

    def begun(self, began: Flags) -> Self:
        """With stable's counts at 0, where a step has its first evaluation with requests of both."""
        return self._replace(
            stable_bad=np.where(began, 0.0, self.stable_bad), stable_total=np.where(began, 0.0, self.stable_total)
        )

    def added(self, look: Look) -> Self:
        """With one more evaluation."""
        return type(self)(
            bad=self.bad + look.y,
            total=self.total + look.n_c,
            step_bad=self.step_bad + look.y,
            step_total=self.step_total + look.n_c,
            stable_bad=self.stable_bad + look.x,
            stable_total=self.stable_total + look.n_b,
        )

    def next_step(self, new: Flags) -> Self:
        """With the canary's counts of the step at 0, where another one begins."""
        return self._replace(
            step_bad=np.where(new, 0.0, self.step_bad), step_total=np.where(new, 0.0, self.step_total)
        )


@dataclass(frozen=True)
class Recount:
    """What counts for an increase where an outage was shared (`recount.py`)."""

    left_out: Sums
    """The counts until the end of the last one; 0 without any."""
    log_past: Floats
    """As `State.log_past`, without these counts."""
    spread: Spread
    """As `State.spread`, without the evaluations in an outage."""


@dataclass(frozen=True)
class State:
    """What is known after some evaluations."""

    relative: Relative
    """Without the last evaluation."""
    spread: Spread
    """Of stable's errors."""
    own: Spread
    """Of the canary's errors."""
    last: Look
    """The last evaluation, whose evidence waits for the next one."""
    before: Look
    """The one before it."""
    sums: Sums
    """All counts: what a rollback is decided on."""
    log_past: Floats
    """ln of the sum of the evidence against the objective that each earlier step ended with."""
    step: NDArray[np.int64]
    """The present step, over (...); 0 before the first evaluation."""
    proof: Burst
    """The evidence against stable, in logarithms, that single evaluations account for."""
    errors: Burst
    """The canary's bad events in single evaluations."""
    recount: Recount

    @cached_property
    def going(self) -> Sums:
        """Those that weren't left out after a shared outage: what an increase is decided on."""
        return Sums(*map(np.subtract, self.sums, self.recount.left_out))

    @cached_property
    def ongoing(self) -> Flags:
        """Lanes with a shared outage after which nothing was counted yet, over (..., lanes)."""
        return ongoing(self.sums, self.recount.left_out)

    @property
    def recounted(self) -> Flags:
        """Lanes in which requests of the present step are left out, over (..., lanes)."""
        return np.asarray(self.recount.left_out.step_total > 0)


def ongoing(sums: Sums, left_out: Sums) -> Flags:
    """Lanes of which all counts are left out, as of a shared outage that may go on."""
    return np.asarray((left_out.total > 0) & (left_out.total == sums.total))


def design_of(
    alpha: float,
    effect: float,
    lanes: Sequence[tuple[float, float, bool]],
    steps: int,
    skew: float | Sequence[float],
    metrics: Sequence[str] = (),
) -> Design:
    """Of lanes with a weight in any unit, the allowed share or NaN, and whether they gate an increase."""
    skews = (skew,) if isinstance(skew, int | float) else tuple(skew)
    return _design(alpha, effect, tuple(lanes), steps, skews, tuple(metrics))


@lru_cache(1024)
def _design(
    alpha: float,
    effect: float,
    lanes: tuple[tuple[float, float, bool], ...],
    steps: int,
    skew: tuple[float, ...],
    metrics: tuple[str, ...],
) -> Design:
    weights, allowed, gates = (np.array(one) for one in zip(*lanes, strict=True))
    return Design(alpha, effect, weights / weights.sum(), allowed, gates.astype(bool), steps, np.array(skew), metrics)


def look_of(lanes: Sequence[tuple[int, int, int, int]]) -> Look:
    """Of (y, n_c, x, n_b) for each lane."""
    return Look(*np.array(lanes, np.float64).T)


def fresh(*shape: int) -> State:
    """Before the first evaluation; the last axis is that of lanes."""
    none = Sums(*[np.zeros(shape)] * 6)
    return State(
        relative=relative.fresh(*shape),
        spread=dispersion.fresh(*shape),
        own=dispersion.fresh(*shape),
        last=Look.none(*shape),
        before=Look.none(*shape),
        sums=none,
        log_past=np.full(shape, -np.inf),
        step=np.zeros(shape[:-1], np.int64),
        proof=burst.fresh(*shape),
        errors=burst.fresh(*shape),
        recount=Recount(none, np.full(shape, -np.inf), dispersion.fresh(*shape)),
    )
