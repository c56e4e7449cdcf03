"""Podinfo: a Deployment, a template as its ReplicaSet has it, and a Canary for it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from canary.api.canary import Canary

Object = dict[str, Any]
Data = Mapping[str, Any]

NAMESPACE = "test"
POD: Object = {
    "containers": [
        {
            "name": "podinfod",
            "image": "stefanprodan/podinfo:6.0.0",
            "ports": [
                {"name": "http", "containerPort": 9898, "protocol": "TCP"},
                {"name": "http-metrics", "containerPort": 9797, "protocol": "TCP"},
                {"name": "grpc", "containerPort": 9999, "protocol": "TCP"},
            ],
            "env": [{"name": "PODINFO_UI_COLOR", "value": "#34577c"}],
        }
    ]
}
DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "podinfo",
        "namespace": NAMESPACE,
        "uid": "5f2c",
        "resourceVersion": "17",
        "generation": 3,
        "labels": {"app": "podinfo", "team": "shop"},
        "annotations": {"deployment.kubernetes.io/revision": "3", "team/chat": "#shop"},
    },
    "spec": {
        "replicas": 2,
        "minReadySeconds": 5,
        "revisionHistoryLimit": 5,
        "progressDeadlineSeconds": 60,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": "25%"}},
        "selector": {"matchLabels": {"app": "podinfo"}},
        "template": {
            "metadata": {
                "labels": {"app": "podinfo", "tier": "web"},
                "annotations": {"prometheus.io/scrape": "true"},
            },
            "spec": POD,
        },
    },
    "status": {"replicas": 2},
}
REVISION = "6bd4f5c9"


def deployment(selected: Mapping[str, str] | None = None, pod: Data | None = None, **metadata: Any) -> Object:
    """Podinfo, selected by other labels, with other fields of its pods, with other metadata."""
    made = deepcopy(DEPLOYMENT)
    made["metadata"] |= metadata
    template = made["spec"]["template"]
    template["spec"] |= pod or {}
    if selected is not None:
        made["spec"]["selector"]["matchLabels"] = dict(selected)
        template["metadata"]["labels"] = {"tier": "web", **selected}
    return made


def template(target: Data) -> Object:
    """As the ReplicaSet of its revision has it."""
    made: Object = deepcopy(target["spec"]["template"])
    made["metadata"]["labels"]["pod-template-hash"] = REVISION
    made["metadata"]["creationTimestamp"] = None
    return made


def canary(service: Data | None = None, name: str = "podinfo", target: str = "podinfo") -> Canary:
    """A Canary for it; what is given of the Service stands beside its port."""
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "service": {"port": 9898, **(service or {})},
    }
    metadata = {"name": name, "namespace": NAMESPACE}
    return Canary.model_validate({"metadata": metadata, "spec": spec}, extra="forbid", by_name=False)
