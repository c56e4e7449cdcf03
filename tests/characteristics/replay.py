"""Plays one simulated rollout's requests to the real engine with the real judge: `canary simulate`'s ports, but the
counters are those of a batch. So the judges on a batch can be held against the judges of a rollout.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from canary.api.canary import Canary
from canary.characteristics.arrays import Ints
from canary.characteristics.counters import CANARY, STABLE, SimulatedCounters
from canary.characteristics.requests import BAD, SLOWER, TOTAL, Grid, SimulatedRequests, Tick
from canary.characteristics.rollouts import PROMOTED, Rollouts
from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Value
from canary.engine.resolved import ResolvedSpec, resolve_spec
from canary.metrics.histogram import quantile
from canary.rollout.reconcile import Turn
from canary.sandbox.parts import Sandbox, SandboxMetrics
from canary.sandbox.scenarios import SCENARIOS
from canary.sandbox.simulate import sandbox_of, simulate
from canary.sandbox.world import World


def resolved(**analysis: object) -> ResolvedSpec:
    """A route of Envoy, whose metrics have no lag, read as seldom as Prometheus reads them."""
    rules = {"scrapeInterval": "15s", "interval": "1m", **analysis}
    spec = {"targetRef": {"kind": "EnvoyRoute", "name": "shop"}, "version": "v2", "analysis": rules}
    return resolve_spec(Canary.model_validate({"metadata": {"name": "shop"}, "spec": spec}))


@dataclass
class Recorded:
    """The requests of one rollout of a batch, as its weights let them come; time 0 is the canary's first weight."""

    grid: Grid
    kept: "Kept"
    number: int
    counters: SimulatedCounters = field(init=False)
    seen: list[Ints] = field(default_factory=list)
    """What counters showed at the end of each tick."""
    began: datetime | None = None

    def __post_init__(self) -> None:
        self.counters = SimulatedCounters(1, self.grid.columns, 1)
        self.index = {weight: index for index, weight in enumerate(self.grid.weights)}

    def advance(self, to: datetime, weight: int) -> None:
        """All ticks until `to`, which have this weight."""
        if self.began is None:
            return
        while self.began + (len(self.seen) + 1) * timedelta(seconds=self.grid.tick) <= to:
            tick, at = self.kept.at(len(self.seen)), self.index[weight]
            every = np.full(tick.stable.shape[1], at)
            one = slice(self.number, self.number + 1)
            self.counters.add(tick.counts(every, every)[:, one], tick.scraped[:, one])
            self.seen.append(self.counters.seen)

    def window(self, version: int, at: datetime, window: timedelta) -> Ints:
        """Counts of the window that ends at `at`; shape (columns,)."""
        found: Ints = self._at(at)[version, 0] - self._at(at - window)[version, 0]
        return found

    def _at(self, at: datetime) -> Ints:
        if self.began is None:
            return np.zeros_like(self.counters.seen)
        tick = round((at - self.began).total_seconds() / self.grid.tick)
        return self.seen[tick - 1] if tick > 0 else np.zeros_like(self.counters.seen)


class RecordedWorld(World):
    """Virtual time that plays a record as soon as the canary has a weight."""

    record: Recorded

    def advance(self, to: datetime) -> None:
        """Live until then."""
        if self.record.began is None and self.traffic.weight:
            self.record.began = self.now
        self.record.advance(to, self.traffic.weight)
        self.now = max(self.now, to)


@dataclass
class RecordedMetrics(SandboxMetrics):
    """Answers from a record."""

    record: Recorded | None = None

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """One answer for each query."""
        return {query: self._recorded(query, at) for query in queries}

    def _recorded(self, query: Query, at: datetime) -> Sample:
        if self.record is None:
            raise AssertionError("no record")
        version = CANARY if query.subject.workload == self.world.canary else STABLE
        counts = self.record.window(version, at, query.window)
        total, edges = int(counts[TOTAL]), self.record.grid.edges
        slower = dict(zip(edges, counts[SLOWER:].tolist(), strict=True))
        if query.shape is Shape.COUNTS:
            timed = total if query.edges else 0
            read = (at - query.window, at) if self.record.grid.at_once else None
            slow = tuple((edge, slower[edge]) for edge in query.edges)
            return Counts(total, int(counts[BAD]), slow, timed=timed, snapshots=read)
        if not total:
            return Missing(Cause.EMPTY, "no requests in the window")
        if query.metric == "request-success-rate":
            return Value(100 * (1 - int(counts[BAD]) / total))
        buckets = {edge: total - count for edge, count in slower.items()}
        return Value(quantile(0.99, {**buckets, float("inf"): total}))


def replay(spec: ResolvedSpec, kept: "Kept", number: int) -> list[tuple[float, int, str]]:
    """(seconds, weight, phase) at each change of the canary's weight, the end included."""
    sandbox = sandbox_of(spec, SCENARIOS["good"])
    record = Recorded(kept.grid, kept, number)
    world = RecordedWorld(sandbox.world.behaviours, stable=sandbox.world.stable, canary=sandbox.world.canary)
    world.record = record
    played = Sandbox(world, sandbox.target)
    played.metrics = RecordedMetrics(world, record=record)
    seen: list[tuple[float, int, str]] = []

    def note(turn: Turn) -> None:
        status = turn.decision.status
        if record.began is None and not world.traffic.weight:
            return
        began = record.began or world.now
        now = ((turn.at - began).total_seconds(), status.canary_weight, status.phase.value)
        if not seen or now[1:] != seen[-1][1:]:
            seen.append(now)

    simulate(played, note)
    return seen


class Kept:
    """A stream of ticks that can be read again."""

    def __init__(self, requests: SimulatedRequests) -> None:
        self.requests, self.grid = requests, requests.grid
        self.ticks: list[Tick] = []

    def next(self) -> Tick:
        """The next tick."""
        self.ticks.append(self.requests.next())
        return self.ticks[-1]

    def at(self, number: int) -> Tick:
        """The tick of this number."""
        while len(self.ticks) <= number:
            self.next()
        return self.ticks[number]


def moves_of(rollouts: Rollouts, kept: Kept, horizon: float) -> list[list[tuple[float, int]]]:
    """(seconds, weight) at each change of each rollout of a batch; a promotion is weight 100."""
    found: list[list[tuple[float, int]]] = [[(0.0, rollouts.stages[0].weight)] for _ in range(rollouts.count)]
    while rollouts.running.any() and len(kept.ticks) * kept.grid.tick < horizon:
        tick = kept.next()
        now = len(kept.ticks) * kept.grid.tick
        rollouts.take(tick, now)
        weights = np.where(rollouts.outcome == PROMOTED, 100, rollouts.weight)
        for moves, weight in zip(found, weights.tolist(), strict=True):
            if weight != moves[-1][1]:
                moves.append((now, weight))
    return found


def moves_replayed(spec: ResolvedSpec, kept: Kept, number: int) -> list[tuple[float, int]]:
    """As `moves_of`, from the engine; times are rounded down to ticks, for its own take a part of a second."""
    seen, tick = replay(spec, kept, number), kept.grid.tick
    moves: list[tuple[float, int]] = []
    for at, weight, _ in seen:
        if not moves or moves[-1][1] != weight:
            moves.append((tick * (at // tick), weight))
    return moves
