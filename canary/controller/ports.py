"""What the controller needs from outside: the Canaries that there are, each wired; declared where it is consumed.

`bootstrap` satisfies it with a cluster's objects, `canary/sandbox` with rollouts in memory.
"""

from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from typing import Protocol

from canary.api.status import Status
from canary.kube.names import NamespacedName
from canary.ports import Parts
from canary.rollout.reconcile import Turn


class Reconciler(Protocol):
    """One Canary, wired."""

    @property
    def parts(self) -> Parts:
        """Its ports. What is measured is asked in slots, of `metrics` here."""

    @property
    def source(self) -> Hashable:
        """Who answers its queries; those of one source are asked together."""

    @property
    def polls(self) -> bool:
        """Whether it stands on something that isn't watched."""

    def tidy(self, status: Status, now: datetime) -> None:
        """After its reconciles: puts away what only a running rollout needs. Raises what the ports raise."""

    def rest(self) -> None:
        """No rollout is running: what can be read again needn't be kept in memory."""

    def unread(self, why: str, now: datetime) -> None:
        """Writes to the object that its state can't be read and a user must correct it. Raises as ports do."""

    def raises(self, why: str, now: datetime) -> None:
        """Writes to the object that its reconciles fail. May raise the same errors."""


class Fleet(Protocol):
    """All Canaries of this controller."""

    def all(self) -> Iterable[NamespacedName]:
        """Those that there are now."""

    def pressing(self, key: NamespacedName) -> bool:
        """Whether it should be looked at right after a start: a rollout is running, or it was never looked at."""

    def reconciler(self, key: NamespacedName) -> Reconciler | None:
        """Wires it; None where it is gone."""


class Watcher(Protocol):
    """Receivers of events: metrics and logs."""

    def reconciled(self, key: NamespacedName, turn: Turn, seconds: float, late: float | None) -> None:
        """After each turn of a reconcile. `late` is how long after its slot the reconcile began, in seconds; None for
        a reconcile that was woken, and for the further turns of one."""

    def hindered(self, key: NamespacedName, why: str, at: datetime) -> None:
        """Something could not be removed or sent, and is retried; `why` is a sentence."""

    def unread(self, key: NamespacedName, why: str, at: datetime) -> None:
        """The state of a Canary can't be read, so that it wasn't reconciled; `why` says what mends it."""

    def crashed(self, key: NamespacedName, error: Exception) -> None:
        """A reconcile failed with an unexpected exception."""

    def forgot(self, key: NamespacedName) -> None:
        """The Canary is gone."""


Timetable = Callable[[datetime, Callable[[], None]], None]
"""Calls back at a time, in another thread."""
