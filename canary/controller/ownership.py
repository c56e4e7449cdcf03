"""Which Canary may move which target: nothing moves while another client has it, or while an older Canary moves it.

The Lease of a target is taken before a rollout is saved or traffic moves. Usually that is the same moment. If a
rollout is taken over from another leader, there may be nothing to save before the first write, and a `canary run` may
have started while there was no leader. If a run holds the Lease, the Canary says so, and the controller tries again
later. The younger of two Canaries that want to move the same routes waits in the same way.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Protocol

from canary.api.reason import Reason
from canary.api.status import Status
from canary.engine.errors import CanaryError, Conflict, Rejected, Unreadable
from canary.engine.observed import Stored
from canary.kube.names import NamespacedName, ObjectRef
from canary.ports import Store
from canary.rollout.fencing import before_status
from canary.stores.canary import CanaryStore
from canary.stores.projection import CanarySeen

BELIEVED = 10.0
"""Seconds for which a known holder of the target counts as its holder."""


class HeldLease(Protocol):
    """What takes part in the Lease of a target: see `stores/lease.py`."""

    def acquire(self) -> None:
        """To hold it already is well. Raises Conflict, saying who runs; Unreachable, Rejected."""

    def release(self) -> None:
        """To hold nothing is well. Raises Conflict, Unreachable, Rejected."""

    def run(self) -> str:
        """The run that holds the target now, as a sentence; empty if none does. Raises Unreachable, Rejected."""


class Ownership(HeldLease, Protocol):
    """The Lease of a target, for one Canary."""

    @property
    def claimed(self) -> bool:
        """Whether it may be held: it was requested, not refused, and not released yet."""

    def leave(self) -> bool:
        """The Canary is gone, so it acquires nothing any more. Whether there may be something to release."""


@dataclass(frozen=True)
class Owners:
    """Who runs on one target now, or may."""

    uids: set[str] = field(default_factory=set)
    """Of Canary objects."""
    lock: Lock = field(default_factory=Lock)
    """No new owner while the last one releases the Lease: it would rely on a Lease that is free a moment later."""


@dataclass
class Joint:
    """The Lease of a target that several Canaries of one controller move, each its own host or routes."""

    lease: HeldLease
    owners: Owners
    """The same for all of them."""
    uid: str
    """Of the Canary object: another one of its name is another owner."""
    gone: bool = False

    def acquire(self) -> None:
        """See Ownership. Raises Conflict as well once the Canary is gone."""
        with self.owners.lock:
            self.owners.uids.add(self.uid)  # before it is asked for: where the answer is lost, it may be ours
            try:
                self._there()
                self.lease.acquire()
                self._there()
            except (Conflict, Rejected):
                self.owners.uids.discard(self.uid)
                raise

    def release(self) -> None:
        with self.owners.lock:
            if self.owners.uids <= {self.uid}:
                self.lease.release()
            self.owners.uids.discard(self.uid)

    @property
    def claimed(self) -> bool:
        return self.uid in self.owners.uids

    def run(self) -> str:
        return self.lease.run()

    def _there(self) -> None:
        if self.gone:
            raise Conflict("the Canary doesn't exist any more")

    def leave(self) -> bool:
        """Doesn't wait; a release waits for a running request."""
        self.gone = True
        return self.claimed


@dataclass
class OwnedStore(Store):
    """The port Store of one Canary, whose rollouts hold the target."""

    store: CanaryStore
    ownership: Ownership
    clock: Callable[[], float] = time.monotonic
    holds: bool = False
    _rival: str = ""
    _since: float = field(default=0.0)

    @property
    def rival(self) -> str:
        """The holder of the target, as a sentence; empty if none is known."""
        return self._rival if self.clock() - self._since < BELIEVED else ""

    def look(self) -> str:
        """As `rival`, for a Canary at rest: it takes no Lease, so the Lease is read, at most once in a while."""
        if self.clock() - self._since >= BELIEVED:
            self._rival, self._since = "", self.clock()
            with suppress(CanaryError):  # without an answer, no run is known
                self._rival = self.ownership.run()
        return self._rival

    def load(self) -> Stored | None:
        return self.store.load()

    def save(self, status: Status, version: str | None) -> str:
        """See the port. Raises Conflict as well where a rollout would run on the target of another client."""
        if status.rollout is not None:
            before_status(self)
        return self.store.save(status, version)

    def claim(self) -> None:
        """Requests the Lease, unless it is held, or another holder is known. Raises as the ownership."""
        if not self.holds and not self.rival:
            self._take()

    def complain(self, why: str, now: datetime, reason: Reason = Unreadable.reason) -> None:
        self.store.complain(why, now, reason)

    def release(self, reverts: bool = False) -> None:
        """No rollout is running: others may have the target, and the object may be deleted unless that `reverts`
        something first. Raises as the port.

        The finalizer goes last: a process that is killed in between leaves it, so the next one finds the Lease.
        """
        if self.ownership.claimed or (self.store.guarded and not reverts):
            self.ownership.release()
            self.holds = False
        if not reverts:
            self.store.release()

    def leave(self) -> bool:
        """The Canary is gone. Whether its ownership may have to be released."""
        self.holds = False
        return self.ownership.leave()

    def _take(self) -> None:
        try:
            self.ownership.acquire()
        except Conflict as error:
            self._rival, self._since = str(error), self.clock()
            raise
        self.holds = True


class References:
    """Which Canaries move which objects: those that they name, and those that these turned out to refer to.

    Safe to share between threads.
    """

    def __init__(self) -> None:
        self._keys: dict[str, dict[ObjectRef, set[NamespacedName]]] = {}
        """By namespace of an object, and by object."""
        self._refs: dict[NamespacedName, set[ObjectRef]] = {}
        self._lock = Lock()

    def add(self, key: NamespacedName, refs: Iterable[ObjectRef]) -> None:
        """It moves these as well; no news for a Canary that isn't known (any more)."""
        with self._lock:
            if key in self._refs:
                self._put(key, refs)

    def replace(self, key: NamespacedName, refs: Iterable[ObjectRef]) -> None:
        """It moves these, and no others that were known of it."""
        with self._lock:
            self._drop(key)
            self._refs[key] = set()
            self._put(key, refs)

    def remove(self, key: NamespacedName) -> None:
        """The Canary is gone."""
        with self._lock:
            self._drop(key)

    def of(self, *refs: ObjectRef) -> set[NamespacedName]:
        """Those that move any of these."""
        with self._lock:
            return {key for ref in refs for key in self._keys.get(ref.namespace, {}).get(ref, ())}

    def near(self, namespace: str) -> set[NamespacedName]:
        """Those that move something in a namespace."""
        with self._lock:
            return {key for keys in self._keys.get(namespace, {}).values() for key in keys}

    def _put(self, key: NamespacedName, refs: Iterable[ObjectRef]) -> None:
        for ref in refs:
            self._refs[key].add(ref)
            self._keys.setdefault(ref.namespace, {}).setdefault(ref, set()).add(key)

    def _drop(self, key: NamespacedName) -> None:
        for ref in self._refs.pop(key, ()):
            there = self._keys[ref.namespace]
            there[ref].discard(key)
            if not there[ref]:
                del there[ref]
            if not there:
                del self._keys[ref.namespace]


def older(
    key: NamespacedName, mine: CanarySeen, others: Iterable[tuple[NamespacedName, CanarySeen]]
) -> NamespacedName | None:
    """The oldest Canary that moves what this one wants to move, if it is older than this one."""
    rivals = [(one.created, other) for other, one in others if overlap(mine, one)]
    first = min(rivals, default=None)
    return first[1] if first is not None and first < (mine.created, key) else None


def overlap(one: CanarySeen, other: CanarySeen) -> bool:
    """Whether a route may be moved by both: they name the same object, and hosts don't part them.

    Routes don't: one that is under way moves on, even where its Canary doesn't name it any more.
    """
    return bool(set(one.refs) & set(other.refs)) and not (one.host and other.host and one.host != other.host)
