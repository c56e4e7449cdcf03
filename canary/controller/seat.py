"""What the controller keeps of one Canary between its ticks, and that never two of them run at a time."""

from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock

from canary.rollout.record import Record

from .fleet import Key, Rig
from .looking import Measured, Question

SHORTEST, LONGEST = timedelta(seconds=1), timedelta(minutes=2)
"""Pauses after a tick that raised: the first, and the longest."""


@dataclass
class Seat:
    """One Canary."""

    key: Key
    rig: Rig | None = None
    record: Record | None = None
    """While a rollout is running, or something isn't saved; else the store has all."""
    fresh: bool = True
    """No tick of this process has seen the route."""
    failures: int = 0
    """Ticks in a row that raised."""
    slot: int | None = None
    """The slot for which it waits to be ticked."""
    waits: int = 0
    """Slots in a row in which its source had too much to answer."""
    question: Question | None = None
    """The one that was asked last, until it is answered."""
    belated: int = 0
    """Answers in a row that came when the next look was due already."""
    _lock: Lock = field(default_factory=Lock)
    _busy: bool = False
    _again: bool = False
    _measured: Measured | None = None

    def ask(self, measured: Measured | None = None) -> bool:
        """Asks for a tick; True where the caller must see to it, False where somebody who is at it will."""
        with self._lock:
            if measured is not None:
                self._measured = measured
            if self._busy:
                self._again = True
                return False
            self._busy = True
            return True

    def begin(self) -> Measured | None:
        """What the tick that begins now may use of its slot."""
        with self._lock:
            measured, self._measured, self._again = self._measured, None, False
            return measured

    def done(self) -> bool:
        """Whether nobody asked meanwhile; else the caller goes on."""
        with self._lock:
            if self._again:
                return False
            self._busy = False
            return True

    def leave(self) -> None:
        """Whoever had to see to a tick can't; the next one who asks must. What was measured is kept for that."""
        with self._lock:
            self._busy = False

    @property
    def pause(self) -> timedelta:
        """After ticks that raised."""
        doublings = min(self.failures - 1, 16)
        return min(SHORTEST * (1 << doublings), LONGEST)
