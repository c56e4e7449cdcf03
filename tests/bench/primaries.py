"""Canaries for Deployments, for `scale.py`: provisioned and pushed to, with Kubernetes' own controllers at work."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from canary.api.kinds import KINDS
from canary.crds.definitions import text
from tests.bench import fleet
from tests.bench.fleet import OURS, Writer, place
from tests.parts.cluster import ControlPlane
from tests.parts.processes import wait_for


def started(plane: ControlPlane) -> None:
    """A whole control plane, whose Deployments have pods."""
    plane.start()
    plane.kube.create_crds(text(kind) for kind in KINDS)


def service(writer: Writer, number: int, size: int, prometheus: str) -> None:
    """A Deployment of one replica and its Canary."""
    space, name = place(number)
    spec = {**fleet.workload({"app": name}, 1), "progressDeadlineSeconds": 3600}
    writer.create(f"/apis/apps/v1/namespaces/{space}/deployments", {"metadata": {"name": name}, "spec": spec})
    canary = {
        "apiVersion": OURS,
        "kind": "Canary",
        "metadata": {"name": name, "labels": {"size": str(size)}},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 80},
            "metricsServer": prometheus,
            "analysis": fleet.ANALYSIS,
        },
    }
    writer.create(f"/apis/{OURS}/namespaces/{space}/canaries", canary)


def initialised(plane: ControlPlane, count: int) -> None:
    """Waits until so many Canaries are at rest beside their primaries, with nothing left of the first pods."""

    def done() -> bool:
        canaries = plane.kube.read(f"/apis/{OURS}/canaries")["items"]
        known = [one for one in canaries if (one.get("status") or {}).get("phase") == "Initialized"]
        if len(known) < count:
            return False
        deployments = plane.kube.read("/apis/apps/v1/deployments")["items"]
        return bool(sum(one["spec"]["replicas"] == 0 for one in deployments) >= count)

    wait_for(done, f"{count} Canaries to be initialized", within=900, every=2.0)


def pushes(writer: Writer, count: int) -> Iterator[Callable[[], Any]]:
    """`kubectl set image` for each."""
    for number in range(count):
        space, name = place(number)
        container = {"name": "app", "image": "registry.example/team/app:1.2.4"}
        spec = {"template": {"spec": {"containers": [container]}}}
        yield partial(writer.merge, f"/apis/apps/v1/namespaces/{space}/deployments/{name}", {"spec": spec})


def pairs(number: int) -> Iterator[tuple[str, str]]:
    """Workload and host of both versions of a service."""
    _, name = place(number)
    yield f"{name}-primary", f"{name}-primary"
    yield name, f"{name}-canary"
