"""One run at a time in a cluster: a Lease for each target, renewed by a thread, asked before each write.

`tenure.py` has the arithmetic and why it is safe. A holder that was frozen or lost contact may not write until it
renewed; once another one took over, never again. What it asked the guard for before it was frozen may still arrive:
one request, which names the version of the object that it read, so it lands only where nobody wrote since.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from canary.engine.errors import CanaryError, Conflict, Unreachable
from canary.kube.client import Client, Object
from canary.kube.errors import Absent, Changed
from canary.kube.resources import LEASES

from .objects import Objects
from .tenure import Sighting, Tenure, Terms

USUAL = Terms()
"""What a run asks for."""


def boottime() -> float:
    """Seconds; goes on while the machine sleeps, which CLOCK_MONOTONIC doesn't."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Identity:
    """Who runs."""

    host: str
    pid: int
    run: str
    """Of this run only: a process id comes again."""

    @classmethod
    def mine(cls) -> "Identity":
        return cls(socket.gethostname(), os.getpid(), secrets.token_hex(4))

    def __str__(self) -> str:
        return f"{self.host}_{self.pid}_{self.run}"


class Lease:
    """The lock of one target. `check` is the guard; the other methods are for the thread that `held` starts."""

    def __init__(
        self,
        client: Client,
        objects: Objects,
        identity: Identity,
        terms: Terms = USUAL,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self.terms = terms
        self.identity = identity
        self.clock = clock
        self._client = replace(client, timeout=self.terms.request)
        self._objects = objects
        self._version = ""
        self._tenure: Tenure | None = None
        self._taken: str | None = None
        """Who has it instead."""
        self._trouble = ""

    def check(self) -> None:
        """May I still write? Raises Conflict once another run has the lock, Unreachable while it isn't renewed."""
        if self._taken is not None:
            raise Conflict(self._taken)
        if self._tenure is None:
            raise Conflict(f"this run doesn't hold the lock of {self._objects.kind} {self._objects.target}")
        overdue = self._tenure.overdue(self.clock())
        if overdue:
            why = f": {self._trouble}" if self._trouble else ""
            raise Unreachable(f"the lock wasn't renewed for {overdue:.0f}s, so nothing is written{why}")

    def read(self) -> Object | None:
        """As it is there. Raises Unreachable, Rejected."""
        try:
            return self._client.get(LEASES, self._objects.namespace, self._objects.name)
        except Absent:
            return None

    def take(self, found: Object | None) -> bool:
        """Takes it as it was read, free or expired; False where somebody was faster. Raises Unreachable, Rejected."""
        sent, objects = self.clock(), self._objects
        try:
            if found is None:
                body = {"metadata": objects.metadata(objects.name, "lock"), "spec": self._mine(None)}
                taken = self._client.create(LEASES, objects.namespace, body)
            else:
                taken = self._merge(found["metadata"]["resourceVersion"], self._mine(found))
        except Changed:
            return False
        self._renewed(taken, sent)
        return True

    def renew(self) -> bool:
        """Tries once; False where it wasn't renewed, and why shows in `check`."""
        sent = self.clock()
        try:
            self._renewed(self._merge(self._version, {"renewTime": _now()}), sent)
        except (Changed, Absent):
            self._look_again()
        except CanaryError as error:
            self._trouble = str(error)
        else:
            return True
        return False

    def release(self) -> None:
        """Lets the next one in at once; where that fails, it has to wait until the lease expires."""
        self._tenure = None
        with suppress(CanaryError):
            self._merge(self._version, {"holderIdentity": "", "renewTime": _now()})

    def _look_again(self) -> None:
        """After a renewal met another version: somebody else has it, or only a label changed."""
        try:
            found = self.read()
        except CanaryError as error:
            self._trouble = str(error)
            return
        if found is not None and holder_of(found) == str(self.identity):
            self._version = found["metadata"]["resourceVersion"]
            return
        who = told(found) if found is not None and holder_of(found) else "the lock was taken away"
        self._taken = f"{who}; this run writes nothing any more"

    def _mine(self, found: Object | None) -> dict[str, Any]:
        """The spec of a lease that becomes ours."""
        before = (found or {}).get("spec") or {}
        transitions = int(before.get("leaseTransitions") or 0) + 1 if found is not None else 0
        now = _now()
        return {
            "holderIdentity": str(self.identity),
            "leaseDurationSeconds": self.terms.duration,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    def _merge(self, version: str, spec: dict[str, Any]) -> Object:
        return self._client.merge(LEASES, self._objects.namespace, self._objects.name, version, {"spec": spec})

    def _renewed(self, found: Object, sent: float) -> None:
        self._version, self._trouble = found["metadata"]["resourceVersion"], ""
        self._tenure = Tenure(self.terms, sent)


@contextmanager
def held(lease: Lease, patience: float = 0.0, wait: Callable[[float], None] = time.sleep) -> Iterator[Lease]:
    """Holds the lock while the block runs, and renews it.

    `patience` is how many seconds to wait for a run that is alive (--wait-for-lock). One that shows no sign of life
    is always waited for, until its lease expired. Raises Conflict, saying who runs and since when; Unreachable,
    Rejected.
    """
    acquire(lease, patience, wait)
    over = threading.Event()
    thread = threading.Thread(target=_renewing, args=(lease, over), name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        over.set()
        thread.join(lease.terms.request + 1)
        lease.release()


def acquire(lease: Lease, patience: float, wait: Callable[[float], None]) -> None:
    """Without a thread that renews. Raises as `held` does."""
    until, sighting = lease.clock() + patience, None
    while True:
        try:
            found = lease.read()
            if _free(found, sighting, lease) and lease.take(found):
                return
        except Unreachable:
            if lease.clock() >= until:
                raise
        else:
            before, sighting = sighting, _sighting(found, sighting, lease.clock())
            alive = before is not None and sighting is not None and sighting != before
            if found is not None and alive and lease.clock() >= until:
                raise Conflict(told(found))
        wait(lease.terms.every / 2)


def _sighting(found: Object | None, before: Sighting | None, now: float) -> Sighting | None:
    """Of a lease that somebody holds, after another look at it."""
    if found is None or not holder_of(found):
        return None
    return (before or Sighting(found["spec"], now)).seen(found["spec"], now)


def _free(found: Object | None, sighting: Sighting | None, lease: Lease) -> bool:
    """Nobody holds it, or it stood as it is for as long as its holder could still have written."""
    now = lease.clock()
    seen = _sighting(found, sighting, now)
    if found is None or seen is None:
        return True
    duration = float(found["spec"].get("leaseDurationSeconds") or lease.terms.duration)
    return now >= seen.expires(duration, lease.terms.request)


def holder_of(found: Object) -> str:
    """The identity in a Lease; empty where nobody holds it."""
    return str((found.get("spec") or {}).get("holderIdentity") or "")


def told(found: Object) -> str:
    """Who runs and since when."""
    host, _, rest = holder_of(found).rpartition("_")[0].rpartition("_")
    since = str(found["spec"].get("acquireTime") or "")[:19]
    who = f"process {rest} on {host}" if host else holder_of(found)
    return f"another run holds the target: {who}, since {since}+00:00"


def holder(lease: Lease, now: datetime) -> str | None:
    """Who runs and since when, or None where nobody does; by one look, so a run that just died counts as alive.

    For people, not for safety: it compares the holder's clock with `now`. Raises Unreachable, Rejected.
    """
    found = lease.read()
    if found is None or not holder_of(found):
        return None
    spec = found["spec"]
    silent = (now - datetime.fromisoformat(spec["renewTime"])).total_seconds() if spec.get("renewTime") else 0.0
    return None if silent > float(spec.get("leaseDurationSeconds") or 0) + lease.terms.request else told(found)


def _renewing(lease: Lease, over: threading.Event) -> None:
    pause = lease.terms.every
    while not over.wait(pause):
        pause = lease.terms.every if lease.renew() else lease.terms.every / 4


def _now() -> str:
    """As Kubernetes' MicroTime has it; for people only."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
