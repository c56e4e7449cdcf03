"""One at a time on a target: its Lease, held by a run that renews it, or in the name of the controller's leader.

    run         holderIdentity: ci-runner_4711_3f2a9c01                        alive while it is renewed
    controller  holderIdentity: canary-7f_1_99ab12cd@canary-system/canary      alive while that Lease is, by whichever
                                                                               replica: it must take this one anew

So a controller writes it at the start and the end of a rollout, and once more for each that runs when another replica
leads. Both sides take it as it was read, or not at all. `kube/lease.py` carries this out.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from canary.engine.errors import Conflict, Unreachable
from canary.kube import lease as kube
from canary.kube.client import Client, Object
from canary.kube.errors import Absent, Forbidden
from canary.kube.lease import USUAL, Claim, Identity, boottime, holder_of, renewing, since
from canary.kube.resources import LEASES
from canary.kube.tenure import Terms

from .objects import Objects


class Lease(kube.Lease):
    """The lock of one target, held by a run."""

    def __init__(
        self,
        client: Client,
        objects: Objects,
        identity: Identity,
        terms: Terms = USUAL,
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
            self._doubt = f" (whether it is alive can't be told: {error})"
            return object()

    def leader(self, leader: str) -> Object | None:
        """The spec of the Lease that a controller leads by; None where there is none. Raises Forbidden and others."""
        namespace, _, name = leader.partition("/")
        try:
            return self._client.get(LEASES, namespace, name).get("spec")
        except Absent:
            return None

    def told(self, found: Object) -> str:
        return told(found) + self._doubt


class TargetLease(Lease):
    """The lock of one target, held in the name of a leader. Only its start and end are written."""

    def __init__(self, client: Client, objects: Objects, leader: kube.Lease) -> None:
        """`leader`: the Lease of the term in which we lead; its `check` guards all that is written here."""
        identity = replace(leader.identity, leader=str(leader.claim))
        super().__init__(client.guarded(leader.check), objects, identity, leader.terms, leader.clock)

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

    def yields(self, found: Object) -> bool:
        """Also what the replica held that led before us: it is gone, or we wouldn't lead."""
        return super().yields(found) or leader_of(found) == self.identity.leader


@contextmanager
def held(lease: Lease, patience: float = 0.0, wait: Callable[[float], None] = time.sleep) -> Iterator[Lease]:
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


def acquire(lease: Lease, patience: float, wait: Callable[[float], None]) -> None:
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


def told(found: Object) -> str:
    """Who runs and since when."""
    mine, _, leader = holder_of(found).partition("@")
    host, _, pid = mine.rpartition("_")[0].rpartition("_")
    if leader:
        return f"the controller holds the target: {host or mine}, by Lease {leader}, since {since(found)}"
    who = f"process {pid} on {host}" if host else mine
    return f"another run holds the target: {who}, since {since(found)}"


def holder(lease: Lease, now: datetime) -> str | None:
    """Who runs and since when, or None where nobody does; by one look, so a run that just died counts as alive.

    For people, not for safety: it compares the holder's clock with `now`. Raises Unreachable, Rejected.
    """
    found = lease.read()
    if found is None or not holder_of(found):
        return None
    spec, leader = found["spec"], leader_of(found)
    if leader:
        try:
            spec = lease.leader(leader) or {"renewTime": spec.get("renewTime"), "leaseDurationSeconds": 0}
        except Forbidden:
            return told(found)
    renewed = spec.get("renewTime")
    silent = (now - datetime.fromisoformat(renewed)).total_seconds() if renewed else 0.0
    return None if silent > float(spec.get("leaseDurationSeconds") or 0) + lease.terms.request else told(found)
