"""A synthetic service: requests by version and second, as whole counts that a seed makes repeatable.

Virtual time moves the world; parts.py lets a rollout see it and move its traffic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import exp, log
from random import Random
from statistics import NormalDist

from canary.api.plan import Traffic
from canary.engine.next_traffic import matching
from canary.sandbox.scenarios import HEALTHY, Behaviour, Scenario

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FEW = 1.0
"""Requests a second, below which they are drawn one by one."""


@dataclass(frozen=True)
class Served:
    """One second of one version."""

    total: int = 0
    bad: int = 0
    p99: float = 0.0


def slower_share(median: float, p99: float, edge: float) -> float:
    """The share of requests slower than an edge, of log-normal latencies."""
    if p99 <= median:
        return float(edge < median)
    return 1 - NormalDist(log(median), log(p99 / median) / NormalDist().inv_cdf(0.99)).cdf(log(edge))


@dataclass
class World:
    """Who serves what, second by second."""

    behaviours: Mapping[str, Behaviour]
    traffic: Traffic = field(default_factory=Traffic)
    stable: str = "v1"
    canary: str = "v2"
    rps: float = 50.0
    matched: float = 0.05
    """Share of requests that a `match` would send to the canary."""
    replicas: int = 3
    seed: int = 1
    blind: bool = False
    tested: float = 0.0
    """What hooks send to the canary itself, as a share of all requests."""
    start: datetime = START
    now: datetime = field(init=False)
    seconds: int = 0
    """Whole seconds that were lived through; the log has an entry for each."""
    log: dict[str, list[Served]] = field(default_factory=dict)
    first_request: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random, self.now = Random(self.seed), self.start
        self.log = {name: [] for name in self.behaviours}

    def advance(self, to: datetime) -> None:
        """Lives through every second until `to`, under the traffic that is set now."""
        while self.start + (self.seconds + 1) * SECOND <= to:
            self.seconds += 1
            self.now = self.start + self.seconds * SECOND
            for name in self.behaviours:
                self.log[name].append(self._second(name))
        self.now = max(self.now, to)

    def available(self, name: str) -> int:
        """Replicas of a version that can answer."""
        return 0 if self._dead(name) else self.replicas

    def window(self, name: str, at: datetime, window: timedelta) -> list[Served]:
        """The seconds of a version in the window that ends at `at`."""
        end = (at - self.start) // SECOND
        return self.log[name][max(0, end - window // SECOND) : end]

    def slower(self, name: str, seconds: Sequence[Served], edge: float) -> int:
        """How many requests of these seconds took longer than so many milliseconds, of log-normal latencies."""
        median = self.behaviours[name].p50
        return round(sum(one.total * slower_share(median, one.p99, edge) for one in seconds if one.total))

    def _second(self, name: str) -> Served:
        requests = self._count(self.rps * self._share(name))
        if not requests:
            return Served()
        self.first_request.setdefault(name, self.now)
        behaviour = self.behaviours[name]
        if self._dead(name):
            return Served(requests, requests, 10_000.0)
        bad = sum(self.random.random() < behaviour.errors for _ in range(requests)) if behaviour.errors else 0
        return Served(requests, bad, behaviour.p99 * self.random.uniform(0.9, 1.1))

    def _share(self, name: str) -> float:
        canary = self.traffic.weight / 100
        if self.traffic.match:
            canary = max(canary, self.matched * matching(self.traffic) / 100)
        served = canary if name == self.canary else 1 - canary if name == self.stable else 0.0
        beside = self.traffic.mirror / 100 + self.tested if name == self.canary else 0.0
        return served + beside

    def _count(self, expected: float) -> int:
        """A whole number of requests around what is expected."""
        if expected <= 0:
            return 0
        if expected < FEW:
            return self._few(expected)
        noisy = self.random.gauss(expected, expected**0.5)
        return max(0, round(noisy))

    def _few(self, expected: float) -> int:
        """A Poisson number, which a rounded normal one would nearly always take for 0 (Knuth's product of uniform
        numbers)."""
        left, found = self.random.random(), 0
        while left > exp(-expected):
            left *= self.random.random()
            found += 1
        return found

    def _dead(self, name: str) -> bool:
        after, first = self.behaviours[name].dies_after, self.first_request.get(name)
        return after is not None and first is not None and self.now - first >= timedelta(seconds=after)


def world_of(scenario: Scenario, stable: str, canary: str, rps: float, seed: int, start: datetime = START) -> World:
    """A world in which the canary behaves as the scenario says, beside a healthy stable version."""
    return World(
        behaviours={stable: HEALTHY, canary: scenario.canary},
        stable=stable,
        canary=canary,
        rps=0.0 if scenario.quiet else rps,
        blind=scenario.blind,
        seed=seed,
        start=start,
    )
