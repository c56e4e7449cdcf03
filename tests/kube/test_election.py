"""Who leads: one at a time, also when it is frozen, killed, cut off, or asked to end. A lease of 4 s."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from canary.engine.errors import Conflict
from canary.kube.client import Client, Object
from canary.kube.election import Election, Leadership
from canary.kube.lease import Claim, Identity, LeaseTerms, renewing
from canary.kube.rate_limiter import RateLimiter
from canary.kube.resources import CONFIG_MAPS, LEASES
from tests.kube.conftest import Connect
from tests.kube.holding import TERMS, writer
from tests.kube.leading import NAME
from tests.kube.test_lease import Clock, said
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.patience import Stopwatch
from tests.parts.processes import Child, wait_for

Start = Callable[[], Child]


class Candidate:
    """One in this process, whose work is to wait for its end."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.terms: list[Leadership] = []
        self.election = Election(client, namespace, NAME, {"app": "canary"}, TERMS)
        self.thread = threading.Thread(target=self.election.lead, args=(self._work,))
        self.thread.start()

    def stop(self) -> None:
        self.election.stop()
        self.thread.join(SLOWLY)

    def _work(self, lease: Leadership, over: threading.Event) -> None:
        self.terms.append(lease)
        assert over.wait(SLOWLY)


@pytest.fixture
def candidate(connect: Connect, namespace: str) -> Iterator[Callable[..., Candidate]]:
    """Starts another."""
    started: list[Candidate] = []

    def start(user: str = "admin") -> Candidate:
        started.append(Candidate(connect(user), namespace))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def start(control_plane: ControlPlane, namespace: str, client: Client, tmp_path: Path) -> Iterator[Start]:
    """Processes that want to lead and write."""
    client.create(CONFIG_MAPS, namespace, {"metadata": {"name": "written"}, "data": {}})
    children: list[Child] = []

    def begin() -> Child:
        argv = [sys.executable, "-m", "tests.kube.leading", str(control_plane.kubeconfig()), namespace]
        here = {"PYTHONPATH": str(Path(__file__).parents[2])}
        children.append(Child(argv, tmp_path / f"{len(children)}.log", here))
        return children[-1]

    yield begin
    for child in children:
        child.kill()


def test_a_leader_that_ends_hands_over_at_once(
    candidate: Callable[..., Candidate], client: Client, namespace: str
) -> None:
    """The next one waits for no lease to expire, and counts the transition."""
    first = candidate()
    wait_for(lambda: first.terms, "a leader at work", within=SLOWLY)
    second = candidate()
    first.terms[0].check()
    assert not second.election.leading
    began = Stopwatch()
    first.stop()
    wait_for(lambda: second.terms, "the next leader at work", within=SLOWLY)
    assert began.seconds < TERMS.duration
    with pytest.raises(Conflict, match="the lead isn't ours"):
        first.terms[0].check()
    found = client.get(LEASES, namespace, NAME)
    assert found["metadata"]["labels"] == {"app": "canary"}
    assert (found["spec"]["holderIdentity"], found["spec"]["leaseTransitions"]) == (str(second.terms[0].identity), 1)


def test_a_frozen_leader_writes_nothing_when_it_wakes(start: Start, client: Client, namespace: str) -> None:
    """SIGSTOP past the lease: another leads. The first one's next write is refused before it is sent, and by the
    server if it was on its way."""
    first = start()
    said(first, "writes")
    second = start()
    first.pause()
    said(second, "writes")
    second.pause()
    first.resume()
    said(first, "over")
    assert writer(client, namespace) == second.pid
    assert first.tail(200).count("leads") == 1
    second.resume()


def test_a_killed_leader_makes_way_when_its_lease_is_over(start: Start, client: Client, namespace: str) -> None:
    """Not before its lease and the time of a last request have passed."""
    first = start()
    said(first, "writes")
    second = start()
    first.kill()
    began = time.monotonic()
    said(second, "leads")
    assert time.monotonic() - began > TERMS.duration + TERMS.request - TERMS.every - 1.0


def test_a_leader_without_the_api_server(
    start: Start, control_plane: ControlPlane, client: Client, namespace: str
) -> None:
    """Frozen, its term ends though a renewal is under way; afterwards the same process leads again, in a new term."""
    first = start()
    said(first, "writes")
    control_plane.api_server.pause()
    said(first, "over")
    assert "refused" in first.tail(200)
    control_plane.api_server.resume()
    wait_for(lambda: first.tail().splitlines()[-1] == "writes", "a write in another term", within=SLOWLY)
    terms = [line for line in first.tail(200).splitlines() if line.startswith("leads")]
    assert len(set(terms)) >= 2
    assert client.get(LEASES, namespace, NAME)["spec"]["leaseTransitions"] == len(terms) - 1


def test_a_leader_that_is_asked_to_end(start: Start, client: Client, namespace: str) -> None:
    """SIGTERM: its work returns, then the lease is free."""
    first = start()
    said(first, "writes")
    os.kill(first.pid, signal.SIGTERM)
    said(first, "done")
    assert "over" in first.tail(200)
    assert client.get(LEASES, namespace, NAME)["spec"]["holderIdentity"] == ""


def test_a_term_that_lapsed_is_over_for_good(client: Client, namespace: str) -> None:
    """Even if no one else took over: what is held in its name may have been taken. The next term begins at once."""
    clock, claim = Clock(), Claim(namespace, NAME, "the lead", {"name": NAME})
    first = Leadership(client, claim, Identity("pod", 1, "a"), TERMS, clock)
    assert first.attempt()
    clock.now += TERMS.deadline - 0.1
    assert first.renew()
    clock.now += TERMS.deadline
    assert not first.renew()
    assert first.lost
    with pytest.raises(Conflict, match="the lease wasn't renewed for 2s; another may lead"):
        first.check()
    stranger = Leadership(client, claim, Identity("pod", 2, "b"), TERMS, clock)
    assert not stranger.attempt()
    again = Leadership(client, claim, Identity("pod", 1, "c"), TERMS, clock)
    again.past = str(first.identity)
    assert again.attempt()
    again.check()


def test_what_the_server_asks_others_to_wait_costs_no_lead(client: Client, namespace: str) -> None:
    """A 429 holds all requests back but renewals: without the lead, weight 0 couldn't be written either."""
    throttled, clock = replace(client, rate_limiter=RateLimiter(200, 200)), Clock()
    lease = Leadership(throttled, Claim(namespace, NAME, "the lead", {"name": NAME}), Identity.mine(), TERMS, clock)
    assert lease.attempt()
    throttled.rate_limiter.pause(600)
    clock.now += TERMS.deadline - 0.1
    assert lease.renew()
    lease.release()
    assert client.get(LEASES, namespace, NAME)["spec"]["holderIdentity"] == ""


class Odd(Leadership):
    """The answer to a renewal is one that no one foresaw, each time."""

    odd = False

    def _renewed(self, found: Object, sent: float) -> None:
        super()._renewed({} if self.odd else found, sent)


def test_a_term_ends_also_where_renewals_raise(
    client: Client, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Else its work would go on without a word, and no one stand for election again."""
    clock, over = Clock(), threading.Event()
    terms = LeaseTerms(TERMS.duration, TERMS.deadline, 0.05, TERMS.request)
    lease = Odd(client, Claim(namespace, NAME, "the lead", {"name": NAME}), Identity.mine(), terms, clock)
    assert lease.attempt()
    lease.odd = True
    threading.Thread(target=renewing, args=(lease, over, over.set), daemon=True).start()
    wait_for(lambda: caplog.text.count("KeyError: 'metadata'") > 1, "two renewals", within=SLOWLY)
    clock.now += TERMS.deadline
    assert over.wait(SLOWLY)


def test_work_that_raises_releases(client: Client, namespace: str) -> None:
    """What it raised comes out."""

    def work(_: Leadership, __: threading.Event) -> None:
        raise LookupError("no one home")

    with pytest.raises(LookupError):
        Election(client, namespace, NAME, {}, TERMS).lead(work)
    assert client.get(LEASES, namespace, NAME)["spec"]["holderIdentity"] == ""


def test_a_permission_that_is_missing(candidate: Callable[..., Candidate], namespace: str) -> None:
    """The candidate says which, keeps trying, and can be asked to end."""
    alice = candidate("alice")
    expected = f"alice may not get leases.coordination.k8s.io in namespace {namespace}"
    wait_for(lambda: expected in (alice.election.trouble or ""), "its trouble", within=SLOWLY)
    alice.stop()
    assert not alice.thread.is_alive()
