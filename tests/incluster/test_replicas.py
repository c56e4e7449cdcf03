"""Two replicas: who leads when one ends, dies or is frozen, and what a leader may still write that was frozen.

Once its Lease is over it may send one request, for which it had asked the guard before: that names the version of
the object that it read, so it lands only where no one has written since. Here someone has.
"""

import signal
import sys
import time
from collections.abc import Callable

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from tests.incluster.site import Replica, Site
from tests.incluster.test_crashes import LEASES, REPLICA, generation
from tests.parts.patience import Stopwatch
from tests.parts.processes import get

pytestmark = pytest.mark.long

LEASE_SECONDS = 6
GATES = [{"approval": {"count": 1}, "timeout": "1h"}]
GATED = [{"weight": 30, "gates": GATES}, {"weight": 60, "gates": GATES}]
Property = Callable[[str, object], None]


def leads(site: Site, replica: Replica) -> bool:
    """Whether the Lease says so."""
    answer = site.mesh.kube.request("GET", site.mesh.path(LEASES, "Lease", "canary"))
    holder = answer.json()["spec"].get("holderIdentity") or "" if answer.ok else ""
    return f"_{replica.process.pid}_" in holder


def led(site: Site, replica: Replica) -> float:
    """Waits until it leads; the seconds of a quiet machine that it took."""
    began = Stopwatch()
    site.when(lambda: leads(site, replica), f"replica {site.replicas.index(replica)} to lead")
    return began.seconds


def pair(site: Site, **environment: str) -> tuple[Replica, Replica]:
    """The one that leads, and another one that is ready to."""
    program = REPLICA if environment else (sys.executable, "-m", "canary")
    leader = site.controller(environment=environment, program=program)
    led(site, leader)
    other = site.controller()
    site.when(lambda: get(f"http://127.0.0.1:{other.port}/readyz")[0] == 200, "the other replica to be ready")
    return leader, other


def requests(replica: Replica, verb: str = "patch") -> float:
    """Writes to Canaries and VirtualServices that it has sent, as its metrics count them."""
    text = get(f"http://127.0.0.1:{replica.port}/metrics", timeout=30.0)[1]
    wanted = [f'canary_api_requests_total{{kind="{kind}",verb="{verb}"}}' for kind in ("Canary", "VirtualService")]
    lines = [line.rpartition(" ") for line in text.splitlines()]
    return sum(float(value) for name, _, value in lines if name in wanted)


def finished(site: Site, written: int) -> None:
    """The rollout that stands at the first gate goes on to its end, and each weight is written once."""
    site.act("approve")
    site.until_weight(60)
    site.until("WaitingForApproval")
    site.act("approve")
    site.until_phase("Succeeded")
    assert (site.status.rollouts, site.status.history[0].outcome) == (1, Outcome.PROMOTED)
    assert generation(site) == written + 2


def test_a_leader_that_is_asked_to_end_hands_over(site: Site, record_property: Property) -> None:
    """No one waits for its Lease, it ends with 0, and the rollout goes on where it stood."""
    first, second = pair(site)
    site.apply(steps=GATED)
    site.until("WaitingForApproval")
    written, asked = generation(site), time.monotonic()
    first.send(signal.SIGTERM)
    took = led(site, second)
    assert first.ends(10) == 0, first.text
    record_property("SIGTERM: seconds until it ended", round(time.monotonic() - asked, 1))
    record_property("SIGTERM: seconds until the other led", round(took, 1))
    assert took < LEASE_SECONDS
    finished(site, written)


def test_after_a_leader_is_killed_the_other_takes_over(site: Site, record_property: Property) -> None:
    """Not before its Lease and a request's time are over; then the rollout goes on where it stood."""
    first, second = pair(site)
    site.apply(steps=GATED)
    site.until("WaitingForApproval")
    written, killed = generation(site), time.monotonic()
    first.send(signal.SIGKILL)
    led(site, second)
    took = time.monotonic() - killed  # by the clock: the other one waits no less on a busy machine
    record_property("kill -9: seconds until the other led", round(took, 1))
    assert took > LEASE_SECONDS
    finished(site, written)


def test_a_leader_that_was_frozen_past_its_lease_writes_nothing_any_more(site: Site) -> None:
    """Woken, it sees that it doesn't lead, and stands by; when the other one ends, it leads again."""
    first, second = pair(site)
    site.apply(steps=GATED)
    site.until("WaitingForApproval")
    written, sent = generation(site), requests(first)
    first.send(signal.SIGSTOP)
    led(site, second)
    first.send(signal.SIGCONT)
    site.when(lambda: "no longer leading" in first.text, "the first to see it")
    finished(site, written)
    assert requests(first) == sent
    second.send(signal.SIGTERM)
    led(site, first)
    assert second.ends(10) == 0


@pytest.mark.parametrize("kind", ["VirtualService", "Canary"])
def test_what_was_under_way_when_a_leader_froze_lands_nowhere(site: Site, kind: str) -> None:
    """It was frozen between the guard and the request; the other one has gone on, and taken the weight away again."""
    first, second = pair(site, FROZEN=kind)
    site.apply(steps=GATED)
    led(site, second)
    site.until("WaitingForApproval")
    site.act("rollback")
    site.until_phase("Failed")
    site.when(lambda: "finalizers" not in site.found()["metadata"], "the rollout to be over")
    written, history = generation(site), site.status.history
    first.send(signal.SIGCONT)
    site.when(lambda: "no longer leading" in first.text, "the first to see it")
    assert (site.traffic, generation(site)) == (Traffic(), written)
    assert (site.status.history, site.status.rollouts, site.status.rollout) == (history, 1, None)
