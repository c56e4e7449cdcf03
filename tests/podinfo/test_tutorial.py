"""docs/tutorial-podinfo.md, from its first step to its last: two controllers, the load tester, and a `canary run`."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.conftest import helm_binary
from tests.incluster.site import Replica
from tests.parts import modules
from tests.parts.cluster import ControlPlane
from tests.podinfo.site import NAME, PRIMARY
from tests.podinfo.tutorial import Programs, Tutorial, tutorial

__all__ = ["helm_binary"]
pytestmark = [pytest.mark.cluster, pytest.mark.long]

IMAGE = "ghcr.io/stefanprodan/podinfo:6.0.1"
RELEASED = [("pre-rollout", 0), ("rollout", 10), ("rollout", 30), ("rollout", 50), ("confirm-promotion", 50)]


@pytest.fixture
def site(
    control_plane: ControlPlane,
    kinds: None,
    helm_binary: Path,
    envoy_binary: Path,
    prometheus_binary: Path,
    tmp_path: Path,
) -> Iterator[Tutorial]:
    """The chart is installed; neither replica runs yet."""
    programs = Programs(helm_binary, envoy_binary, prometheus_binary, modules.program("hey", "hey"))
    with tutorial(control_plane, programs, tmp_path, lease={"duration": "6s"}) as made:
        yield made


def test_every_step_of_the_tutorial(site: Tutorial) -> None:
    """A rollout outlives its leader, the next one is rolled back, and a run beside it releases another Deployment."""
    first, second = site.replica(), site.replica()
    site.when(lambda: site.leads(first) or site.leads(second), "a replica to lead")
    leader, standby = (first, second) if site.leads(first) else (second, first)
    backend = initialised(site)
    users = site.mesh.load(NAME, 60)
    promoted_although_the_leader_is_killed(site, leader, standby)
    assert site.mesh.measured().failed == 0
    rolled_back_beside_a_run(site, backend)
    users.stop()
    answers = site.mesh.measured()
    assert answers.failed == answers.of(workload=NAME).failed > 0
    site.mesh.seen()
    assert site.answers("podinfo-canary")[NAME]["200"] > 0
    assert site.answers("backend-canary")["backend"].keys() == {"200"}
    assert site.leads(standby)


def initialised(site: Tutorial) -> str:
    """podinfo by the controller, backend by a run, both at the same time; the manifest of the latter."""
    site.kubectl("apply", "-f", str(site.manifest("app.yaml")), "-f", str(site.manifest("backend.yaml")))
    site.kubectl("apply", "-f", str(site.manifest("gated.yaml")))
    backend = str(site.manifest("backend-run.yaml"))
    run = site.canary("run", "-f", backend)
    site.when(lambda: site.status.phase == "Initialized", "podinfo to be initialised")
    assert run.ends() == 11, run.text
    site.mesh.ready(PRIMARY, "backend-primary")
    return backend


def promoted_although_the_leader_is_killed(site: Tutorial, leader: Replica, standby: Replica) -> None:
    """Each weight is written once, the smoke test is called once, and a run of the same target changes nothing."""
    gated = ("run", "-f", str(site.manifest("gated.yaml")), "--prometheus", site.mesh.prometheus.url)
    run = site.canary(*gated)
    assert (run.ends(), "the first revision is not analysed" in run.text) == (11, True), run.text
    written = site.object("VirtualService", NAME)["metadata"]["generation"]
    site.kubectl("set", "image", "deployment/podinfo", f"podinfod={IMAGE}")
    site.when(lambda: site.status.rollouts == 1, "the rollout to start")
    watch = site.canary("watch", NAME)
    site.when(lambda: site.weight(NAME) == 30, "30%")
    leader.send(signal.SIGKILL)
    site.when(lambda: site.leads(standby), "the other replica to lead")
    site.when(lambda: site.status.reason == "GateClosed", "the gate")
    run = site.canary(*gated)
    assert (run.ends(), "the controller holds the target" in run.text) == (10, True), run.text
    site.open_gate(NAME)
    assert watch.ends() == 0, watch.text
    assert (site.image(PRIMARY), site.status.phase) == (IMAGE, "Succeeded")
    run = site.canary(*gated)  # its own status is that of the first run
    assert (run.ends(), "rolling out" in run.text) == (0, False), run.text
    assert site.object("VirtualService", NAME)["metadata"]["generation"] == written + 4  # 10, 30, 50, 0
    assert (site.hooked(NAME, 1), site.calls(NAME, 1, "pre-rollout")) == (RELEASED, 1)


def rolled_back_beside_a_run(site: Tutorial, backend: str) -> None:
    """The bad version of podinfo by the controller, while a run releases backend."""
    site.kubectl("set", "image", "deployment/backend", f"podinfod={IMAGE}")
    run = site.canary("run", "-f", backend)
    site.kubectl("set", "env", "deployment/podinfo", "PODINFO_RANDOM_ERROR=true")
    site.when(lambda: site.weight(NAME) == 10, "10% again")
    site.mesh.behave(NAME, errors=0.11)  # not before, or the smoke test might be what fails
    site.when(lambda: site.status.rollouts == 2 and site.status.rollout is None, "the bad version to be rolled back")
    assert (site.status.phase, site.status.history[0].reason) == ("Failed", "SuccessRateBelowMinimum")
    assert site.hooked(NAME, 2) == RELEASED[:2]
    site.when(lambda: "go-ahead is closed" in run.text, "the gate of the run")
    site.open_gate("backend")
    assert run.ends() == 0, run.text
    assert (site.image("backend-primary"), site.hooked("backend", 1)) == (IMAGE, RELEASED)
