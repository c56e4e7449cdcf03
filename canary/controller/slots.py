"""Which Canary is due in which second, and what is asked together then. `controller.py` has the threads and the
clock.

Evaluations are taken in slots, where many rollouts ask together; a reconcile between slots takes none. What such a
reconcile sees of routes, replicas and people is acted on at once, without waiting for Prometheus. An evaluation that
is due stays due, and follows in its slot.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zlib import crc32

from canary.engine.evaluations import SPREAD
from canary.engine.observed import Query, Sample
from canary.kube.names import NamespacedName
from canary.ports import Metrics


def slot_of(at: datetime) -> int:
    """The second in which something is due, as seconds since 1970: a fraction belongs to the next one."""
    whole = int(at.timestamp())
    return whole + (at.microsecond > 0)


def time_of(slot: int) -> datetime:
    """The nominal time of a slot."""
    return datetime.fromtimestamp(slot, UTC)


def share(key: NamespacedName) -> float:
    """A number from 0 up to 1 that is always the same for a Canary, and spreads many of them evenly."""
    return crc32(f"{key[0]}/{key[1]}".encode()) / 2**32


def jitter(key: NamespacedName, interval: timedelta) -> timedelta:
    """What is added to the first evaluation of a rollout; whole seconds, less than its interval."""
    return timedelta(seconds=int(share(key) * min(SPREAD, interval).total_seconds()))


class Slots:
    """Each Canary is due once at most. Not for several threads at a time."""

    def __init__(self) -> None:
        self._due: dict[NamespacedName, int] = {}
        self._slots: dict[int, set[NamespacedName]] = {}

    def put(self, key: NamespacedName, slot: int) -> bool:
        """Makes it due then, and no longer at another time; True if no other Canary was due then."""
        self.drop(key)
        self._due[key] = slot
        first = slot not in self._slots
        self._slots.setdefault(slot, set()).add(key)
        return first

    def drop(self, key: NamespacedName) -> None:
        """Makes it due at no time."""
        slot = self._due.pop(key, None)
        if slot is not None:
            self._slots[slot].discard(key)

    def take(self, slot: int) -> Iterable[NamespacedName]:
        """Those that are due then, and no longer."""
        keys = self._slots.pop(slot, set())
        for key in keys:
            del self._due[key]
        return keys


@dataclass(frozen=True)
class Question:
    """What is asked together: of one source, over windows that end at one time."""

    source: Hashable
    at: datetime
    metrics: Metrics = field(compare=False)
    """The queries as the slot found them: a Canary that is edited or deleted afterwards must not change the answers
    of the others in the slot."""


@dataclass(frozen=True)
class Measured:
    """What a slot has measured, which counts for one evaluation only: the next one would count the same window
    again."""

    at: datetime | None = None
    """Of the evaluation; None where none was due that asks anything."""
    samples: Mapping[Query, Sample] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers(Metrics):
    """The port Metrics, for one reconcile: what its slot has measured already for this evaluation; the rest is asked
    now."""

    measured: Measured
    metrics: Metrics

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        known = self.measured.samples if at == self.measured.at else {}
        missing = [query for query in queries if query not in known]
        return {**known, **(self.metrics.measure(missing, at) if missing else {})}
