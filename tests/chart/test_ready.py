"""What `helm test` runs, run: kwok only says that pods end well. Only its address and its patience are others."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canary.web import Serving
from tests.chart.helm import Helm, only
from tests.chart.release import Release
from tests.incluster.site import Replica
from tests.parts.kube import SLOWLY
from tests.parts.processes import free_port, get, wait_for

PATIENCE = "45"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"


def asked(helm: Helm, port: int, patience: str = "0") -> tuple[int, str]:
    """Exit code and words of the chart's own command, asking a port of this machine."""
    (container,) = only(helm.render(), "Job", "canary-ready")["spec"]["template"]["spec"]["containers"]
    script, url, waits = container["args"]
    assert (container["command"], url, waits) == (["python", "-c"], "http://canary.canary-system:8080", PATIENCE)
    command = [sys.executable, "-c", script, f"http://127.0.0.1:{port}", patience]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SLOWLY, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.fixture
def replica(release: Release, tmp_path: Path) -> Iterator[Callable[[], Replica]]:
    """Starts a controller under the chart's account and settings, which is stopped at the end."""
    started: list[Replica] = []

    def start() -> Replica:
        started.append(release.started(tmp_path / f"{len(started)}.log"))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def ready(replica: Replica) -> bool:
    """Whether its probe says so."""
    try:
        return get(f"http://127.0.0.1:{replica.port}/readyz")[0] == 200
    except OSError:
        return False


def test_a_replica_that_leads_passes(helm: Helm, replica: Callable[[], Replica]) -> None:
    """It may have just been started: the test waits for it."""
    assert asked(helm, replica().port, PATIENCE) == (0, "ready, and a replica leads")


def test_without_a_leader_it_says_so(helm: Helm, release: Release, replica: Callable[[], Replica]) -> None:
    """Another one holds the Lease, who isn't there any more."""
    kube, path = release.control_plane.kube, f"{LEASES}/{release.namespace}/leases"
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    spec = {"holderIdentity": "gone", "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now}
    kube.request("DELETE", f"{path}/canary")
    kube.create(path, {"metadata": {"name": "canary"}, "spec": spec})
    standby = replica()
    try:
        wait_for(lambda: ready(standby), "the replica to be ready", within=SLOWLY)
        assert asked(helm, standby.port) == (1, "ready, but no replica leads")
    finally:
        kube.request("DELETE", f"{path}/canary")


def test_a_replica_that_is_not_ready_says_why(helm: Helm) -> None:
    """The probe's own sentence."""
    missing = ["canaries aren't listed yet: canaries is forbidden"]
    serving = Serving("127.0.0.1:0", lambda: b"\ncanary_leader 1.0\n", list, lambda: missing)
    serving.start()
    try:
        assert asked(helm, serving.port) == (1, f"not ready: {missing[0]}")
    finally:
        serving.stop()


def test_where_nothing_serves_it_says_so(helm: Helm) -> None:
    """One sentence, no traceback."""
    port = free_port()
    assert asked(helm, port) == (1, f"no answer from http://127.0.0.1:{port}: [Errno 111] Connection refused")
