"""How a canary behaves, by name. `canary demo` and `canary simulate` have the same scenarios."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Behaviour:
    """One version of a service."""

    errors: float = 0.0
    """Share of requests that fail, 0 to 1."""
    p50: float = 8.0
    """Median latency in milliseconds."""
    p99: float = 40.0
    """99th percentile of latency in milliseconds."""
    dies_after: float | None = None
    """Seconds after its first request until it stops answering at all."""


@dataclass(frozen=True)
class Scenario:
    """A canary, and its expected outcome."""

    summary: str
    canary: Behaviour
    promoted: bool
    """Whether the standard policy should promote it."""
    blind: bool = False
    """The source of metrics can't be reached."""
    quiet: bool = False
    """There are no requests."""


HEALTHY = Behaviour()

SCENARIOS: Mapping[str, Scenario] = {
    "good": Scenario("as healthy as the stable version", HEALTHY, promoted=True),
    "bad": Scenario("fails some requests and slows down", Behaviour(errors=0.12, p50=60, p99=450), promoted=False),
    "slow": Scenario("answers everything, but slowly", Behaviour(p50=120, p99=900), promoted=False),
    "flaky": Scenario("fails one request in fifty", Behaviour(errors=0.02), promoted=False),
    "dead": Scenario("stops answering altogether", Behaviour(dies_after=6), promoted=False),
    "quiet": Scenario("gets no requests", HEALTHY, promoted=False, quiet=True),
    "blind": Scenario("can't be judged: metrics are out of reach", HEALTHY, promoted=False, blind=True),
}
