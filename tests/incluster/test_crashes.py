"""kill -9 after each kind of write in each phase; another replica goes on to the same end, nothing comes twice.

Whole processes in real time, dying one after the other in one rollout; tests/kill has each death by itself.
"""

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from tests.bookinfo.site import NAME
from tests.incluster.site import Site
from tests.mesh import bookinfo

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

REPLICA = (sys.executable, "-m", "tests.incluster.replica")
SHORT: dict[str, Any] = {"steps": [{"weight": 30}, {"weight": 60}], "interval": "1s", "threshold": 1, "drain": "2s"}
LEASES = "coordination.k8s.io/v1"


def generation(site: Site) -> int:
    """How often the routes have been written; annotations don't count."""
    return int(site.mesh.kube.read(site.mesh.path(bookinfo.ISTIO, "VirtualService", NAME))["metadata"]["generation"])


def killed_at_each_write(site: Site, file: Path) -> Sequence[str]:
    """Lets replicas die one after the other, each at a write that none died at before, until the rollout is over.

    The dead leader's Leases are deleted, so that no one has to wait for their end: test_replicas.py has that wait.
    """
    replica = site.controller(environment={"KILLED": str(file)}, program=REPLICA)

    def over() -> bool:
        nonlocal replica
        if replica.process.poll() is not None:
            assert replica.process.returncode == -signal.SIGKILL, replica.text
            site.mesh.kube.request("DELETE", site.mesh.path(LEASES, "Lease"))
            replica = site.controller(environment={"KILLED": str(file)}, program=REPLICA)
        return bool(site.status.history) and "finalizers" not in site.found()["metadata"]

    until = time.monotonic() + 500
    while not over():
        assert time.monotonic() < until, f"{site.status!r}\n{file.read_text()}\n{replica.text[-3000:]}"
        time.sleep(0.1)
    return file.read_text().splitlines()[:-1]


def test_killed_at_each_write_a_healthy_rollout_is_promoted(site: Site, tmp_path: Path) -> None:
    """One rollout, each weight written once, and each thing reported."""
    site.apply(**SHORT)
    written = generation(site)
    killed = killed_at_each_write(site, tmp_path / "killed")
    assert set(killed) >= {
        "Waiting: patch Canary/status",
        "Progressing: patch Canary/status",
        "Progressing: patch VirtualService",
        "Progressing: create Event",
        "Promoting: patch VirtualService",
        "Finalising: patch Canary/status",
        "Succeeded: patch Canary/status",
        "Succeeded: patch Canary",
    }, killed
    status = site.status
    assert (status.rollouts, status.history[0].outcome) == (1, Outcome.PROMOTED)
    assert generation(site) == written + 3
    assert site.state("v2", "v1").traffic == Traffic()
    assert {"Started", "StepPassed", "Promoted"} <= reported(site)


def test_killed_at_each_write_a_bad_version_is_rolled_back(site: Site, tmp_path: Path) -> None:
    """It is exposed once, and never again."""
    site.mesh.behave("reviews-v2", errors=1.0)
    site.apply(**SHORT)
    written = generation(site)
    killed = killed_at_each_write(site, tmp_path / "killed")
    assert set(killed) >= {
        "Progressing: patch VirtualService",
        "Finalising: patch VirtualService",
        "Failed: patch Canary/status",
    }, killed
    status = site.status
    assert (status.rollouts, status.history[0].outcome) == (1, Outcome.ROLLED_BACK)
    assert (site.traffic, generation(site)) == (Traffic(), written + 2)
    assert "RolledBack" in reported(site)


def reported(site: Site) -> set[str]:
    """Reasons of the Canary's Events."""
    found = site.mesh.kube.read(site.mesh.path("events.k8s.io/v1", "Event"))["items"]
    return {one["reason"] for one in found if one["regarding"]["kind"] == "Canary"}
