"""Moves many simulated rollouts through the steps of one plan; a judge on a batch says how each evaluation goes.

The rules are those of `engine/decision_rules.py` for a rollout that nothing else disturbs: the route obeys at once,
pods are ready, gates are open.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import Bools, Floats, Ints
from .counters import SimulatedCounters
from .requests import Grid, SimulatedRequests, Tick

PASS, HOLD, ROLL_BACK = 0, 1, 2
"""Verdicts, as `judges.judge.Verdict` has them."""
RUNNING, PROMOTED, ROLLED_BACK = 0, 1, 2
"""How a rollout ended."""
READ_BACK = 1.0
"""Seconds until new traffic has been read back from the route: a step's time counts from then. Evaluations are later
than the first weight by about as much, so it makes a difference for steps only that an evaluation begins."""


@dataclass(frozen=True)
class SimulatedStep:
    """One step: its weight, the copies that the canary gets besides, and what ends it."""

    weight: int
    mirror: int = 0
    hold: float = 0.0
    """Seconds."""
    iterations: int = 1


class Rollouts(ABC):
    """A batch of rollouts under one judge."""

    def __init__(
        self, stages: Sequence[SimulatedStep], grid: Grid, count: int, interval: float, depth: float
    ) -> None:
        self.stages, self.grid, self.count, self.interval = tuple(stages), grid, count, interval
        self.counters = SimulatedCounters(count, grid.columns, math.ceil(depth / grid.tick) + 1)
        index = {weight: number for number, weight in enumerate(grid.weights)}
        self._canary = np.array([index[max(one.weight, one.mirror)] for one in stages] + [0])
        self._stable = np.array([index[one.weight] for one in stages] + [0])
        self._hold = np.array([one.hold for one in stages] + [math.inf])
        self._iterations = np.array([one.iterations for one in stages] + [1])
        self._weights = np.array(grid.weights)
        self.step = np.zeros(count, np.int64)
        self.since = np.zeros(count)
        self.passes = np.zeros(count, np.int64)
        self.verdict = np.full(count, HOLD)
        self.outcome = np.full(count, RUNNING)
        self.ended = np.full(count, np.nan)
        self.harmed_until = np.zeros(count)
        """Requests harmed by the canary before the rollout's end."""
        self.harmed_after = np.zeros(count)
        """In the hour after a promotion."""

    @abstractmethod
    def judge(self, now: float) -> Ints:
        """The verdict of an evaluation of each rollout, also of those that are over; shape (rollouts,)."""

    @property
    def running(self) -> Bools:
        """Which rollouts aren't over."""
        return np.asarray(self.outcome == RUNNING, np.bool_)

    @property
    def harmed(self) -> Floats:
        """Requests harmed by the canary; a promotion is charged with an hour."""
        return self.harmed_until + self.harmed_after

    @property
    def weight(self) -> Ints:
        """Each rollout's weight."""
        return np.asarray(self._weights[self._stable[self.step]], np.int64)

    def take(self, tick: Tick, now: float) -> None:
        """One tick of traffic, which ends now; then an evaluation, if it is time for one."""
        stable = self._stable[self.step]
        harmed = tick.harmed(stable) * (self.weight / 100)
        self.harmed_until += np.where(self.running, harmed, 0.0)
        self.counters.add(tick.counts(self._canary[self.step], stable), tick.scraped)
        evaluated = abs(now / self.interval - round(now / self.interval)) < 1e-9
        if evaluated:
            self.verdict = np.where(self.running, self.judge(now), self.verdict)
            self.passes += self.running & (self.verdict == PASS)
        self._move(tick, now, READ_BACK if evaluated else 0.0)

    def _move(self, tick: Tick, now: float, read_back: float) -> None:
        back = self.running & (self.verdict == ROLL_BACK)
        self._end(back, ROLLED_BACK, now)
        looked = (self.passes >= self._iterations[self.step]) & (self.verdict == PASS)
        free = self._iterations[self.step] == 0
        done = self.running & (looked | free) & (now - self.since + READ_BACK >= self._hold[self.step])
        if not done.any():
            return
        self.step = self.step + done
        self.since = np.where(done, now + read_back, self.since)
        self.passes = np.where(done, 0, self.passes)
        through = done & (self.step >= len(self.stages))
        self._end(through, PROMOTED, now)
        if through.any():
            self.harmed_after = np.where(through, tick.hour_after(), self.harmed_after)

    def _end(self, which: Bools, outcome: int, now: float) -> None:
        self.outcome = np.where(which, outcome, self.outcome)
        self.ended = np.where(which, now, self.ended)
        self.step = np.where(which, len(self.stages), self.step)


def run(
    requests: SimulatedRequests,
    batches: Iterable[Rollouts],
    horizon: float,
    tell: Callable[[float], None] | None = None,
) -> None:
    """Runs all batches on the same requests until the last rollout is over, or until the horizon (seconds).

    `tell` gets the share of the horizon that is done.
    """
    going, ticks = list(batches), round(horizon / requests.grid.tick)
    for number in range(ticks):
        going = [one for one in going if one.running.any()]
        if not going:
            break
        tick = requests.next()
        for one in going:
            one.take(tick, (number + 1) * requests.grid.tick)
        if tell is not None:
            tell((number + 1) / ticks)


def weights_of(stages: Iterable[SimulatedStep]) -> tuple[int, ...]:
    """All weights of a grid for these stages."""
    return tuple(
        sorted({0, 100, *(weight for one in stages for weight in (one.weight, max(one.weight, one.mirror)))})
    )
