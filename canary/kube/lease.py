"""A Lease that is held: taken when it is free or expired, renewed, asked before each write, released.

First the arithmetic, which is pure: until when the holder may write, and from when on another may take over.

                 renewal sent, accepted                    holder dies, hangs, or loses contact
    holder:      |---- may write: deadline ----|
                 |   its last request may be under way:     |-- request --|
    another:          | sees the renewal      |------ duration ------|-- request --| takes over

Each side uses its own clock only, and only differences. What the holder sends last is sent before
`renewal + deadline` and given up after `request`; another waits `duration + request` after it saw the renewal, which
is after it was sent. So no other client writes while the last request of the holder is under way, as long as
`deadline + request <= duration`.

A holder that was frozen or lost contact may not write until it
renewed; once another one took over, never again. What it asked the guard for before it was frozen may still arrive:
one request, which names the version of the object that it read, so it succeeds only if no client wrote since.

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
from .errors import NotFound, VersionConflict
from .resources import LEASES


@dataclass(frozen=True)
class LeaseTerms:
    """All in seconds."""

    duration: int = 15
    """How long a lease counts without being renewed; whole seconds, because the Lease says so."""
    deadline: float = 10.0
    """How long after a renewal was sent its holder may write."""
    every: float = 2.0
    """Between two renewals, and between two reads of another holder's lease."""
    request: float = 5.0
    """What a request may take."""

    def __post_init__(self) -> None:
        if not 0 < self.every < self.deadline or self.deadline + self.request > self.duration:
            raise ValueError("a lease needs every < deadline and deadline + request <= duration")


@dataclass(frozen=True)
class LeadershipTerm:
    """A lease that is ours, by our clock."""

    terms: LeaseTerms
    renewed: float
    """When the last renewal that was accepted was sent."""

    def overdue(self, now: float) -> float:
        """Seconds since the last renewal, once there are too many to write; else 0."""
        since = now - self.renewed
        return since if since < 0 or since >= self.terms.deadline else 0.0


@dataclass(frozen=True)
class Sighting:
    """Another holder's lease, by our clock."""

    record: object
    """What it said; any change of it is a sign of life."""
    since: float
    """When we first saw it say so."""

    def seen(self, record: object, now: float) -> "Sighting":
        """After another evaluation."""
        return self if record == self.record else Sighting(record, now)

    def expires(self, duration: float, request: float) -> float:
        """When another may take it, if it stays as it is; `duration` as its holder wrote it."""
        return self.since + duration + request


log = logging.getLogger(__name__)
USUAL = LeaseTerms()
"""What is asked for."""
PARTING = 2.0
"""Seconds that a release may take: a process that ends doesn't wait longer for a server that doesn't answer."""


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
        terms: LeaseTerms = USUAL,
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
        self._leadership: LeadershipTerm | None = None
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
        if self._leadership is None:
            raise Conflict(f"{self.claim.what} isn't ours")
        overdue = self.overdue()
        if overdue:
            why = f": {self._trouble}" if self._trouble else ""
            raise Unreachable(f"the lock wasn't renewed for {overdue:.0f}s, so nothing is written{why}")

    def overdue(self) -> float:
        """Seconds since the last renewal, once there are too many to write; else 0."""
        return self._leadership.overdue(self.clock()) if self._leadership is not None else 0.0

    def read(self, client: Client | None = None) -> Object | None:
        """As it is there. Raises Unreachable, Rejected."""
        try:
            return (client or self._client).get(LEASES, self.claim.namespace, self.claim.name)
        except NotFound:
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
        except (VersionConflict, NotFound):
            self._look_again()
        except CanaryError as error:
            self._trouble = str(error)
        else:
            return True
        return False

    def release(self) -> None:
        """Lets the next one in at once; where that fails, it has to wait until the lease expires."""
        self._leadership = None
        parting = replace(self._hurried, timeout=min(PARTING, self.terms.request))
        with suppress(CanaryError):
            self._merge(self._version, {"holderIdentity": "", "renewTime": _now()}, parting)

    # ---- what differs by what it stands for -----------------------------------------------------------------

    def yields(self, found: Object) -> bool:
        """Whether no other client can be writing: the lease is free, or ours (the answer to our claim was lost)."""
        return holder_of(found) in ("", str(self.identity))

    def record(self, found: Object) -> object:
        """What stays as it is only while its holder shows no sign of life. Raises Unreachable, Rejected."""
        return found["spec"]

    def holder_sentence(self, found: Object) -> str:
        """Who holds it, as a sentence."""
        return f"{holder_of(found)} has {self.claim.what}, since {since(found)}"

    # ---------------------------------------------------------------------------------------------------------

    def _expired(self, found: Object) -> bool:
        record, before = self.record(found), self._sighting
        now = self.clock()
        self._sighting = (before or Sighting(record, now)).seen(record, now)
        self.rival, self.alive = self.holder_sentence(found), before is not None and self._sighting is not before
        duration = float(found["spec"].get("leaseDurationSeconds") or self.terms.duration)
        return now >= self._sighting.expires(duration, self.terms.request)

    def _take(self, found: Object | None) -> bool:
        """As it was read; False if another client was faster."""
        sent, claim = self.clock(), self.claim
        try:
            if found is None:
                body = {"metadata": claim.metadata, "spec": self._mine(None)}
                taken = self._client.create(LEASES, claim.namespace, body)
            else:
                taken = self._merge(found["metadata"]["resourceVersion"], self._mine(found))
        except VersionConflict:
            return False
        self._renewed(taken, sent)
        return True

    def _look_again(self) -> None:
        """After a renewal met another version: another client has it, or only a label changed."""
        try:
            found = self.read(self._hurried)
        except CanaryError as error:
            self._trouble = str(error)
            return
        if found is not None and holder_of(found) == str(self.identity):
            self._version = found["metadata"]["resourceVersion"]
            return
        who = self.holder_sentence(found) if found is not None and holder_of(found) else "the lock was taken away"
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
        self._leadership = LeadershipTerm(self.terms, sent)


def renewing(lease: Lease, finished: threading.Event, lost: Callable[[], None]) -> None:
    """Renews it until `finished`; calls `lost` and ends once it is over for good."""
    pause = lease.terms.every
    while not finished.wait(pause):
        try:
            renewed = lease.renew()
        except Exception:  # any error: a leader that isn't renewed must hear that its term is over
            log.exception("%s can't be renewed", lease.claim)
            renewed = False
        pause = lease.terms.every if renewed else lease.terms.every / 4
        if lease.lost:
            return lost()


def holder_of(found: Object) -> str:
    """The holder of a Lease; empty if it is free."""
    return str((found.get("spec") or {}).get("holderIdentity") or "")


def since(found: Object) -> str:
    """When it was taken, to the second."""
    return f"{str(found['spec'].get('acquireTime') or '')[:19]}+00:00"


def _now() -> str:
    """As Kubernetes' MicroTime has it; for people only."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
