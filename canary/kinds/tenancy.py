"""Nothing moves while somebody else has the target: its Lease is taken before a rollout is saved or traffic is moved.

Usually that is one and the same moment. Where a rollout is taken over from another leader there may be nothing to
save before the first write, and a run of the command may have come while nobody led. A run that holds the Lease is
left alone: the Canary says so, and asks again after a while.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Protocol

from canary.api.status import Status
from canary.engine.errors import Conflict, Rejected, Unreadable
from canary.engine.observed import Stored

from .store import CanaryStore

BELIEVED = 10.0
"""Seconds for which somebody who had the target is believed to have it still."""


class TargetLease(Protocol):
    """What takes part in the Lease of a target: see `stores/lease.py`."""

    def acquire(self) -> None: ...

    def release(self) -> None: ...


class Tenancy(Protocol):
    """The Lease of a target, for one Canary."""

    def acquire(self) -> None:
        """To hold it already is well. Raises Conflict, saying who runs; Unreachable, Rejected."""

    def release(self) -> None:
        """To hold nothing is well. Raises Conflict, Unreachable, Rejected."""

    @property
    def claimed(self) -> bool:
        """Whether it may be held: it was asked for, nobody said no, and it isn't given back yet."""

    def leave(self) -> bool:
        """The Canary is gone, so it acquires nothing any more. Whether there may be something to release."""


@dataclass(frozen=True)
class Tenants:
    """Who runs on one target now, or may."""

    uids: set[str] = field(default_factory=set)
    """Of Canary objects."""
    lock: Lock = field(default_factory=Lock)
    """Nobody comes while the last one gives the Lease back: he would rely on one that is free a moment later."""


@dataclass
class Joint:
    """The Lease of a target that several Canaries of one controller move, each its own host or routes."""

    lease: TargetLease
    tenants: Tenants
    """The same for all of them."""
    uid: str
    """Of the Canary object: another one of its name is another tenant."""
    gone: bool = False

    def acquire(self) -> None:
        """See Tenancy. Raises Conflict as well once the Canary is gone."""
        with self.tenants.lock:
            self.tenants.uids.add(self.uid)  # before it is asked for: where the answer is lost, it may be ours
            try:
                self._there()
                self.lease.acquire()
                self._there()
            except (Conflict, Rejected):
                self.tenants.uids.discard(self.uid)
                raise

    def release(self) -> None:
        """See Tenancy."""
        with self.tenants.lock:
            if self.tenants.uids <= {self.uid}:
                self.lease.release()
            self.tenants.uids.discard(self.uid)

    @property
    def claimed(self) -> bool:
        """See Tenancy."""
        return self.uid in self.tenants.uids

    def _there(self) -> None:
        if self.gone:
            raise Conflict("the Canary isn't there any more")

    def leave(self) -> bool:
        """See Tenancy. Waits for nobody: a release waits for what is just being asked for."""
        self.gone = True
        return self.claimed


@dataclass
class TenantStore:
    """The port Store of one Canary, whose rollouts hold the target."""

    store: CanaryStore
    tenancy: Tenancy
    clock: Callable[[], float] = time.monotonic
    holds: bool = False
    _rival: str = ""
    _since: float = field(default=0.0)

    @property
    def rival(self) -> str:
        """Who has the target instead, as a sentence; empty where nobody is known to."""
        return self._rival if self.clock() - self._since < BELIEVED else ""

    def load(self) -> Stored | None:
        """See the port."""
        return self.store.load()

    def save(self, status: Status, version: str | None) -> str:
        """See the port. Raises Conflict as well where a rollout would run on somebody else's target."""
        if status.rollout is not None:
            self.claim()
        return self.store.save(status, version)

    def claim(self) -> None:
        """Asks for the Lease, unless it is held, or somebody is believed to have it. Raises as the tenancy."""
        if not self.holds and not self.rival:
            self._take()

    def complain(self, why: str, now: datetime, reason: str = Unreadable.reason) -> None:
        """See CanaryStore."""
        self.store.complain(why, now, reason)

    def release(self) -> None:
        """No rollout is running: others may have the target, and the object may be deleted. Raises as the port.

        The finalizer goes last: whoever is killed in between leaves it, and so the Lease is looked for again.
        """
        if self.tenancy.claimed or self.store.guarded:
            self.tenancy.release()
            self.holds = False
        self.store.release()

    def leave(self) -> bool:
        """The Canary is gone. Whether its tenancy may have to be released."""
        self.holds = False
        return self.tenancy.leave()

    def _take(self) -> None:
        try:
            self.tenancy.acquire()
        except Conflict as error:
            self._rival, self._since = str(error), self.clock()
            raise
        self.holds = True
