"""What the controller needs from outside: the Canaries that there are, each wired; declared where it is consumed.

`bootstrap` satisfies it with a cluster's objects, `canary/sandbox` with rollouts in memory.
"""

from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from typing import Protocol

from canary.api.status import Status
from canary.rollout.ports import Parts
from canary.rollout.tick import Turn

Key = tuple[str, str]
"""Namespace and name of a Canary."""


class Rig(Protocol):
    """One Canary, wired."""

    @property
    def parts(self) -> Parts:
        """Its ports. What is measured is asked in slots, of `metrics` here."""

    @property
    def source(self) -> Hashable:
        """Who answers its queries; those of one source are asked together."""

    def tidy(self, status: Status, now: datetime) -> None:
        """After its ticks: puts away what only a running rollout needs. Raises what the ports raise."""

    def rest(self) -> None:
        """No rollout is running: what can be read again needn't be kept in memory."""

    def unread(self, why: str, now: datetime) -> None:
        """Its state can't be read, and a person has to mend it: says so where people look. Raises as ports do."""

    def raises(self, why: str, now: datetime) -> None:
        """Its ticks raise one after the other: says so where people look. May raise whatever they do."""


class Fleet(Protocol):
    """All Canaries that this controller looks after."""

    def all(self) -> Iterable[Key]:
        """Those that there are now."""

    def pressing(self, key: Key) -> bool:
        """Whether it should be looked at right after a start: a rollout is running, or it was never looked at."""

    def rig(self, key: Key) -> Rig | None:
        """Wires it; None where it is gone."""


class Watcher(Protocol):
    """Who is told what happens: metrics and logs."""

    def ticked(self, key: Key, turn: Turn, seconds: float, late: float | None) -> None:
        """After each turn of a tick. `late` is how long after its slot the tick began, in seconds; None for a tick
        that was woken, and for the further turns of one."""

    def hindered(self, key: Key, why: str, at: datetime) -> None:
        """Beside its decisions something could not be put away or said, which is tried again; `why` is a sentence."""

    def unread(self, key: Key, why: str, at: datetime) -> None:
        """The state of a Canary can't be read, so that it wasn't ticked; `why` says what mends it."""

    def crashed(self, key: Key, error: Exception) -> None:
        """A tick raised what no port foresees."""

    def forgot(self, key: Key) -> None:
        """The Canary is gone."""


Timetable = Callable[[datetime, Callable[[], None]], None]
"""Calls back at a time, in another thread."""
