"""The primary's scaler, made of the target's."""

from typing import Any

import pytest

from canary.api.service import AutoscalerRef
from canary.primary.workload import PAUSED, pausing, scaler
from tests.engine.situations import manifest

HPA: dict[str, Any] = {
    "metadata": {"name": "web", "labels": {"team": "shop"}},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 2,
        "maxReplicas": 4,
        "metrics": [{"type": "Resource"}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    },
}
QUERY = (
    'sum(rate(requests{workload="web"}[1m])) + sum(rate(requests{workload="web-canary"}[1m])) + web_total{x="web2"}'
)
KEDA: dict[str, Any] = {
    "metadata": {"name": "web", "annotations": {PAUSED: "0", "scaledobject.keda.sh/transfer-hpa-ownership": "true"}},
    "spec": {
        "scaleTargetRef": {"name": "web"},
        "minReplicaCount": 1,
        "advanced": {"horizontalPodAutoscalerConfig": {"name": "web-hpa", "behavior": {}}},
        "triggers": [
            {"type": "prometheus", "name": "rps", "metadata": {"query": QUERY, "threshold": "5"}},
            {"type": "prometheus", "name": "own", "metadata": {"query": "mine"}},
            {"type": "cpu", "metadata": {"value": "60"}},
        ],
    },
}


def made(found: dict[str, Any], **ref: Any) -> dict[str, Any]:
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "service": {"port": 80},
        "version": None,
    }
    return dict(scaler(manifest(spec), AutoscalerRef.model_validate({"name": "web", **ref}), found))


def test_a_horizontal_pod_autoscaler() -> None:
    """All of it but for the target, the limits that the manifest has, and the name."""
    given = made(HPA, kind="HorizontalPodAutoscaler", primaryScalerReplicas={"maxReplicas": 9})
    target = {**HPA["spec"]["scaleTargetRef"], "name": "web-primary"}
    assert given["spec"] == {**HPA["spec"], "scaleTargetRef": target, "maxReplicas": 9}
    assert (given["metadata"]["name"], given["metadata"]["labels"]) == ("web-primary", {"team": "shop"})


def test_a_scaled_object() -> None:
    """Its queries ask about the primary; words that only begin like the target's name stay."""
    given = made(
        KEDA, kind="ScaledObject", primaryScalerQueries={"own": "theirs"}, primaryScalerReplicas={"minReplicas": 3}
    )
    first, second, third = given["spec"]["triggers"]
    replaced = QUERY.replace('"web-canary"', '"web-primary"').replace('"web"', '"web-primary"')
    assert (first["metadata"]["query"], second["metadata"]["query"]) == (replaced, "theirs")
    assert third == KEDA["spec"]["triggers"][2]
    assert given["spec"]["minReplicaCount"] == 3
    assert given["spec"]["advanced"] == {"horizontalPodAutoscalerConfig": {"name": "web-hpa-primary", "behavior": {}}}
    assert PAUSED not in given["metadata"]["annotations"]
    assert given["metadata"]["annotations"]["scaledobject.keda.sh/transfer-hpa-ownership"] == "true"


@pytest.mark.parametrize(("kind", "replicas", "change"), [
    ("HorizontalPodAutoscaler", 0, None),
    ("ScaledObject", 0, {PAUSED: "0"}),
    ("ScaledObject", 3, {PAUSED: None}),
])  # fmt: skip
def test_what_would_scale_the_target_up_again_is_paused(kind: str, replicas: int, change: object) -> None:
    assert pausing(AutoscalerRef(kind=kind, name="web"), replicas) == change
