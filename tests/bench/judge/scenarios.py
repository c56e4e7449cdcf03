"""The simulated services: traffic, what is wrong with the canary, and what is wrong with both versions.

Unless a scenario says otherwise, 0.2% of the requests fail, half of them take less than 60 ms, 1% more than 300 ms,
and arrivals are a Poisson process. The objective of each judge is 99% of successes and a p99 of 500 ms.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from canary.characteristics.service import Latency, SimulatedChange, SimulatedService, SimulatedVersion


@dataclass(frozen=True)
class Scenario:
    """One service, and whether its canary should be promoted."""

    name: str
    service: SimulatedService
    bad: bool
    """Whether the canary is worse than stable."""
    clustered: bool = False
    """Whether errors come in clusters, for which the judge `sequential` promises less."""
    silent: bool = False
    """Whether no request reaches the canary."""


def slow(share: float, by: float) -> Latency:
    """The usual latency, but for a share of the requests, which take so many times as long."""
    return Latency(tail=((share, by),))


def both(service: SimulatedService, *changes: SimulatedChange) -> SimulatedService:
    """With changes that hit both versions at the same moments."""
    stable, canary = (replace(one, changes=(*one.changes, *changes)) for one in (service.stable, service.canary))
    return replace(service, stable=stable, canary=canary)


def erring(rps: float, errors: float, base: float = 0.002) -> SimulatedService:
    """A canary with another error rate than stable."""
    return SimulatedService(rps, SimulatedVersion(base), SimulatedVersion(errors))


def latent(rps: float, latency: Latency) -> SimulatedService:
    """A canary with another latency than stable."""
    return SimulatedService(rps, canary=SimulatedVersion(latency=latency))


def changing(rps: float, change: SimulatedChange) -> SimulatedService:
    """A canary that changes during the rollout."""
    return SimulatedService(rps, canary=SimulatedVersion(changes=(change,)))


OUTAGE = SimulatedChange(after=0, until=180, spread=300, errors=0.06)
"""6% of errors for three minutes."""
SHARP = SimulatedChange(after=0, until=60, spread=300, errors=0.5)
SLOWDOWN = SimulatedChange(after=0, until=180, spread=300, latency=slow(0.1, 8))
MODES = Latency(20, 60, ((0.01, 12.0),))
"""Two kinds of requests: fast ones, and 1% around 240 ms, such as misses of a cache."""
SLOWER_MODES = Latency(20, 60, ((0.06, 12.0),))


def scenarios() -> Iterator[Scenario]:
    """All of them; names are unique."""
    yield from _healthy()
    yield from _bad()


def _healthy() -> Iterator[Scenario]:
    for rps in (0.5, 5.0, 50.0, 500.0):
        yield _good(f"as stable, {rps:g} rps", SimulatedService(rps))
    yield _good("0.8% errors usual, 50 rps", erring(50, 0.008, 0.008))
    yield _good("no errors at all, 5 rps", erring(5, 0, 0))
    yield _good("shared outage, 6% for 3 min, 5 rps", both(SimulatedService(5), OUTAGE))
    yield _good("shared outage, 6% for 3 min, 50 rps", both(SimulatedService(50), OUTAGE))
    yield _good("shared outage, 50% for 1 min, 50 rps", both(SimulatedService(50), SHARP))
    yield _good("shared outage, 50% for 1 min, 500 rps", both(SimulatedService(500), SHARP))
    yield _good("shared slowdown for 3 min, 50 rps", both(SimulatedService(50), SLOWDOWN))
    yield _good("noisy shared errors, 50 rps", SimulatedService(50, noise=1.0))
    yield _good("over-dispersed arrivals, 5 rps", SimulatedService(5, unsteady=0.7))
    yield _good("load that rises and falls, 5 rps", SimulatedService(5, wave=0.8, period=900))
    yield _good("cold start, 40 s slow, 50 rps", latent_at_first(50, 40))
    yield _good("errors that are slow too, noisy, 50 rps", SimulatedService(50, noise=0.7, timeouts=True))
    yield _good("bimodal latency, 50 rps", SimulatedService(50, modal(MODES), modal(MODES)))
    yield replace(_good("errors in clusters of 5, 5 rps", SimulatedService(5, burst=5)), clustered=True)
    yield replace(_good("errors in clusters of 5, 50 rps", SimulatedService(50, burst=5)), clustered=True)
    yield replace(_good("errors in clusters of 20, 50 rps", SimulatedService(50, burst=20)), clustered=True)
    yield replace(_good("no request reaches the canary, 5 rps", SimulatedService(5, unused=True)), silent=True)


def _bad() -> Iterator[Scenario]:
    yield _worse("all fail, 5 rps", erring(5, 1.0))
    yield _worse("50% errors, 0.5 rps", erring(0.5, 0.5))
    yield _worse("50% errors, 50 rps", erring(50, 0.5))
    yield _worse("20% errors, 0.5 rps", erring(0.5, 0.2))
    yield _worse("20% errors, 5 rps", erring(5, 0.2))
    for rps in (0.5, 5.0, 50.0, 500.0):
        yield _worse(f"5% errors, {rps:g} rps", erring(rps, 0.05))
    yield _worse("2% errors, 50 rps", erring(50, 0.02))
    yield _worse("0.8% errors, within the objective, 50 rps", erring(50, 0.008))
    yield _worse("0.8% errors, within the objective, 500 rps", erring(500, 0.008))
    yield _worse("leak, +0.4% a minute, 50 rps", changing(50, SimulatedChange(growth=0.004 / 60)))
    yield _worse("5% errors from minute 4, 50 rps", changing(50, SimulatedChange(errors=0.048, after=240)))
    yield _worse("5% errors above 20%, 50 rps", changing(50, SimulatedChange(errors=0.048, above_weight=20)))
    yield _worse("one of 4 pods fails 30%, 50 rps", changing(50, SimulatedChange(errors=0.3, pods=4)))
    yield _worse("5% errors beside a shared outage, 50 rps", both(erring(50, 0.05), OUTAGE))
    yield _worse("5% errors in clusters of 5, 50 rps", replace(erring(50, 0.05), burst=5.0))
    yield _worse("5% errors, over-dispersed arrivals, 5 rps", replace(erring(5, 0.05), unsteady=0.7))
    yield _worse("5% errors, load rises and falls, 5 rps", replace(erring(5, 0.05), wave=0.8, period=900.0))
    yield _worse("2% errors that are slow too, 50 rps", replace(erring(50, 0.02), timeouts=True))
    yield _worse("tail, 4% of requests 8×, 5 rps", latent(5, slow(0.04, 8)))
    yield _worse("tail, 4% of requests 8×, 50 rps", latent(50, slow(0.04, 8)))
    yield _worse("tail, 2% 6×, p99 within the objective, 50 rps", latent(50, slow(0.02, 6)))
    yield _worse("p99.9 tail, 0.3% 20×, 50 rps", latent(50, slow(0.003, 20)))
    yield _worse("p99.9 tail, 0.3% 20×, 500 rps", latent(500, slow(0.003, 20)))
    yield _worse("10% of users (a header) 3× slower, 50 rps", latent(50, slow(0.1, 3)))
    yield _worse("10% of users (a header) fail in 10%, 50 rps", erring(50, 0.0118))
    yield _worse("slow mode 1% → 6%, 50 rps", SimulatedService(50, modal(MODES), modal(SLOWER_MODES)))
    yield _worse("10% of requests lost uncounted, 50 rps", SimulatedService(50, canary=SimulatedVersion(lost=0.1)))


def latent_at_first(rps: float, seconds: float) -> SimulatedService:
    """A canary whose pods are slow while they are new: a good version with cold caches."""
    change = SimulatedChange(until=seconds, latency=slow(0.3, 8))
    return SimulatedService(rps, canary=SimulatedVersion(changes=(change,)))


def modal(latency: Latency) -> SimulatedVersion:
    """A version with the usual errors."""
    return SimulatedVersion(latency=latency)


def _good(name: str, service: SimulatedService) -> Scenario:
    return Scenario(name, service, bad=False)


def _worse(name: str, service: SimulatedService) -> Scenario:
    return Scenario(name, service, bad=True)
