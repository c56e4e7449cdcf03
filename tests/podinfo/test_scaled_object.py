"""podinfo with a ScaledObject, as KEDA's own definition has it: copied for the primary, paused and resumed."""

from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.primary.workload import PAUSED
from tests.parts.processes import wait_for
from tests.podinfo.site import NAME, PRIMARY, PodinfoSite

pytestmark = pytest.mark.cluster
KIND = ("keda.sh/v1alpha1", "ScaledObject")
GATE = [{"weight": 50, "gates": [{"approval": {"count": 1}, "timeout": "1h"}]}]
SCALED: dict[str, Any] = {
    "apiVersion": KIND[0],
    "kind": KIND[1],
    "metadata": {"name": NAME, "annotations": {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}},
    "spec": {
        "scaleTargetRef": {"name": NAME},
        "minReplicaCount": 1,
        "maxReplicaCount": 4,
        "fallback": {"failureThreshold": 3, "replicas": 2, "behavior": "static"},
        "advanced": {"horizontalPodAutoscalerConfig": {"name": "podinfo-hpa"}},
        "triggers": [
            {
                "type": "prometheus",
                "name": "rps",
                "metadata": {
                    "serverAddress": "http://prometheus:9090",
                    "query": f'sum(rate(http_requests_total{{app="{NAME}"}}[30s]))',
                    "threshold": "5",
                },
            }
        ],
    },
}


def found(site: PodinfoSite, name: str) -> Any:
    return site.mesh.kube.read(site.mesh.path(*KIND, name))


def paused(site: PodinfoSite) -> str | None:
    """The replicas with which the target's is paused."""
    said: str | None = (found(site, NAME)["metadata"].get("annotations") or {}).get(PAUSED)
    return said


def test_a_scaled_object_is_copied_paused_and_resumed(site: PodinfoSite, scaled_objects: None) -> None:
    """The primary's asks about the primary, and is never paused; the target's scales only in a rollout."""
    site.mesh.apply(SCALED)
    limits = {"primaryScalerReplicas": {"minReplicas": 2, "maxReplicas": 6}}
    site.provisioned(
        spec={"autoscalerRef": {"apiVersion": KIND[0], "kind": KIND[1], "name": NAME, **limits}}, steps=GATE
    )
    assert (paused(site), site.replicas()) == ("0", 0)
    copy = found(site, PRIMARY)
    assert copy["spec"]["scaleTargetRef"]["name"] == PRIMARY
    assert (copy["spec"]["minReplicaCount"], copy["spec"]["maxReplicaCount"]) == (2, 6)
    assert copy["spec"]["fallback"] == SCALED["spec"]["fallback"]
    assert copy["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"] == "podinfo-hpa-primary"
    assert (
        copy["spec"]["triggers"][0]["metadata"]["query"] == f'sum(rate(http_requests_total{{app="{PRIMARY}"}}[30s]))'
    )
    assert PAUSED not in copy["metadata"]["annotations"]
    site.push("2", None)
    run = site.run()
    wait_for(lambda: site.traffic == Traffic(weight=50), "the step")
    assert (paused(site), site.replicas()) == (None, 2)
    approved = site.ask("approve")
    assert approved.returncode == 0, approved.stderr
    assert run.ends() == 0, run.text
    site.at_rest("2")
    assert paused(site) == "0"
    assert PAUSED not in found(site, PRIMARY)["metadata"]["annotations"]
    assert found(site, NAME)["spec"] == SCALED["spec"]
    assert site.failed == 0
