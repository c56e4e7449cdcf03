"""podinfo whose primary keeps the labels of its pods: objects that select them go on to match all that serve."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.mesh import bookinfo
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import NAME

pytestmark = pytest.mark.cluster
LABELS = {"matchLabels": {"app": NAME}}
POLICIES: Mapping[str, dict[str, Any]] = {
    "PodDisruptionBudget": {"apiVersion": "policy/v1", "spec": {"minAvailable": 1, "selector": LABELS}},
    "NetworkPolicy": {
        "apiVersion": "networking.k8s.io/v1",
        "spec": {"podSelector": LABELS, "ingress": [{"ports": [{"port": 9898}]}]},
    },
    "AuthorizationPolicy": {
        "apiVersion": bookinfo.SECURITY,
        "spec": {"selector": LABELS, "rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]},
    },
}
"""By kind: what a user may have for the pods of podinfo."""


class Policies:
    """Those of one namespace, and the pods that each selects now."""

    def __init__(self, site: ControlledSite) -> None:
        self.site = site
        for kind, body in POLICIES.items():
            site.mesh.apply({**body, "kind": kind, "metadata": {"name": NAME}})

    def selected(self, kind: str) -> set[str]:
        """By the selector that the API server has."""
        path = self.site.mesh.path(POLICIES[kind]["apiVersion"], kind, NAME)
        spec = self.site.mesh.kube.read(path)["spec"]
        labels = (spec.get("podSelector") or spec["selector"])["matchLabels"]
        asked = ",".join(f"{key}={value}" for key, value in labels.items())
        found = self.site.mesh.kube.request("GET", self.site.mesh.path("v1", "Pod"), labelSelector=asked)
        return {one["metadata"]["name"] for one in found.json()["items"]}

    def cover(self, count: int) -> None:
        """Each selects the pods that answer users now, and no others: so many."""
        self.site.mesh.wait_loaded()
        serving = {one.pod for one in self.site.mesh.ask(NAME, 40).answers}
        assert {kind: self.selected(kind) for kind in POLICIES} == dict.fromkeys(POLICIES, serving)
        assert len(serving) == count

    def healthy(self) -> int:
        """Pods that the budget counts."""
        found = self.site.mesh.kube.read(self.site.mesh.path("policy/v1", "PodDisruptionBudget", NAME))
        return int((found.get("status") or {}).get("currentHealthy") or 0)


def test_a_rollout_with_kept_labels(bare: ControlledSite) -> None:
    """Policies select the pods of target and primary, Services tell these apart, and no user meets an error."""
    policies = Policies(bare)
    bare.controller()
    kept = {"service": {"port": 9898, "primaryLabels": "keep"}, "revertOnDeletion": True}
    bare.settle(spec=kept, steps=[{"weight": 50, "gates": [{"approval": {"count": 1}, "timeout": "1h"}]}])
    bare.when(lambda: policies.healthy() == 2, "the budget to count the primary's pods")
    policies.cover(2)
    image = bare.push()
    bare.until("WaitingForApproval")
    bare.when(lambda: policies.healthy() == 4, "the budget to count the pods of both")
    policies.cover(4)
    assert bare.serving() == {"podinfo:1", image}
    bare.act("approve")
    bare.ends("Succeeded", 1)
    bare.podinfo.at_rest(image.removeprefix("podinfo:"))
    policies.cover(2)
    bare.settle(spec=kept)
    bad = bare.push(errors=1.0)
    bare.ends("Failed", 2)
    measured = bare.mesh.measured(bare.podinfo.since)
    assert measured.failed == measured.of(image=bad, workload=NAME).failed > 0
    bare.delete()
    bare.when(lambda: not bare.there("podinfo-primary"), "the primary to be removed")
    assert bare.object("Service", "v1")["spec"]["selector"] == {"app": NAME}
    assert bare.mesh.measured(bare.podinfo.since).failed == measured.failed
