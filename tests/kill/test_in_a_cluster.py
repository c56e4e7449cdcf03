"""Promise: a run in a cluster that is killed around any of its writes, and started again, ends the same."""

import json
import subprocess
import sys

import pytest

from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane

SAME = ("code", "phase", "outcome", "spec")
WRITES = {"create Lease", "create ConfigMap", "patch ConfigMap", "patch VirtualService", "patch Lease"}


@pytest.mark.parametrize("name", ["healthy", "failing"])
def test_killed_around_any_write_and_started_again_ends_the_same(
    name: str, control_plane: ControlPlane, namespace: str
) -> None:
    """kill -9 before and after each write of lock, state and route, on a real API server."""
    rules = f"/apis/{bookinfo.ISTIO}/namespaces/{namespace}/destinationrules"
    control_plane.kube.create(rules, bookinfo.destination_rule("reviews", bookinfo.VERSIONS))
    output = subprocess.run(
        [sys.executable, "-m", "tests.kill.cluster", name, str(control_plane.kubeconfig()), namespace],
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
    ).stdout
    whole, *resumed = [json.loads(line) for line in output.splitlines()]
    end = {key: whole[key] for key in SAME}
    assert len(resumed) == whole["points"] == 2 * len(whole["writes"])
    assert set(whole["writes"]) == WRITES
    assert {one["died"] for one in resumed} == {-9}
    assert [{key: one[key] for key in SAME} for one in resumed] == [end] * len(resumed)
    assert [one["fatal"] for one in resumed if one["rose"] and name == "failing"] == []
