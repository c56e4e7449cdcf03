"""SIGTERM while a write is in hand: it is finished, the Lease is given back, and it takes ten seconds at most.

A bad version is to go back when the signal comes, so that what is in hand matters.
"""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canary.api.plan import Traffic
from tests.incluster.objects import holder, reconciles, until_reported
from tests.incluster.replica import LEADS
from tests.incluster.site import Replica, Site
from tests.incluster.test_crashes import LEASES, REPLICA
from tests.incluster.test_outages import EXPOSED, lasted
from tests.incluster.test_replicas import leads, requests
from tests.parts.cluster import ControlPlane
from tests.parts.patience import Stopwatch

pytestmark = pytest.mark.long

AT_MOST = 10.0
"""Seconds."""
Property = Callable[[str, object], None]


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """While there is such a file, the controller doesn't learn that the phase that it names was saved."""
    return tmp_path / "held"


@pytest.fixture
def leader(site: Site, held: Path, control_plane: ControlPlane) -> Iterator[Replica]:
    """With half of the traffic on v2, and nothing left to be written."""
    replica = site.controller("--lease-duration", "30s", environment={"HELD": str(held)}, program=REPLICA)
    site.apply(steps=EXPOSED, threshold=1)
    site.until_weight(50)
    until_reported(site, "CanaryReady", "on to 50%")
    before = reconciles(site)
    site.when(lambda: reconciles(site) > before, "a reconcile")
    yield replica
    site.stop()
    control_plane.mend()


def ends(replica: Replica, meanwhile: Callable[[], object] = lambda: None) -> float:
    """Asks it to end, which it does with 0; the seconds that it took."""
    replica.send(signal.SIGTERM)
    began = Stopwatch()
    meanwhile()
    assert replica.ends() == 0, replica.text
    return began.seconds


def turns_bad(site: Site, held: Path) -> None:
    """v2 does, and that it shall go is written, as the API server has it, but the controller doesn't know yet."""
    held.write_text("Finalising")
    site.mesh.behave("reviews-v2", errors=1.0)
    site.until_phase("Finalising")
    assert site.traffic == Traffic(weight=50)


def test_a_write_in_hand_is_finished(site: Site, held: Path, leader: Replica, record_property: Property) -> None:
    """And what follows from it is done: status says that the version goes, so it goes; then the lead is free."""
    turns_bad(site, held)

    def answer() -> None:
        lasted(time.monotonic(), 1.0)  # it has noticed the signal by then
        assert leader.process.poll() is None
        held.unlink()

    took = ends(leader, answer)
    record_property("SIGTERM with a write in hand: seconds until it ended", round(took, 1))
    assert took < AT_MOST
    assert (site.traffic, holder(site, LEADS)) == (Traffic(), "")


def test_an_answer_that_never_comes_is_not_waited_for(
    site: Site, held: Path, leader: Replica, record_property: Property
) -> None:
    """The lead is given back all the same, and the next one finishes what was meant."""
    turns_bad(site, held)
    took = ends(leader)
    record_property("SIGTERM, no answer: seconds until it ended", round(took, 1))
    assert took < AT_MOST
    assert holder(site, LEADS) == ""
    site.controller()
    site.until_phase("Failed")
    assert site.traffic == Traffic()


def test_a_frozen_api_server_is_not_waited_for(
    site: Site, leader: Replica, control_plane: ControlPlane, record_property: Property
) -> None:
    """The lead can't be given back, and the version that should go stays until someone leads again."""
    before = requests(leader)
    control_plane.api_server.pause()
    site.mesh.behave("reviews-v2", errors=1.0)
    site.when(lambda: requests(leader) > before, "a write to be sent")
    took = ends(leader)
    record_property("SIGTERM, the API server is frozen: seconds until it ended", round(took, 1))
    assert took < AT_MOST
    control_plane.api_server.resume()
    assert leads(site, leader)
    site.mesh.kube.request("DELETE", site.mesh.path(LEASES, "Lease"))
    site.controller()
    site.until_phase("Failed")
    assert site.traffic == Traffic()
