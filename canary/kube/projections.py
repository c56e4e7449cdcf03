"""What is kept of objects that are watched: enough to decide by, as JSON, a tenth of the object. Pure.

Annotations keep their keys, because a patch of ours must not seem to remove those of others.
"""

import json
from collections.abc import Mapping
from typing import Any

Data = Mapping[str, Any]

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The whole object once more, as text: its key stays, its value goes."""
_KEPT = ("name", "namespace", "uid", "resourceVersion", "generation", "labels", "deletionTimestamp")
_WORKLOAD_STATUS = (
    *("observedGeneration", "replicas", "updatedReplicas", "availableReplicas", "updateRevision"),
    *("currentNumberScheduled", "desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"),
)


def routing(found: Data) -> bytes:
    """Of a VirtualService or DestinationRule: all that Istio acts on."""
    return _packed({"metadata": _about(found, annotations=True), "spec": found.get("spec") or {}})


def service(found: Data) -> bytes:
    """Of a Service: whose pods it means."""
    return _packed({"metadata": _about(found), "spec": {"selector": (found.get("spec") or {}).get("selector") or {}}})


def workload(found: Data) -> bytes:
    """Of a Deployment, StatefulSet or DaemonSet: how many there should be, how many there are, and of which build."""
    spec, status = found.get("spec") or {}, found.get("status") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    kept: dict[str, Any] = {"template": {"metadata": {"labels": labels}}}
    if "replicas" in spec:
        kept["replicas"] = spec["replicas"]
    seen = {name: status[name] for name in _WORKLOAD_STATUS if name in status}
    seen["conditions"] = [
        {name: one.get(name) for name in ("type", "status", "reason")}
        for one in status.get("conditions") or ()
        if one.get("type") == "Progressing"
    ]
    return _packed({"metadata": _about(found, annotations=True, labels=False), "spec": kept, "status": seen})


def _about(found: Data, annotations: bool = False, labels: bool = True) -> dict[str, Any]:
    metadata = found.get("metadata") or {}
    kept = {name: metadata[name] for name in _KEPT if name in metadata and (labels or name != "labels")}
    if annotations and metadata.get("annotations"):
        kept["annotations"] = {key: "" if key == APPLIED else value for key, value in metadata["annotations"].items()}
    return kept


def _packed(data: Data) -> bytes:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
