"""Promise: a run in a cluster that is killed around any of its writes, and started again, ends the same."""

import json
import subprocess
import sys

import pytest

from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane

SAME = ("code", "phase", "outcome", "spec")
WRITES = {"create Lease", "create ConfigMap", "patch ConfigMap", "patch VirtualService", "patch Lease"}
READS = ("after get VirtualService", "after list DestinationRule")
EVERYWHERE = (*READS, "after patch ConfigMap", "after tell")
"""Between reads, between the intent and the route or the message, between the message and its being crossed out."""
WAY = {
    "gate, then promotion in steps": ("Progressing", "WaitingPromotion", "Promoting", "Finalising"),
    "failing": ("Progressing", "Finalising"),
}
"""The phases of each case, apart from the first and the last."""
SILENT = {"gate, then promotion in steps": {"Finalising: after tell #1"}}
"""A promotion is reported once it is over."""


@pytest.mark.parametrize("name", WAY)
def test_killed_at_any_moment_and_started_again_ends_the_same(
    name: str, control_plane: ControlPlane, namespace: str
) -> None:
    """kill -9 after each write of lock, state and route, and in each phase after each kind of read and message."""
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
    end, fatal = {key: whole[key] for key in SAME}, [one["fatal"] for one in resumed]
    assert set(whole["writes"]) >= WRITES
    everywhere = {f"{phase}: {what} #1" for phase in WAY[name] for what in EVERYWHERE}
    assert everywhere - SILENT.get(name, set()) <= set(fatal)
    assert {one["died"] for one in resumed} == {-9}
    assert [{key: one[key] for key in SAME} for one in resumed] == [end] * len(resumed)
    assert [one["fatal"] for one in resumed if one["rose"] and name == "failing"] == []
    assert [one["fatal"] for one in resumed if whole["outcome"] not in one["reported"]] == []
