"""A service as a simulation knows it: its traffic, and how its two versions answer. `requests.py` draws from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .arrays import Floats

Z99 = 2.3263478740408408
"""The 99th percentile of a standard normal distribution."""


@dataclass(frozen=True)
class Latency:
    """A log-normal distribution of durations, a part of which may be slower."""

    p50: float = 60.0
    """Median in milliseconds."""
    p99: float = 300.0
    """99th percentile in milliseconds, without the slower part."""
    tail: tuple[tuple[float, float], ...] = ()
    """(share, factor): this share of the requests takes so many times as long."""

    @property
    def slowed(self) -> float:
        """The share of requests in the slower part."""
        return sum(share for share, _ in self.tail)

    def above(self, edges: Sequence[float]) -> Floats:
        """The share of requests slower than each edge (milliseconds); shape (edges,)."""
        sigma = math.log(self.p99 / self.p50) / Z99
        parts = (*self.tail, (1 - self.slowed, 1.0))
        return np.array([sum(share * _above(edge / (self.p50 * by), sigma) for share, by in parts) for edge in edges])


def _above(ratio: float, sigma: float) -> float:
    """How often a log-normal variable with median 1 exceeds `ratio`."""
    return 0.5 * math.erfc(math.log(ratio) / (sigma * math.sqrt(2)))


@dataclass(frozen=True)
class SimulatedChange:
    """Something that is different for a while. Times are seconds since the canary's first weight."""

    after: float = 0.0
    until: float = math.inf
    spread: float = 0.0
    """The change comes later by up to so many seconds: each rollout has its own delay, common to both versions."""
    errors: float = 0.0
    """Added to the share of failing requests, 0 to 1."""
    growth: float = 0.0
    """Added to it in each second since."""
    latency: Latency | None = None
    """In place of the usual one."""
    above_weight: int = 0
    """It needs a weight above this one."""
    pods: int = 1
    """Only one of so many pods fails; connections stay, so its share of the requests varies."""


@dataclass(frozen=True)
class SimulatedVersion:
    """How one of the two versions answers."""

    errors: float = 0.002
    """Share of requests that fail, 0 to 1."""
    latency: Latency = Latency()
    changes: tuple[SimulatedChange, ...] = ()
    lost: float = 0.0
    """Share of its requests that no counter sees: they fail before they reach a proxy that counts."""


@dataclass(frozen=True)
class SimulatedService:
    """Traffic to two versions, and what they share."""

    rps: float
    """Requests per second to both together, on average."""
    stable: SimulatedVersion = field(default_factory=SimulatedVersion)
    canary: SimulatedVersion = field(default_factory=SimulatedVersion)
    burst: float = 1.0
    """Failing requests come in bursts of so many on average (geometric), as retries make them; 1: independently."""
    unsteady: float = 0.0
    """Coefficient of variation of the arrival rate from tick to tick (gamma); 0: Poisson arrivals."""
    wave: float = 0.0
    """Amplitude of a slow wave of the load, as a share of it."""
    period: float = 3600.0
    """Of the wave, in seconds."""
    noise: float = 0.0
    """Standard deviation of the logarithm of a common level of errors that wanders within about a minute."""
    timeouts: bool = False
    """Whether failing requests are the slowest ones, rather than the fastest."""
    unused: bool = False
    """Whether no request reaches the canary, at any weight."""
