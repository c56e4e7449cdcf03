"""One run at a time: arithmetic with a clock of our own, then real processes, frozen and killed.

A lease of 4 s that may write for 2 s after a renewal; requests take at most 2 s.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from canary.engine.errors import Conflict, Unreachable
from canary.kube.client import Client
from canary.kube.lease import Identity, LeadershipTerm, LeaseTerms, Sighting
from canary.kube.resources import CONFIG_MAPS, LEASES
from canary.stores.lease import RunLease, acquire, held, holder
from tests.kube.holding import TERMS, shop, writer
from tests.parts.cluster import ControlPlane
from tests.parts.fences import guarded
from tests.parts.kube import SLOWLY
from tests.parts.processes import Child, wait_for

Start = Callable[..., Child]


class Clock:
    """Stands still until it is asked to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("since", "overdue"),
    [
        pytest.param(0.0, 0.0, id="just renewed: may write"),
        pytest.param(9.9, 0.0, id="within the deadline: may write"),
        pytest.param(10.0, 10.0, id="at the deadline: may not"),
        pytest.param(86400.0, 86400.0, id="after a night of sleep: may not"),
    ],
)
def test_until_when_a_holder_may_write(since: float, overdue: float) -> None:
    """The deadline counts from when the renewal was sent."""
    assert LeadershipTerm(LeaseTerms(), renewed=50.0).overdue(50.0 + since) == overdue


def test_when_another_may_take_over() -> None:
    """A lease duration and a request time-out after the last sign of life, by the other's own clock."""
    sighting = Sighting("renewed at 1", since=100.0).seen("renewed at 1", 109.0)
    assert sighting.expires(15, 5.0) == 120.0
    assert sighting.seen("renewed at 2", 112.0).expires(15, 5.0) == 132.0


def test_no_other_writes_while_the_last_request_is_under_way() -> None:
    """With any terms: the holder's last request is given up before another may begin."""
    for duration, deadline, request in [(15, 10.0, 5.0), (4, 2.0, 2.0), (60, 40.0, 20.0)]:
        terms = LeaseTerms(duration, deadline, deadline / 4, request)
        last_sent = 0.0 + terms.deadline  # renewed at 0, and seen at 0 at the earliest
        assert last_sent + terms.request <= Sighting("", 0.0).expires(terms.duration, 0.0)


@pytest.mark.parametrize("terms", [(15, 11.0, 2.0, 5.0), (15, 10.0, 10.0, 5.0), (15, 10.0, 0.0, 5.0)])
def test_terms_that_are_not_safe(terms: tuple[int, float, float, float]) -> None:
    """They are refused where they are written."""
    with pytest.raises(ValueError, match="a lease needs"):
        LeaseTerms(*terms)


def test_a_free_lock_is_taken_at_once_and_let_go(client: Client, namespace: str) -> None:
    """Created by the first, taken over by the next with its transitions counted; no one waits."""
    clock = Clock()
    for run in range(3):
        lease = RunLease(client, shop(namespace), Identity("host", 7, f"run{run}"), TERMS, clock)
        with held(lease, wait=clock.wait):
            lease.check()
            spec = client.get(LEASES, namespace, "canary-virtualservice-shop")["spec"]
            expected = {"holderIdentity": f"host_7_run{run}", "leaseTransitions": run, "leaseDurationSeconds": 4}
            assert {key: spec[key] for key in expected} == expected
        with pytest.raises(Conflict, match="the lock of VirtualService shop isn't ours"):
            lease.check()
    assert clock.now == 1000.0


def test_the_second_is_refused_with_the_holder(client: Client, namespace: str) -> None:
    """As soon as the first one showed a sign of life; with patience only when that is over."""
    first = RunLease(client, shop(namespace), Identity("ci_runner-3", 4711, "a1"), TERMS, Clock())
    acquire(first, 0, lambda _: None)
    for patience in (0.0, 60.0):
        clock = Clock()

        def wait(seconds: float, clock: Clock = clock) -> None:
            clock.wait(seconds)
            assert first.renew()

        second = RunLease(client, shop(namespace), Identity("other", 1, "b2"), TERMS, clock)
        with pytest.raises(Conflict, match=r"process 4711 on ci_runner-3, since 20..-..-..T..:..:") as reported:
            acquire(second, patience, wait)
        assert patience <= clock.now - 1000.0 <= patience + 1.0
    now = datetime.now(UTC)
    assert holder(second, now) == str(reported.value)
    assert holder(second, now + timedelta(hours=1)) is None
    first.release()
    assert holder(second, now) is None


def test_a_lock_whose_holder_shows_no_sign_of_life(client: Client, namespace: str) -> None:
    """It is taken over after the lease and a request, never before, and without patience as well."""
    first = RunLease(client, shop(namespace), Identity("a", 1, "a"), TERMS, Clock())
    acquire(first, 0, lambda _: None)
    clock = Clock()
    second = RunLease(client, shop(namespace), Identity("b", 2, "b"), TERMS, clock)
    acquire(second, 0, clock.wait)
    assert 6.0 <= clock.now - 1000.0 <= 6.5
    assert not first.renew()
    with pytest.raises(Conflict, match=r"process 2 on b.*writes nothing any more"):
        first.check()


def test_a_label_is_no_takeover(client: Client, control_plane: ControlPlane, namespace: str) -> None:
    """Someone else's edit of the Lease costs a renewal, not the lock."""
    lease = RunLease(client, shop(namespace), Identity("a", 1, "a"), TERMS, Clock())
    acquire(lease, 0, lambda _: None)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/canary-virtualservice-shop"
    control_plane.kube.merge(path, {"metadata": {"labels": {"seen-by": "someone"}}})
    assert [lease.renew(), lease.renew()] == [False, True]
    lease.check()


def test_a_guard_that_refuses_lets_nothing_out(client: Client, namespace: str) -> None:
    """Not even a request; reads go on."""
    clock = Clock()
    lease = RunLease(client, shop(namespace), Identity("a", 1, "a"), TERMS, clock)
    acquire(lease, 0, clock.wait)
    fenced = guarded(client, lease.check)
    clock.now += TERMS.deadline
    client.calls.take()
    with pytest.raises(Unreachable, match="the lock wasn't renewed for 2s, so nothing is written"):
        fenced.create(CONFIG_MAPS, namespace, {"metadata": {"name": "late"}})
    assert fenced.find(CONFIG_MAPS, namespace, {"none": "such"}) == []
    assert client.calls.take() == {"list ConfigMap": 1}
    assert lease.renew()
    fenced.create(CONFIG_MAPS, namespace, {"metadata": {"name": "late"}})


@pytest.fixture
def start(control_plane: ControlPlane, namespace: str, client: Client, tmp_path: Path) -> Iterator[Start]:
    """Processes that want the lock and write."""
    client.create(CONFIG_MAPS, namespace, {"metadata": {"name": "written"}, "data": {}})
    children: list[Child] = []

    def begin(patience: float = 600.0) -> Child:
        kubeconfig = control_plane.kubeconfig()
        argv = [sys.executable, "-m", "tests.kube.holding", kubeconfig, namespace, str(patience)]
        here = {"PYTHONPATH": str(Path(__file__).parents[2])}
        children.append(Child([str(each) for each in argv], tmp_path / f"{len(children)}.log", here))
        return children[-1]

    yield begin
    for child in children:
        child.kill()


def said(child: Child, what: str, within: float = SLOWLY) -> str:
    """The line that begins like this, once it is there."""
    return wait_for(lambda: _line(child, what), f"{what!r}, after {child.tail()!r}", within=within)


def test_a_killed_holder_makes_way(start: Start) -> None:
    """kill -9: nothing is released, and the one who waits takes over when the lease is over."""
    first = start()
    said(first, "writes")
    second = start()
    third = start(patience=0.0)
    assert f"process {first.pid} on" in said(third, "Conflict ")
    assert "holds" not in second.tail()
    first.kill()
    said(second, "writes")


def test_a_holder_that_is_asked_to_end_makes_way_at_once(start: Start) -> None:
    """It releases the lock: no one waits for the lease."""
    first = start()
    said(first, "writes")
    os.kill(first.pid, signal.SIGINT)
    wait_for(lambda: not first.alive, "its end", within=SLOWLY)
    second = start(patience=0.0)
    said(second, "writes")


def test_a_frozen_holder_writes_nothing_when_it_wakes(start: Start, client: Client, namespace: str) -> None:
    """SIGSTOP past the lease: its next write is refused before it is sent, and by the server if it was on its way."""
    first = start()
    said(first, "writes")
    second = start()
    first.pause()
    said(second, "writes")
    second.pause()
    first.resume()
    said(first, "Conflict ")
    assert writer(client, namespace) == second.pid
    second.resume()


def test_a_holder_without_the_api_server_stops_writing(
    start: Start, control_plane: ControlPlane, client: Client, namespace: str
) -> None:
    """Frozen or gone, the renewal's deadline holds although a renewal is under way; then the same one goes on."""
    first = start()
    said(first, "writes")
    control_plane.api_server.pause()
    said(first, "may not ")
    control_plane.api_server.resume()
    wait_for(lambda: first.tail().splitlines()[-1] == "writes", "another write", within=SLOWLY)
    control_plane.api_server.kill()
    wait_for(lambda: first.tail().splitlines()[-1].startswith("may not"), "no more writes", within=SLOWLY)
    control_plane.restart_api_server()
    wait_for(lambda: first.tail().splitlines()[-1] == "writes", "another write", within=SLOWLY)
    assert client.get(LEASES, namespace, "canary-virtualservice-shop")["spec"]["leaseTransitions"] == 0


def _line(child: Child, what: str) -> str:
    return next((line for line in child.tail(200).splitlines() if line.startswith(what)), "")
