"""All that must hold before a write reaches an API server, in order: the file to read for who may write what.

    before traffic is written        BEFORE_TRAFFIC     may ask the server, and costs nothing while nothing is written
    before a status is saved         BEFORE_STATUS
    before each request is sent      BEFORE_EACH_REQUEST, by what the client is for; asks memory only
    in the request itself            the resourceVersion that was read, or `test` operations on it: routers and stores
                                     put them in, and the server refuses the write where they don't hold

A client refuses to write (`kube/client.py`), unless it comes from a `Fence`; nothing else makes one that writes.
The files of a run without a cluster are written under a lock of the kernel, which can't be lost (`stores/lock.py`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Protocol, TypeVar

from canary.api.plan import Traffic
from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.engine.observed import Missing, RouteSeen
from canary.kube.client import Client
from canary.kube.requests import Request
from canary.kube.resources import (
    CANARIES,
    CANARY_ACTIONS,
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    SCALERS,
    SECRETS,
    SERVICES,
    Resource,
)
from canary.ports import Router
from canary.registry import CLUSTER, PROVISIONED

C = TypeVar("C", bound=Client)


class TargetOwner(Protocol):
    """The ownership of a target by one Canary."""

    @property
    def rival(self) -> str:
        """The holder of the target, as a sentence; empty if none is known."""

    def claim(self) -> None:
        """Takes the Lease of the target, unless it is held. Raises Conflict, Rejected, Unreachable."""


def always() -> None:
    """The leadership of a writer that needs none."""


def any_build(_version: str) -> bool:
    """The answer about a build for a writer that reads everything from the server anyway."""
    return True


@dataclass
class Fence:
    """One writer, as far as the checks ask it."""

    leads: Callable[[], None] = always
    """Raises Conflict once this process doesn't lead or hold the lock of its run any more, Unreachable while that is
    in doubt."""
    owner: TargetOwner | None = None
    """None for a run, whose lock is that of the target."""
    same_build: Callable[[str], bool] = any_build
    """Whether the server still says of the build behind a version what was read. Raises NotFound and others."""
    passed: bool = False
    """Whether the checks before traffic were made for the write that is under way."""

    def client(self, client: C, purpose: "Purpose") -> C:
        """The same client, for writes of one purpose."""
        return client.fenced(partial(before_request, self, purpose))

    def primary(self) -> AbstractContextManager[None]:
        """The same for writes to a primary and what belongs to it; none of them moves traffic to the canary."""
        return self.traffic(Write())

    @contextmanager
    def traffic(self, write: "Write") -> Iterator[None]:
        """Makes the checks before traffic, and lets its requests through meanwhile. Raises what they raise."""
        for check in BEFORE_TRAFFIC:
            check(self, write)
        self.passed = True
        try:
            yield
        finally:
            self.passed = False


@dataclass(frozen=True)
class Write:
    """What is about to be written."""

    decreases: bool = False
    """Whether it takes the canary out of traffic."""
    canary: str = ""
    """The version that traffic goes to; empty for a write that sends it none."""


Check = Callable[[Fence, Write], None]


def build_is_the_same(fence: Fence, write: Write) -> None:
    """What increases exposure stands on the build that is there now: the watch may be late."""
    if write.canary and not write.decreases and not fence.same_build(write.canary):
        raise Conflict(f"the workload behind {write.canary} has changed since it was read")


def target_is_owned(fence: Fence, write: Write) -> None:
    """The Lease of the target is ours. If that can't be read, exposure is still decreased."""
    if fence.owner is None:
        return
    try:
        fence.owner.claim()
    except (Rejected, Unreachable):
        if not write.decreases:
            raise


BEFORE_TRAFFIC: tuple[Check, ...] = (build_is_the_same, target_is_owned)
BEFORE_STATUS: tuple[Check, ...] = (target_is_owned,)
"""For a status with a rollout in it; at rest a target has no owner."""


def checks_were_made(fence: Fence) -> None:
    """Those before traffic. A router that is called past them is a fault of ours."""
    if not fence.passed:
        raise AssertionError("traffic is written past its checks")


def leads(fence: Fence) -> None:
    """This process leads in the term in which the work began, or holds the lock of its run."""
    fence.leads()


def no_rival(fence: Fence) -> None:
    """No other process is known to have the target."""
    if fence.owner is not None and fence.owner.rival:
        raise Unreachable(f"nothing is written: {fence.owner.rival}")


class Purpose(Enum):
    """What a client writes."""

    TRAFFIC = "traffic"
    PRIMARY = "the primary of a target, and what belongs to it"
    STATUS = "status"
    ACTIONS = "actions"
    """Removes those that were taken; a run adds its own."""
    EVENTS = "events"
    TARGET_LEASE = "the Lease of a target, in the name of the leader"
    LOCK = "the Lease by which a process leads or runs"
    REPORTS = "what a reported alert asks for: a rollback, or the version before the last promotion"
    REQUESTS = "what a person asks for with a command"


@dataclass(frozen=True)
class RequestRule:
    """What a client of one purpose may write, and what is asked before."""

    resources: tuple[Resource, ...]
    checks: tuple[Callable[[Fence], None], ...]


BEFORE_EACH_REQUEST: Mapping[Purpose, RequestRule] = {
    Purpose.TRAFFIC: RequestRule(tuple(one.routes for one in CLUSTER), (checks_were_made, leads, no_rival)),
    Purpose.PRIMARY: RequestRule(
        (
            *(DEPLOYMENTS, DAEMON_SETS, SERVICES, CONTROLLER_REVISIONS, CONFIG_MAPS, SECRETS, *SCALERS.values()),
            *(kind for one in PROVISIONED for kind in (one.routes, *one.beside)),
        ),
        (checks_were_made, leads, no_rival),
    ),
    Purpose.STATUS: RequestRule((CANARIES, CONFIG_MAPS), (leads,)),
    Purpose.ACTIONS: RequestRule((CANARY_ACTIONS, CONFIG_MAPS), (leads,)),
    Purpose.EVENTS: RequestRule((EVENTS,), (leads,)),
    Purpose.TARGET_LEASE: RequestRule((LEASES,), (leads,)),
    Purpose.LOCK: RequestRule(
        (LEASES,), ()
    ),  # it is what the others ask; its own writes name the version that was read
    Purpose.REPORTS: RequestRule(
        (CANARY_ACTIONS, CANARIES, DEPLOYMENTS, DAEMON_SETS, SERVICES, EVENTS), ()
    ),  # any replica writes what a person would; the leader decides what becomes of it
    Purpose.REQUESTS: RequestRule(
        (CANARIES, CANARY_ACTIONS, CONFIG_MAPS, DEPLOYMENTS, DAEMON_SETS, SERVICES), ()
    ),  # the server knows who asks; of a target a person writes what its owner does, as with kubectl
}


def before_request(fence: Fence, purpose: Purpose, request: Request) -> None:
    """Raises what a check raises: then the request isn't sent."""
    allowed = BEFORE_EACH_REQUEST[purpose]
    if request.resource.full_name not in {one.full_name for one in allowed.resources}:
        raise AssertionError(f"a client for {purpose.value} writes no {request.resource.kind}")
    for check in allowed.checks:
        check(fence)


def before_status(owner: TargetOwner) -> None:
    """Makes the checks before a status with a rollout in it is saved."""
    for check in BEFORE_STATUS:
        check(Fence(owner=owner), Write())


@dataclass(frozen=True)
class FencedRouter(Router):
    """The port Router behind its checks."""

    router: Router
    fence: Fence

    def read(self, stable: str | None, canary: str) -> RouteSeen | Missing:
        return self.router.read(stable, canary)

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        """See the port; raises what the checks raise as well."""
        with self.fence.traffic(Write(decreases=traffic == Traffic(), canary=canary)):
            self.router.write(stable, canary, traffic, token)


def for_lock(client: C) -> C:
    """For the Lease by which a process leads or runs."""
    return Fence().client(client, Purpose.LOCK)


def for_reports(client: C) -> C:
    """For alerts that were reported to the controller."""
    return Fence().client(client, Purpose.REPORTS)


def for_person(client: C) -> C:
    """For what a person asks for with a command."""
    return Fence().client(client, Purpose.REQUESTS)
