"""What a tick needs from the outside: small protocols, declared here where they are consumed.

Adapters (`canary/routers`, `canary/metrics`, …) satisfy them by shape, without importing this file;
`bootstrap.py` wires real ones, `sandbox/` has the same ports in memory. `gather.py` and `apply.py` call them.
Reads answer with `Missing` and never raise; what a write may raise stands at the write.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from canary.api.action import CanaryAction
from canary.api.plan import Traffic
from canary.api.status import Message, Status, Version
from canary.engine.desired import Desired
from canary.engine.observed import Missing, Query, RouteSeen, Sample, Stored, WorkloadSeen


class Target(Protocol):
    """What the user wants right now, read anew each time."""

    def desired(self) -> Desired:
        """The Canary with its plan and policy; the last one that could be read, while a new one can't be."""

    def wanted(self) -> Version | Missing:
        """The version that shall serve, with the revision that is behind it now."""


class Router(Protocol):
    """The one who moves traffic."""

    def read(self, stable: str | None, canary: str) -> RouteSeen | Missing:
        """The route as the proxy has loaded it. `stable` is None while it isn't known which version serves."""

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        """Asks for the complete state `traffic`. `token` is of the read that the decision stands on;
        None where nothing could be read and exposure is lowered all the same.

        Returns once the request is placed; that it is in effect shows in a later `read`.
        Raises Conflict (something else was written in between), Rejected (with the proxy's words)
        or Unreachable.
        """


class Workloads(Protocol):
    """Who knows how many replicas can answer."""

    def read(self, version: str) -> WorkloadSeen | Missing:
        """What runs behind a version; Missing(ABSENT) where there is no such destination."""


class Metrics(Protocol):
    """A source of evidence."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """An answer for each query, over the window that ends at `at`; what can be merged is asked at once."""


class Inbox(Protocol):
    """Where people's actions arrive."""

    def read(self) -> Sequence[CanaryAction]:
        """Those that lie there, oldest first, taken ones included."""


class Store(Protocol):
    """Where status outlives the process."""

    def load(self) -> Stored | None:
        """What was saved last, or None. Raises Unreachable, or Rejected for a state that can't be read."""

    def save(self, status: Status, version: str | None) -> str:
        """Saves if `version` is still what is there (None: nothing is there); returns the new version.

        Raises Conflict or Unreachable.
        """


class Notifier(Protocol):
    """Who tells people."""

    def tell(self, messages: Sequence[Message]) -> None:
        """Delivers, or raises Unreachable; then they are told again in a later tick. It undoes nothing."""


class Clock(Protocol):
    """Time, so that tests and simulations own it."""

    def now(self) -> datetime:
        """UTC, aware."""

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        """Returns after `seconds`, or soon after `woken()` turned true."""


@dataclass(frozen=True)
class Parts:
    """All that one rollout needs from outside, wired by bootstrap or by the sandbox."""

    target: Target
    router: Router
    workloads: Workloads
    metrics: Metrics
    store: Store
    inbox: Inbox
    notifier: Notifier
    clock: Clock
    pool: Executor | None = None
    """Reads run here side by side; None reads one after the other."""
