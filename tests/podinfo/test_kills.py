"""kill -9 in provisioning, start, step, promotion and rollback: the same end, and no user meets an error of ours.

Whole processes in real time under load, dying one after the other; tests/kill has each death by itself.
"""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import NAME, PRIMARY, PodinfoSite

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(600)]

REPLICA = (sys.executable, "-m", "tests.incluster.replica")
LEASES = "coordination.k8s.io/v1"
PROVISIONING = {
    "Initializing: patch Canary/status",
    "Initializing: patch Deployment",
    "Initializing: patch Service",
    "Initializing: patch DestinationRule",
    "Initializing: create VirtualService",
    "Initializing: create ControllerRevision",
}
STEPS = {"Waiting: patch Canary/status", "Progressing: patch VirtualService", "Progressing: patch Canary/status"}


def killed_at_each_write(site: ControlledSite, file: Path, over: Callable[[], bool]) -> Sequence[str]:
    """Lets controllers die, each at a kind of write that none died at before, until it is over; where they died.

    The dead leader's Leases are deleted, so that no one has to wait for their end.
    """
    until = time.monotonic() + 300
    while not over():
        if not site.replicas or site.replicas[-1].process.poll() is not None:
            assert all(one.process.returncode == -signal.SIGKILL for one in site.replicas), site.replicas[-1].text
            site.mesh.kube.request("DELETE", site.mesh.path(LEASES, "Lease"))
            site.controller(environment={"KILLED": str(file)}, program=REPLICA)
        assert time.monotonic() < until, f"{site.status!r}\n{file.read_text()}\n{site.replicas[-1].text[-3000:]}"
        time.sleep(0.1)
    return file.read_text().splitlines()[:-1]


def put_away(site: ControlledSite) -> bool:
    """The rollout is over, the target at zero, and the Canary may be deleted."""
    return bool(site.status.history) and site.podinfo.replicas() == 0 and "finalizers" not in site.found()["metadata"]


def test_a_controller_that_dies_at_each_write_provisions_and_promotes(bare: ControlledSite, tmp_path: Path) -> None:
    """As if none had died: one rollout, and the primary has what was analysed, with its replicas."""
    bare.apply()
    killed_at_each_write(bare, tmp_path / "killed", lambda: bare.resting)
    assert (bare.image, bare.podinfo.replicas(PRIMARY)) == ("podinfo:1", 2)
    image = bare.push()
    killed = killed_at_each_write(bare, tmp_path / "killed", lambda: put_away(bare))
    promotion = {"Promoting: patch Deployment", "Promoting: patch VirtualService"}
    assert set(killed) >= PROVISIONING | STEPS | promotion, killed
    status = bare.status
    assert (status.rollouts, status.history[0].outcome) == (1, Outcome.PROMOTED)
    assert (bare.image, bare.traffic, bare.podinfo.replicas(PRIMARY)) == (image, Traffic(), 2)
    assert bare.mesh.measured(bare.podinfo.since).failed == 0


def test_a_controller_that_dies_at_each_write_rolls_back(resting: ControlledSite, tmp_path: Path) -> None:
    """The bad build is exposed once, and only it fails."""
    before = resting.image
    resting.stop()
    resting.replicas.clear()
    rollouts = resting.status.rollouts
    image = resting.push(errors=1.0)
    killed = killed_at_each_write(
        resting, tmp_path / "killed", lambda: resting.status.rollouts > rollouts and put_away(resting)
    )
    assert set(killed) >= {*STEPS, "Finalising: patch VirtualService"}, killed
    status = resting.status
    assert (status.rollouts, status.history[0].outcome) == (rollouts + 1, Outcome.ROLLED_BACK)
    assert (resting.image, resting.traffic, resting.podinfo.replicas()) == (before, Traffic(), 0)
    measured = resting.mesh.measured(resting.since)
    assert measured.failed == measured.of(image=image, workload=NAME).failed > 0


def killed_when(site: PodinfoSite, happened: Callable[[], bool]) -> None:
    """A run that dies as soon as this has happened. No one has to wait for the end of its Lease."""
    run = site.run()
    while run.process.poll() is None and not happened():
        time.sleep(0.005)
    run.process.kill()
    run.process.wait()
    site.mesh.kube.request("DELETE", site.mesh.path(LEASES, "Lease"))


def made(site: PodinfoSite, kind: str, name: str) -> bool:
    """Whether there is such an object."""
    version = {"VirtualService": "networking.istio.io/v1", "Deployment": "apps/v1"}.get(kind, "v1")
    return bool(site.mesh.kube.request("GET", site.mesh.path(version, kind, name)).status_code == 200)


def test_runs_that_die_on_the_way_are_taken_up_by_the_next(site: PodinfoSite) -> None:
    """In provisioning, at the start, in each step, and in the promotion."""
    site.write(drain="1s")
    killed_when(site, lambda: made(site, "Deployment", PRIMARY))
    killed_when(site, lambda: made(site, "Service", PRIMARY))
    killed_when(site, lambda: made(site, "VirtualService", NAME))
    run = site.run()
    assert run.ends() == 11, run.text
    assert (site.image(), site.replicas(PRIMARY), site.replicas()) == ("podinfo:1", 2, 0)
    site.behave("2")
    site.push("2", None)
    killed_when(site, lambda: site.replicas() == 2)
    killed_when(site, lambda: site.traffic == Traffic(weight=20))
    killed_when(site, lambda: site.traffic == Traffic(weight=50))
    killed_when(site, lambda: site.image() == "podinfo:2")
    killed_when(site, lambda: site.traffic == Traffic())
    run = site.run()
    assert run.ends() == 0, run.text
    site.at_rest("2")
    assert (site.replicas(PRIMARY), site.failed) == (2, 0)
