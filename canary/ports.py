"""What a reconcile needs from the outside: small protocols, declared here where they are consumed.

Adapters (`canary/routers`, `canary/metrics`, …) subclass them; `bootstrap/` and `controller/` wire real ones, and
`sandbox/` has the same ports in memory. `rollout/reconcile.py` calls them.
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
from canary.engine.observed import (
    HookAnswer,
    HookCall,
    Missing,
    PrimarySeen,
    Query,
    RouteSeen,
    Sample,
    Stored,
    WorkloadSeen,
)
from canary.engine.resolved import ResolvedSpec


class Target(Protocol):
    """The present spec, read again each time."""

    def resolved(self) -> ResolvedSpec:
        """The Canary with its plan and policy; the last one that could be read, while a new one can't be."""

    def desired_version(self) -> Version | Missing:
        """The desired version, with its present revision."""


class Router(Protocol):
    """The one who moves traffic."""

    def read(self, stable: str | None, canary: str) -> RouteSeen | Missing:
        """The route as the proxy has loaded it. `stable` is None while it isn't known which version serves."""

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        """Asks for the complete state `traffic`. `token` is of the read that the decision stands on;
        None if nothing could be read and exposure is decreased anyway.

        Returns once the request is placed; that it is in effect shows in a later `read`.
        Raises Conflict (something else was written in between), Rejected (with the proxy's words)
        or Unreachable.
        """


class Workloads(Protocol):
    """Who knows how many replicas can answer."""

    def read(self, version: str) -> WorkloadSeen | Missing:
        """What runs behind a version; Missing(ABSENT) where there is no such destination."""


class Primary(Protocol):
    """Who makes and updates the primary of a target, and scales the target.

    Each write is an end state, so that it may be repeated. They raise Conflict, Rejected or Unreachable.
    """

    def read(self) -> PrimarySeen | Missing:
        """What is there of it."""

    def provision(self, revision: str, ready: int = 100) -> None:
        """Makes what can be made now of what is missing; routes are changed only once the primary is ready: so many
        per cent of its replicas."""

    def copy(self, revision: str) -> None:
        """Gives the primary the template of this revision of the target."""

    def scale(self, replicas: int, revision: str = "") -> None:
        """Gives the target this many replicas; before that keeps what pods of this revision will be started with.

        Raises Conflict also where the target has another revision by now.
        """

    def give_back(self, revision: str) -> None:
        """Does what can be done now so that the target serves this revision, and all requests go to it."""

    def remove(self) -> None:
        """Deletes what was made; what was adopted is as it was before."""


class Metrics(Protocol):
    """A source of evidence."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """An answer for each query, over the window that ends at `at`; what can be merged is asked at once."""


class Secrets(Protocol):
    """Who knows the credentials that templates name."""

    def read(self, namespace: str, name: str) -> Mapping[str, str] | Missing:
        """The values of a Secret by key, decoded. May be some seconds old."""

    def forget(self, namespace: str, name: str) -> None:
        """Reads it again next time, because a server refused what it holds."""


class Hooks(Protocol):
    """Who calls the hooks of one Canary."""

    def ask(self, calls: Sequence[HookCall]) -> Mapping[str, HookAnswer]:
        """The answers that are there, by id. Calls that are new are begun, those not named any more are abandoned.
        Never waits, and never raises."""

    def begin(self, calls: Sequence[HookCall]) -> None:
        """Begins those that are new, and leaves all others alone. Never waits, and never raises."""

    def news(self) -> bool:
        """Whether an answer came since `ask` was called last."""


class Inbox(Protocol):
    """Where people's actions arrive."""

    def read(self) -> Sequence[CanaryAction]:
        """Those that lie there, oldest first, taken ones included."""

    def remove_taken(self, status: Status, now: datetime) -> int:
        """Removes what `engine.taken.removable` names; returns how many. `status` is what is saved. Never raises."""


class Store(Protocol):
    """Where status outlives the process."""

    def load(self) -> Stored | None:
        """What was saved last, or None. Raises Unreachable, or Rejected for a state that can't be read."""

    def save(self, status: Status, version: str | None) -> str:
        """Saves if `version` is still what is there (None: nothing is there); returns the new version.

        Raises Conflict, Unreachable, or Rejected where something that isn't a state stands in its place.
        """


class Notifier(Protocol):
    """Who tells people."""

    def notify(self, messages: Sequence[Message]) -> None:
        """Delivers, or raises Unreachable; then they are sent again in a later reconcile. It undoes nothing."""


class Alerts(Protocol):
    """Who sends alerts to chats and the like, in the background."""

    def deliver(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Hands over the alerts of the messages, and returns the messages without those that are over, with None
        for the last one. A message is handed over again until then; that sends no alert twice. Never waits."""


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
    primary: Primary | None = None
    """Only for targets that have one."""
    hooks: Hooks | None = None
    """None where no hook can be called."""
    alerts: Alerts | None = None
    """None sends no alerts."""
    pool: Executor | None = None
    """Reads run here side by side; None reads one after the other."""
