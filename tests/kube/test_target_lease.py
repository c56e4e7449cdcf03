"""A target is a run's or the controller's, never both: each sees the other's Lease, and whether it is alive."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from canary.engine.errors import Conflict
from canary.kube.client import Client
from canary.kube.election import Leadership
from canary.kube.lease import Claim, Identity
from canary.kube.resources import LEASES
from canary.rollout.fencing import Fence, Purpose
from canary.stores.lease import RunLease, TargetLease, acquire, holder
from tests.kube.conftest import Connect
from tests.kube.holding import TERMS, shop
from tests.kube.test_lease import Clock
from tests.parts.cluster import ControlPlane

NAME = "canary-virtualservice-shop"


@pytest.fixture
def clock() -> Clock:
    """Everybody's."""
    return Clock()


Leads = Callable[[str], Leadership]


@pytest.fixture
def leads(client: Client, namespace: str, clock: Clock) -> Leads:
    """A replica of the controller that has just begun to lead."""

    def start(name: str) -> Leadership:
        claim = Claim(namespace, "canary", "the lead", {"name": "canary"})
        lease = Leadership(client, claim, Identity(f"canary-{name}", 1, name), TERMS, clock)
        while not lease.attempt():
            clock.wait(TERMS.every)
        return lease

    return start


def target_lease(client: Client, namespace: str, leader: Leadership) -> TargetLease:
    """The Lease of the target, as the controller takes it."""
    return TargetLease(Fence(leader.check).client(client, Purpose.TARGET_LEASE), shop(namespace), leader)


def run(client: Client, namespace: str, clock: Clock) -> RunLease:
    """A run that wants the target."""
    return RunLease(client, shop(namespace), Identity("ci", 42, "r1"), TERMS, clock)


def test_a_run_is_refused_while_the_controller_has_the_target(
    client: Client, namespace: str, clock: Clock, leads: Leads
) -> None:
    """As long as the leader renews its own Lease, though no one renews the target's; then it is free at once."""
    leader = leads("a")
    target = target_lease(client, namespace, leader)
    target.acquire()
    other = run(client, namespace, clock)

    def wait(seconds: float) -> None:
        clock.wait(seconds)
        assert leader.renew()

    words = (
        rf"the controller holds the target: canary-a, by Lease {namespace}/canary, since 20..-..-..T..:..:..\+00:00"
    )
    for patience in (0.0, 60.0):
        with pytest.raises(Conflict, match=words) as reported:
            acquire(other, patience, wait)
    assert holder(other, datetime.now(UTC)) == str(reported.value)
    assert holder(other, datetime.now(UTC) + timedelta(hours=1)) is None
    target.release()
    assert holder(other, datetime.now(UTC)) is None
    began = clock.now
    acquire(other, 0.0, clock.wait)
    assert clock.now == began


def test_a_run_takes_what_a_dead_controller_left(client: Client, namespace: str, clock: Clock, leads: Leads) -> None:
    """After the leader's lease and a request; also where the leader was released or its Lease deleted."""
    for number, ending in enumerate(("killed", "released", "deleted")):
        leader = leads(f"a{number}")
        target_lease(client, namespace, leader).acquire()
        if ending == "released":
            leader.release()
        if ending == "deleted":
            client.delete(LEASES, namespace, "canary")
        other, began = run(client, namespace, clock), clock.now
        acquire(other, 0.0, clock.wait)
        assert 6.0 <= clock.now - began <= 6.5
        other.release()


def test_the_controller_waits_while_a_run_has_the_target(
    client: Client, namespace: str, clock: Clock, leads: Leads
) -> None:
    """As long as it renews; it is taken over when it shows no sign of life, by the memory of the same object."""
    leader, other = leads("a"), run(client, namespace, clock)
    target = target_lease(client, namespace, leader)
    acquire(other, 0.0, clock.wait)
    for _ in range(10):
        with pytest.raises(Conflict, match="another run holds the target: process 42 on ci, since 20"):
            target.acquire()
        clock.wait(1.0)
        assert leader.renew()
        assert other.renew()
    began = clock.now
    while not taken(target):
        clock.wait(1.0)
        assert leader.renew()
    assert clock.now - began == TERMS.duration + TERMS.request
    assert not other.renew()
    with pytest.raises(Conflict, match="the controller holds the target"):
        other.check()


def taken(target: TargetLease) -> bool:
    """Whether it was free."""
    try:
        target.acquire()
    except Conflict:
        return False
    return True


def test_a_run_that_ended_leaves_the_target_to_the_controller(
    client: Client, namespace: str, clock: Clock, leads: Leads
) -> None:
    """At once, and with its transitions counted."""
    other = run(client, namespace, clock)
    acquire(other, 0.0, clock.wait)
    other.release()
    leader = leads("a")
    target_lease(client, namespace, leader).acquire()
    spec = client.get(LEASES, namespace, NAME)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == (f"canary-a_1_a@{namespace}/canary", 1)


def test_it_is_written_at_the_start_and_the_end_only(
    client: Client, namespace: str, clock: Clock, leads: Leads
) -> None:
    """What is ours already costs a read, and releasing what isn't costs no write either."""
    leader = leads("a")
    client.calls.take()
    target = target_lease(client, namespace, leader)
    target.acquire()
    assert client.calls.take() == {"get Lease": 2, "create Lease": 1}
    target.acquire()
    assert client.calls.take() == {"get Lease": 1}
    target.release()
    assert client.calls.take() == {"get Lease": 1, "patch Lease": 1}
    target.release()
    assert client.calls.take() == {"get Lease": 1}
    other = run(client, namespace, clock)
    acquire(other, 0.0, clock.wait)
    target.release()
    other.check()
    assert other.renew()


def test_the_next_replica_keeps_the_target(client: Client, namespace: str, clock: Clock, leads: Leads) -> None:
    """It takes it again, at once; so a run that believed the first one dead comes too late, and vice versa."""
    target_lease(client, namespace, leads("a")).acquire()
    other = run(client, namespace, clock)
    stale = other.read()
    target = target_lease(client, namespace, leads("b"))
    target.acquire()
    assert str(client.get(LEASES, namespace, NAME)["spec"]["holderIdentity"]).startswith("canary-b_1_b@")
    assert not other._take(stale)
    assert other._take(other.read())
    with pytest.raises(Conflict, match="process 42 on ci"):
        target.acquire()


def test_who_may_not_lead_any_more_takes_nothing(client: Client, namespace: str, clock: Clock, leads: Leads) -> None:
    """The leader's own lease guards the writes of all that is held in its name."""
    leader = leads("a")
    clock.now += TERMS.deadline
    assert not leader.renew()
    client.calls.take()
    with pytest.raises(Conflict, match="another may lead"):
        target_lease(client, namespace, leader).acquire()
    assert client.calls.take() == {"get Lease": 2}


def test_a_leader_whose_lease_may_not_be_read(
    client: Client, connect: Connect, control_plane: ControlPlane, namespace: str, clock: Clock, leads: Leads
) -> None:
    """It counts as alive, and the sentence names the permission that is missing."""
    target_lease(client, namespace, leads("a")).acquire()
    root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    only = {"resources": ["leases"], "resourceNames": [NAME], "verbs": ["get", "patch"]}
    rules = [{"apiGroups": ["coordination.k8s.io"], **only}]
    control_plane.kube.create(f"{root}/roles", {"metadata": {"name": "lock"}, "rules": rules})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lock"}
    body = {"metadata": {"name": "lock"}, "subjects": [{"kind": "User", "name": "alice"}], "roleRef": ref}
    control_plane.kube.create(f"{root}/rolebindings", body)
    other = run(connect("alice"), namespace, clock)
    with pytest.raises(Conflict, match=r"the controller .*isn't known .*: alice may not get leases.coord"):
        acquire(other, 60.0, clock.wait)
    assert "the controller holds the target" in str(holder(other, datetime.now(UTC)))
