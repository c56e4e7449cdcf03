"""Which Canary is due in which second. Pure; `controller.py` has the threads and the clock."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zlib import crc32

from canary.engine.looks import SPREAD

from .fleet import Key


def slot_of(at: datetime) -> int:
    """The second in which something is due, as seconds since 1970: a fraction belongs to the next one."""
    whole = int(at.timestamp())
    return whole + (at.microsecond > 0)


def time_of(slot: int) -> datetime:
    """The nominal time of a slot."""
    return datetime.fromtimestamp(slot, UTC)


def share(key: Key) -> float:
    """A number from 0 up to 1 that is always the same for a Canary, and spreads many of them evenly."""
    return crc32(f"{key[0]}/{key[1]}".encode()) / 2**32


def jitter(key: Key, interval: timedelta) -> timedelta:
    """What is added to the first look of a rollout; whole seconds, less than its interval."""
    return timedelta(seconds=int(share(key) * min(SPREAD, interval).total_seconds()))


class Slots:
    """Each Canary is due once at most. Not for several threads at a time."""

    def __init__(self) -> None:
        self._due: dict[Key, int] = {}
        self._slots: dict[int, set[Key]] = {}

    def put(self, key: Key, slot: int) -> bool:
        """Makes it due then, and no longer at another time; True where nobody else was due then."""
        self.drop(key)
        self._due[key] = slot
        first = slot not in self._slots
        self._slots.setdefault(slot, set()).add(key)
        return first

    def drop(self, key: Key) -> None:
        """Makes it due at no time."""
        slot = self._due.pop(key, None)
        if slot is not None:
            self._slots[slot].discard(key)

    def take(self, slot: int) -> Iterable[Key]:
        """Those that are due then, and no longer."""
        keys = self._slots.pop(slot, set())
        for key in keys:
            del self._due[key]
        return keys

    def __len__(self) -> int:
        return len(self._due)
