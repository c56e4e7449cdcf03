"""Promise: a run that is killed after any write to a primary, its Services or its routes comes to the same end."""

import json
import subprocess
import sys

import pytest

from tests.kill.podinfo import CASES
from tests.parts.cluster import ControlPlane

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

SAME = ("ended", "phase", "rollouts", "outcome", "images", "replicas", "weights", "unserved")
WRITES = {
    "create ControllerRevision",
    "patch Service",
    "patch DestinationRule",
    "create VirtualService",
    "patch VirtualService",
    "patch ConfigMap",
}


@pytest.mark.parametrize("name", CASES)
def test_killed_after_any_write_and_started_again_ends_the_same(
    name: str, control_plane: ControlPlane, namespace: str
) -> None:
    """kill -9 after each write; no one is ever sent to where no pod is, and a bad build is exposed once."""
    command = [sys.executable, "-m", "tests.kill.podinfo", name, str(control_plane.kubeconfig()), namespace]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=800).stdout
    whole, *resumed = [json.loads(line) for line in output.splitlines()]
    end, fatal = {key: whole[key] for key in SAME}, [one["fatal"] for one in resumed]
    kind = CASES[name].get("kind", "Deployment")
    assert set(whole["writes"]) >= WRITES | {f"patch {kind}"}
    assert (end["unserved"], end["rollouts"]) == ([], 1)
    assert len(fatal) > (15 if "provisioned" in CASES[name] else 25)
    assert {one["died"] for one in resumed} == {-9}
    wrong = {one["fatal"]: {key: one.get(key) for key in SAME if one.get(key) != end[key]} for one in resumed}
    assert {moment: what for moment, what in wrong.items() if what} == {}
    assert [one["fatal"] for one in resumed if one["rose"] and name == "failing"] == []
