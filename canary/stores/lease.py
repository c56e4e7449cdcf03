"""One at a time on a target: its Lease, held by a run that renews it, or in the name of the controller's leader.

    run         holderIdentity: ci-runner_4711_3f2a9c01                        alive while it is renewed
    controller  holderIdentity: canary-7f_1_99ab12cd@canary-system/canary      alive while that Lease is, by whichever
                                                                               replica: it must take this one again

So a controller writes it at the start and the end of a rollout, and once more for each that runs when another replica
leads. Both sides take it as it was read, or not at all. `kube/lease.py` carries this out.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from canary.engine.errors import Conflict, Unreachable
from canary.kube import lease as kube
from canary.kube.client import Client, Object
from canary.kube.errors import Forbidden, NotFound
from canary.kube.lease import USUAL, Claim, Identity, LeaseTerms, boottime, holder_of, renewing, since
from canary.kube.resources import LEASES

from .objects import Objects


class RunLease(kube.Lease):
    """The lock of one target, held by a run."""

    def __init__(
        self,
        client: Client,
        objects: Objects,
        identity: Identity,
        terms: LeaseTerms = USUAL,
        clock: Callable[[], float] = boottime,
    ) -> None:
        what = f"the lock of {objects.kind} {objects.target}"
        claim = Claim(objects.namespace, objects.name, what, objects.metadata(objects.name, "lock"))
        super().__init__(client, claim, identity, terms, clock)
        self._doubt = ""

    def record(self, found: Object) -> object:
        """Of what a leader holds: what the leader's Lease says. One that may not be read counts as alive."""
        leader = leader_of(found)
        self._doubt = ""
        if not leader:
            return found["spec"]
        try:
            return found["spec"], self.leader(leader)
        except Forbidden as error:
            self._doubt = f" (it isn't known whether it is alive: {error})"
            return object()

    def leader(self, leader: str) -> Object | None:
        """The spec of the Lease that a controller leads by; None where there is none. Raises Forbidden and others."""
        namespace, _, name = leader.partition("/")
        try:
            return self._client.get(LEASES, namespace, name).get("spec")
        except NotFound:
            return None

    def holder_sentence(self, found: Object) -> str:
        return holder_sentence(found) + self._doubt


class TargetLease(RunLease):
    """The lock of one target, held in the name of a leader. Only its start and end are written."""

    def __init__(self, client: Client, objects: Objects, leader: kube.Lease) -> None:
        """`leader`: the Lease of the term in which we lead; the fence of the client should ask it."""
        identity = replace(leader.identity, leader=str(leader.claim))
        super().__init__(client, objects, identity, leader.terms, leader.clock)

    def acquire(self) -> None:
        """Before the first write to a target in this term; costs a write only where it isn't ours already.

        Raises Conflict, saying who has it: try again later with the same object, which remembers since when a holder
        shows no sign of life. Raises Unreachable, Rejected.
        """
        found = self.read()
        if found is not None and holder_of(found) == str(self.identity):
            return
        if not self.attempt():
            raise Conflict(self.rival or f"{self.claim.what} was taken by another just now")

    def release(self) -> None:
        """At the end of a rollout. Leaves what isn't ours. Raises Conflict, Unreachable, Rejected: try again."""
        found = self.read()
        if found is None or leader_of(found) != self.identity.leader:
            return
        self._merge(found["metadata"]["resourceVersion"], {"holderIdentity": ""})

    def run(self) -> str:
        """The run that holds the target now, as a sentence; empty if none does. Raises Unreachable, Rejected."""
        found = holding(self, datetime.now(UTC))
        return found.sentence if found is not None and found.alive and not found.leader else ""

    def yields(self, found: Object) -> bool:
        """Also what the replica held that led before us: it is gone, or we wouldn't lead."""
        return super().yields(found) or leader_of(found) == self.identity.leader


@contextmanager
def held(lease: RunLease, patience: float = 0.0, wait: Callable[[float], None] = time.sleep) -> Iterator[RunLease]:
    """Holds the lock while the block runs, and renews it.

    `patience` is how many seconds to wait for a run that is alive (--wait-for-lock). One that shows no sign of life
    is always waited for, until its lease expired. Raises Conflict, saying who runs and since when; Unreachable,
    Rejected.
    """
    acquire(lease, patience, wait)
    over = threading.Event()
    thread = threading.Thread(target=renewing, args=(lease, over, over.set), name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        over.set()
        thread.join(lease.terms.request + 1)
        lease.release()


def acquire(lease: RunLease, patience: float, wait: Callable[[float], None]) -> None:
    """Without a thread that renews. Raises as `held` does."""
    until = lease.clock() + patience
    while True:
        try:
            if lease.attempt():
                return
        except Unreachable:
            if lease.clock() >= until:
                raise
        else:
            if lease.alive and lease.clock() >= until:
                raise Conflict(lease.rival)
        wait(lease.terms.every / 2)


def leader_of(found: Object) -> str:
    """`namespace/name` of the Lease in whose name it is held; empty for a run's."""
    return holder_of(found).partition("@")[2]


def named(identity: str) -> str:
    """The process behind an identity, in words; empty for none."""
    mine, _, leader = identity.partition("@")
    host, _, pid = mine.rpartition("_")[0].rpartition("_")
    if leader:
        return f"the controller {host or mine}"
    return f"process {pid} on {host}" if host else mine


def holder_sentence(found: Object) -> str:
    """Who runs and since when."""
    mine, _, leader = holder_of(found).partition("@")
    host, _, pid = mine.rpartition("_")[0].rpartition("_")
    if leader:
        return f"the controller holds the target: {host or mine}, by Lease {leader}, since {since(found)}"
    who = f"process {pid} on {host}" if host else mine
    return f"another run holds the target: {who}, since {since(found)}"


@dataclass(frozen=True)
class Holder:
    """Who moves a target now, or moved it last. For people, not for safety: it compares clocks of two machines."""

    alive: bool
    who: str
    """`process 4711 on ci`, `the controller canary-7f`; empty where the last one has let go of it."""
    leader: str
    """`namespace/name` of the Lease that a controller leads by; empty for a run."""
    seen: datetime | None
    """Its last sign of life, where that is known."""
    sentence: str


def holding(lease: RunLease, now: datetime) -> Holder | None:
    """Who has the target, dead or alive; None where its Lease is missing. Raises Unreachable, Rejected."""
    found = lease.read()
    if found is None:
        return None
    spec, leader, held = found["spec"], leader_of(found), holder_of(found)
    who = named(held)
    if leader:
        try:
            spec = lease.leader(leader) or {**spec, "leaseDurationSeconds": 0}
        except Forbidden:
            return Holder(True, who, leader, None, holder_sentence(found))
        held = str(spec.get("holderIdentity") or "")
        who = named(f"{held}@{leader}") if held else who
    seen = datetime.fromisoformat(spec["renewTime"]) if spec.get("renewTime") else None
    allowed = float(spec.get("leaseDurationSeconds") or 0) + lease.terms.request
    alive = bool(held) and (seen is None or (now - seen).total_seconds() <= allowed)
    return Holder(alive, who, leader, seen, holder_sentence(found) if holder_of(found) else "")


def holder(lease: RunLease, now: datetime) -> str | None:
    """The run and its start, or None; by one read, so a run that just died counts as alive.

    Raises Unreachable, Rejected.
    """
    found = holding(lease, now)
    return found.sentence if found is not None and found.alive else None
