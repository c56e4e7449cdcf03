"""docs/tutorial-podinfo.md, from its first step to its last: two controllers, the load tester, and a `canary run`."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.conftest import helm_binary
from tests.parts import modules
from tests.parts.cluster import ControlPlane
from tests.podinfo.site import NAME, PRIMARY
from tests.podinfo.tutorial import Programs, Tutorial, tutorial

__all__ = ["helm_binary"]
pytestmark = [pytest.mark.cluster, pytest.mark.long]

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
    first = site.replica()
    site.when(lambda: site.leads(first), "the first replica to lead")
    second = site.replica()

    site.kubectl("apply", "-f", str(site.manifest("app.yaml")), "-f", str(site.manifest("backend.yaml")))
    site.kubectl("apply", "-f", str(site.manifest("gated.yaml")))
    backend = str(site.manifest("backend-run.yaml"))
    run = site.canary("run", "-f", backend)
    site.when(lambda: site.status.phase == "Initialized", "podinfo to be initialised")
    assert run.ends() == 11, run.text
    site.mesh.ready(PRIMARY, "backend-primary")
    users = site.mesh.load(NAME, 60)

    written = site.object("VirtualService", NAME)["metadata"]["generation"]
    site.kubectl("set", "image", "deployment/podinfo", "podinfod=ghcr.io/stefanprodan/podinfo:6.0.1")
    site.when(lambda: site.status.rollouts == 1, "the rollout to start")
    watch = site.canary("watch", NAME)
    site.when(lambda: site.weight(NAME) == 30, "30%")
    first.send(signal.SIGKILL)
    site.when(lambda: site.leads(second), "the second replica to lead")
    site.when(lambda: site.status.reason == "GateClosed", "the gate")
    beside = site.canary("run", "-f", str(site.manifest("gated.yaml")), "--prometheus", site.mesh.prometheus.url)
    assert (beside.ends(), "the controller holds the target" in beside.text) == (10, True), beside.text
    site.open_gate(NAME)
    assert watch.ends() == 0, watch.text
    assert (site.image(PRIMARY), site.status.phase) == ("ghcr.io/stefanprodan/podinfo:6.0.1", "Succeeded")
    assert site.object("VirtualService", NAME)["metadata"]["generation"] == written + 4  # 10, 30, 50, 0
    assert (site.hooked(NAME, 1), site.calls(NAME, 1, "pre-rollout")) == (RELEASED, 1)
    assert site.mesh.measured().failed == 0

    site.kubectl("set", "image", "deployment/backend", "podinfod=ghcr.io/stefanprodan/podinfo:6.0.1")
    run = site.canary("run", "-f", backend)
    site.kubectl("set", "env", "deployment/podinfo", "PODINFO_RANDOM_ERROR=true")
    site.when(lambda: site.weight(NAME) == 10, "10% again")
    site.mesh.behave(NAME, errors=0.11)  # not before, or the smoke test might be what fails
    site.when(lambda: site.status.rollouts == 2 and site.status.rollout is None, "the bad version to be rolled back")
    last = site.status.history[0]
    assert (site.status.phase, last.reason) == ("Failed", "SuccessRateBelowMinimum")
    assert site.hooked(NAME, 2) == RELEASED[:2]
    site.when(lambda: "go-ahead" in run.text, "the gate of the run")
    site.open_gate("backend")
    assert run.ends() == 0, run.text
    assert site.image("backend-primary") == "ghcr.io/stefanprodan/podinfo:6.0.1"
    assert site.hooked("backend", 1) == RELEASED

    users.stop()
    answers = site.mesh.measured()
    assert answers.failed == answers.of(workload=NAME).failed > 0
    site.mesh.seen()
    assert site.answers("podinfo-canary")[NAME]["200"] > 0
    assert site.answers("backend-canary")["backend"].keys() == {"200"}
    assert site.leads(second)
