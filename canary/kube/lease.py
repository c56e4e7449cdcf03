"""A Lease that is held: taken when it is free or expired, renewed, asked before each write, released.

`tenure.py` has the arithmetic and why it is safe. A holder that was frozen or lost contact may not write until it
renewed; once another one took over, never again. What it asked the guard for before it was frozen may still arrive:
one request, which names the version of the object that it read, so it lands only where nobody wrote since.

`election.py` leads by one, `stores/lease.py` has those of targets.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from canary.engine.errors import CanaryError, Conflict, Unreachable

from .client import Client, Object
from .errors import Absent, Changed
from .resources import LEASES
from .tenure import Sighting, Tenure, Terms

log = logging.getLogger(__name__)
USUAL = Terms()
"""What is asked for."""
PARTING = 2.0
"""Seconds that a release may take: whoever ends doesn't wait longer for a server that doesn't answer."""


def boottime() -> float:
    """Seconds; goes on while the machine sleeps, which CLOCK_MONOTONIC doesn't."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Identity:
    """Who holds it."""

    host: str
    pid: int
    run: str
    """Of this run or term only: a process id comes again."""
    leader: str = ""
    """`namespace/name` of the Lease that a controller leads by, for what it holds as long as it leads."""

    @classmethod
    def mine(cls) -> "Identity":
        return cls(socket.gethostname(), os.getpid(), secrets.token_hex(4))

    def __str__(self) -> str:
        mine = f"{self.host}_{self.pid}_{self.run}"
        return f"{mine}@{self.leader}" if self.leader else mine


@dataclass(frozen=True)
class Claim:
    """Which Lease."""

    namespace: str
    name: str
    what: str
    """It stands for, in a sentence: `the lock of VirtualService reviews`."""
    metadata: Mapping[str, object]
    """Of a new one."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Lease:
    """`check` is the guard; the other methods are for one thread at a time."""

    def __init__(
        self,
        client: Client,
        claim: Claim,
        identity: Identity,
        terms: Terms = USUAL,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self.claim = claim
        self.identity = identity
        self.terms = terms
        self.clock = clock
        self.rival = ""
        """Who had it at the last attempt, as a sentence."""
        self.alive = False
        """Whether that one showed a sign of life between two attempts."""
        self._client = replace(client, timeout=terms.request)
        self._hurried = self._client.urgent()
        """For what keeps it: a pause that the server asks of others must not cost it, and so the writes to come."""
        self._version = ""
        self._tenure: Tenure | None = None
        self._sighting: Sighting | None = None
        self._taken: str | None = None
        """Why it is over for good."""
        self._trouble = ""

    @property
    def lost(self) -> bool:
        """Whether it is over for good."""
        return self._taken is not None

    def check(self) -> None:
        """May I still write? Raises Conflict once it is another's, Unreachable while it isn't renewed."""
        if self._taken is not None:
            raise Conflict(self._taken)
        if self._tenure is None:
            raise Conflict(f"{self.claim.what} isn't ours")
        overdue = self.overdue()
        if overdue:
            why = f": {self._trouble}" if self._trouble else ""
            raise Unreachable(f"the lock wasn't renewed for {overdue:.0f}s, so nothing is written{why}")

    def overdue(self) -> float:
        """Seconds since the last renewal, once there are too many to write; else 0."""
        return self._tenure.overdue(self.clock()) if self._tenure is not None else 0.0

    def read(self, client: Client | None = None) -> Object | None:
        """As it is there. Raises Unreachable, Rejected."""
        try:
            return (client or self._client).get(LEASES, self.claim.namespace, self.claim.name)
        except Absent:
            return None

    def attempt(self) -> bool:
        """Takes it if it is free, or stood as it is for as long as its holder could still have written.

        Must be called again and again to know the latter. Raises Unreachable, Rejected.
        """
        found = self.read()
        if found is None or self.yields(found):
            self._sighting, free = None, True
        else:
            free = self._expired(found)
        if free and self._take(found):
            self.rival, self.alive, self._sighting = "", False, None
            return True
        return False

    def renew(self) -> bool:
        """Tries once; False where it wasn't renewed, and why shows in `check`."""
        sent = self.clock()
        try:
            self._renewed(self._merge(self._version, {"renewTime": _now()}, self._hurried), sent)
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
        parting = replace(self._hurried, timeout=min(PARTING, self.terms.request))
        with suppress(CanaryError):
            self._merge(self._version, {"holderIdentity": "", "renewTime": _now()}, parting)

    # ---- what differs by what it stands for -----------------------------------------------------------------

    def yields(self, found: Object) -> bool:
        """Whether nobody else can be writing: nobody holds it, or we do (the answer to our claim got lost)."""
        return holder_of(found) in ("", str(self.identity))

    def record(self, found: Object) -> object:
        """What stays as it is only while its holder shows no sign of life. Raises Unreachable, Rejected."""
        return found["spec"]

    def told(self, found: Object) -> str:
        """Who holds it, as a sentence."""
        return f"{holder_of(found)} has {self.claim.what}, since {since(found)}"

    # ---------------------------------------------------------------------------------------------------------

    def _expired(self, found: Object) -> bool:
        record, before = self.record(found), self._sighting
        now = self.clock()
        self._sighting = (before or Sighting(record, now)).seen(record, now)
        self.rival, self.alive = self.told(found), before is not None and self._sighting is not before
        duration = float(found["spec"].get("leaseDurationSeconds") or self.terms.duration)
        return now >= self._sighting.expires(duration, self.terms.request)

    def _take(self, found: Object | None) -> bool:
        """As it was read; False where somebody was faster."""
        sent, claim = self.clock(), self.claim
        try:
            if found is None:
                body = {"metadata": claim.metadata, "spec": self._mine(None)}
                taken = self._client.create(LEASES, claim.namespace, body)
            else:
                taken = self._merge(found["metadata"]["resourceVersion"], self._mine(found))
        except Changed:
            return False
        self._renewed(taken, sent)
        return True

    def _look_again(self) -> None:
        """After a renewal met another version: somebody else has it, or only a label changed."""
        try:
            found = self.read(self._hurried)
        except CanaryError as error:
            self._trouble = str(error)
            return
        if found is not None and holder_of(found) == str(self.identity):
            self._version = found["metadata"]["resourceVersion"]
            return
        who = self.told(found) if found is not None and holder_of(found) else "the lock was taken away"
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

    def _merge(self, version: str, spec: dict[str, Any], client: Client | None = None) -> Object:
        return (client or self._client).merge(LEASES, self.claim.namespace, self.claim.name, version, {"spec": spec})

    def _renewed(self, found: Object, sent: float) -> None:
        self._version, self._trouble = found["metadata"]["resourceVersion"], ""
        self._tenure = Tenure(self.terms, sent)


def renewing(lease: Lease, finished: threading.Event, lost: Callable[[], None]) -> None:
    """Renews it until `finished`; calls `lost` and ends once it is over for good."""
    pause = lease.terms.every
    while not finished.wait(pause):
        try:
            renewed = lease.renew()
        except Exception:  # whatever it is: a leader that isn't renewed must hear that its term is over
            log.exception("%s can't be renewed", lease.claim)
            renewed = False
        pause = lease.terms.every if renewed else lease.terms.every / 4
        if lease.lost:
            return lost()


def holder_of(found: Object) -> str:
    """The identity in a Lease; empty where nobody holds it."""
    return str((found.get("spec") or {}).get("holderIdentity") or "")


def since(found: Object) -> str:
    """When it was taken, to the second."""
    return f"{str(found['spec'].get('acquireTime') or '')[:19]}+00:00"


def _now() -> str:
    """As Kubernetes' MicroTime has it; for people only."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
