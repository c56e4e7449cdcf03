"""Workloads of a shop: what is put into a namespace, and how its pods are found."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from canary.engine.observed import Missing, WorkloadSeen
from canary.workloads.kubernetes import KubernetesWorkloads
from tests.parts.kube import SLOWLY, Kube
from tests.parts.processes import wait_for

T = TypeVar("T")
LABELS = {"app": "shop", "version": "v2"}
PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


def workload(kind: str, image: str, name: str = "shop-v2", replicas: int = 2, **spec: Any) -> dict[str, Any]:
    """Of two pods, or of one on each of the three nodes."""
    pod = {"metadata": {"labels": {**LABELS, "of": name}}, "spec": {"containers": [{"name": "main", "image": image}]}}
    whole: dict[str, Any] = {"selector": {"matchLabels": {**LABELS, "of": name}}, "template": pod, **spec}
    if kind != "DaemonSet":
        whole["replicas"] = replicas
    if kind == "StatefulSet":
        whole["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": whole}


class Shop:
    """One namespace."""

    def __init__(self, kube: Kube, namespace: str, workloads: KubernetesWorkloads) -> None:
        self.kube = kube
        self.namespace = namespace
        self.workloads = workloads

    def path(self, kind: str, name: str = "") -> str:
        root = f"/apis/apps/v1/namespaces/{self.namespace}/{PLURALS[kind]}"
        return f"{root}/{name}" if name else root

    def create(self, kind: str, image: str = "shop:1", **more: Any) -> None:
        self.kube.create(self.path(kind), workload(kind, image, **more))

    def push(self, kind: str, image: str, name: str = "shop-v2") -> None:
        """A new image."""
        template = {"spec": {"containers": [{"name": "main", "image": image}]}}
        self.kube.merge(self.path(kind, name), {"spec": {"template": template}})

    def scale(self, replicas: int, kind: str = "Deployment", name: str = "shop-v2") -> None:
        self.kube.merge(self.path(kind, name), {"spec": {"replicas": replicas}})

    def seen(self) -> WorkloadSeen | Missing:
        return self.workloads.read("v2")

    def wait(self, **expected: Any) -> WorkloadSeen:
        """The first reading in which these fields are so."""
        return until(partial(self._matches, expected), f"{expected}; last {self.seen()}")

    def _matches(self, expected: dict[str, Any]) -> WorkloadSeen | None:
        seen = self.seen()
        if isinstance(seen, Missing):
            return None
        return seen if all(getattr(seen, name) == value for name, value in expected.items()) else None


def until(check: Callable[[], T | None], what: str) -> T:
    """What the check returns once it is something; a busy machine may take its time."""
    found = wait_for(check, what, within=SLOWLY)
    assert found is not None
    return found
