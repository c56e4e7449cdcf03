"""How often evidence is wrong, by simulation: it is looked at 240 times at a null hypothesis, and counted if it ever
reaches its bar of 100, which may happen in 1% of the rollouts.

Three forms, each by the judge's own functions: the canary against stable with exactly `minEffect` times its errors,
the canary against an objective that it exactly meets, and the whole decision for a canary as stable.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from canary.characteristics.arrays import Bools
from canary.characteristics.intervals import wilson
from canary.engine.statistics import decision, objective, relative
from canary.engine.statistics.state import Look, design_of, fresh

ALPHA, EFFECT = 0.01, 1.5
EVALUATIONS = 240
RATES = (0.0005, 0.002, 0.01, 0.05, 0.2)
"""Base error rates."""
CANARY, STABLE = 100, 1900
"""Expected requests in an evaluation: 5% of 133 rps in 15 s."""
LIKE_STABLE, AT_RATIO, AT_OBJECTIVE = "whole decision, as stable", "against stable, 1.5×", "against the objective"


@dataclass(frozen=True)
class Validity:
    """How many rollouts crossed the bar at some evaluation."""

    form: str
    rate: float
    crossed: int
    rollouts: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the chance."""
        return wilson(self.crossed, self.rollouts)


def validity(rollouts: int, seed: int, evaluations: int = EVALUATIONS) -> Iterator[Validity]:
    """All forms at all rates."""
    for number, rate in enumerate(RATES):
        random = np.random.default_rng((seed, number))
        yield Validity(AT_RATIO, rate, _at_ratio(random, rate, rollouts, evaluations), rollouts)
        yield Validity(AT_OBJECTIVE, rate, _at_objective(random, rate, rollouts, evaluations), rollouts)
        yield Validity(LIKE_STABLE, rate, _whole(random, rate, rollouts, evaluations), rollouts)


def _look(random: np.random.Generator, rate: float, canary_rate: float, rollouts: int) -> Look:
    """The counts of one evaluation, over (rollouts, 1)."""
    n_c, n_b = (random.poisson(expected, (rollouts, 1)) for expected in (CANARY, STABLE))
    y, x = random.binomial(n_c, canary_rate), random.binomial(n_b, rate)
    return Look(*(one.astype(np.float64) for one in (y, n_c, x, n_b)))


def _at_ratio(random: np.random.Generator, rate: float, rollouts: int, evaluations: int) -> int:
    state, crossed = relative.fresh(rollouts, 1), np.zeros((rollouts, 1), bool)
    for _ in range(evaluations):
        look = _look(random, rate, EFFECT * rate, rollouts)
        state = relative.update(state, relative.log_factors(look.y, look.n_c, look.x, look.n_b, EFFECT))
        crossed |= relative.log_evidence(state) >= -np.log(ALPHA)
    return int(crossed.sum())


def _at_objective(random: np.random.Generator, rate: float, rollouts: int, evaluations: int) -> int:
    bad, total, crossed = np.zeros(rollouts), np.zeros(rollouts), np.zeros(rollouts, bool)
    for _ in range(evaluations):
        counts = random.poisson(CANARY, rollouts)
        bad, total = bad + random.binomial(counts, rate), total + counts
        crossed |= objective.log_evidence_above(bad, total - bad, rate) >= -np.log(ALPHA)
    return int(crossed.sum())


def _whole(random: np.random.Generator, rate: float, rollouts: int, evaluations: int) -> int:
    """With an objective that both versions exactly meet, in one step that never ends."""
    lanes = [(1.0, rate, True)]
    design = design_of(alpha=ALPHA, effect=EFFECT, lanes=lanes, steps=1, skew=1.0)
    state = fresh(rollouts, 1)
    crossed: Bools = np.zeros(rollouts, bool)
    for _ in range(evaluations):
        state = decision.fold(state, _look(random, rate, rate, rollouts), 1, design)
        crossed |= decision.weigh(state, design).roll_back
    return int(crossed.sum())
