"""Promise: a controller that is killed around any of its writes, and another one in its place, end the same."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from tests.kill.controller import CASES
from tests.kill.lives import KILLED
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY, Kube, is_true
from tests.parts.processes import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

BEGINS = {
    "Unsaved: create Lease that leads",
    "Unsaved: create Lease",
    "Unsaved: patch Canary",
    "Unsaved: patch Canary/status",
    "Waiting: create Event",
    "Waiting: patch Canary/status",
    "Progressing: patch VirtualService",
    "Progressing: create Event",
}
"""Lease, finalizer, status, message, route."""
WAY = {
    "gates, then promotion in steps": ("Progressing", "WaitingPromotion", "Promoting", "Finalising", "Succeeded"),
    "failing": ("Progressing", "Finalising", "Failed"),
    "rejected at a gate": ("WaitingPromotion", "Finalising", "Failed"),
    "deleted": ("Progressing", "Terminating"),
}
"""Phases in which status is written and messages are sent; the last one is the end."""
IN_EACH = ("patch Canary/status", "create Event")
ROUTES = {"gates, then promotion in steps": {"Progressing", "Promoting"}, "deleted": {"Progressing", "Terminating"}}
"""Phases in which the route is written; of the others' ways Progressing, if they have it, and Finalising."""
SILENT = {"gates, then promotion in steps": {"Finalising: create Event"}}
"""A promotion is reported once it is over."""
PUT_AWAY = ("patch Lease", "patch Canary", "patch Lease that leads")
"""Lease, finalizer, lead."""
NOT_THE_END = {"passed", "fatal", "died"}


@pytest.fixture
def bookinfo_there(control_plane: ControlPlane, kinds: None, namespace: str) -> str:
    """A namespace with two versions of reviews, whose pods are available."""
    kube = control_plane.kube
    kube.create(f"/api/v1/namespaces/{namespace}/services", bookinfo.service("reviews"))
    rules = f"/apis/{bookinfo.ISTIO}/namespaces/{namespace}/destinationrules"
    kube.create(rules, bookinfo.destination_rule("reviews", bookinfo.VERSIONS))
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    names = [f"reviews-{version}" for version in ("v1", "v2")]
    for name in names:
        labels = {"app": "reviews", "version": name.rpartition("-")[2]}
        kube.create(path, bookinfo.deployment(name, labels, 2))
    for name in names:
        wait_for(partial(_available, kube, f"{path}/{name}"), name, within=SLOWLY)
    return namespace


def _available(kube: Kube, path: str) -> bool:
    return is_true(kube.read(path), "Available")


@pytest.mark.parametrize("name", CASES)
def test_killed_around_any_write_the_next_controller_comes_to_the_same_end(
    name: str, control_plane: ControlPlane, bookinfo_there: str, record_property: Callable[[str, object], None]
) -> None:
    """Route, status, history, messages are the same, and nothing is left: no finalizer, no Lease, no action."""
    command = (sys.executable, "-m", "tests.kill.controller", name, str(control_plane.kubeconfig()), bookinfo_there)
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=500)
    whole, *resumed = [json.loads(line) for line in output.stdout.splitlines()]
    end, fatal = {key: whole[key] for key in whole.keys() - NOT_THE_END}, [one["fatal"] for one in resumed]
    record_property(f"{name}: deaths", len(fatal))
    points = BEGINS | {f"{phase}: {write}" for phase in WAY[name] for write in IN_EACH}
    points |= {f"{phase}: patch VirtualService" for phase in ROUTES.get(name, {"Progressing", "Finalising"})}
    points |= {f"{WAY[name][-1]}: {write}" for write in PUT_AWAY}
    points -= SILENT.get(name, set())
    assert {_at(point, side) for point in points for side in ("before", "after")} <= set(fatal)
    assert {one["died"] for one in resumed} == {KILLED}
    assert [(one["fatal"], difference(end, one)) for one in resumed if difference(end, one)] == []
    assert (end["crashes"], end["outbox"], end["rollout"], end["actions"]) == ([], 0, False, [])
    assert (end["finalizers"], end["leases"], end["marks"]) == (None, ["", ""], [None, None, None])


def _at(point: str, side: str) -> str:
    """The first moment of its kind."""
    phase, _, write = point.partition(": ")
    return f"{phase}: {side} {write} #1"


def difference(end: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What isn't as it should be."""
    return {key: other.get(key) for key, value in end.items() if other.get(key) != value}
