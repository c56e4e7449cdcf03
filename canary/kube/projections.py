"""What is kept of objects that are watched: enough to decide by, as JSON, a tenth of the object. Pure.

Annotations keep their keys, because a patch of ours must not seem to remove those of others.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

Data = Mapping[str, Any]

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The whole object once more, as text: its key stays, its value goes."""
OWN = "canary-controller.dev/"
"""How annotations of canary begin."""
IMAGES = "canary-controller.dev/images"
"""Stands for the containers of a workload's pod template."""
DIGEST = "canary-controller.dev/digest"
"""Stands for the whole pod template of a workload that canary made, and for what `selection` gives of a Service."""
PASSED_ON = ("selector", "ports", "publishNotReadyAddresses", "trafficDistribution")
"""Fields of a Service's spec by which requests reach pods."""
NOWHERE = ("canary-controller.dev/scale-to-zero", "flagger.app/scale-to-zero")
"""Labels that no node has: a DaemonSet whose pods ask for one runs nowhere. The first one is canary's."""
_KEPT = ("name", "namespace", "uid", "resourceVersion", "generation", "labels", "deletionTimestamp")
_WORKLOAD_STATUS = (
    *("observedGeneration", "replicas", "updatedReplicas", "availableReplicas", "updateRevision"),
    *("currentNumberScheduled", "desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"),
    "numberMisscheduled",
)


def packed(data: Data) -> bytes:
    """As JSON on one line."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def routing(found: Data) -> bytes:
    """Of a VirtualService or DestinationRule: all that Istio acts on."""
    return packed({"metadata": _about(found, annotations=True), "spec": found.get("spec") or {}})


def service(found: Data) -> bytes:
    """Of a Service: whose pods it means, on which ports, and what canary has noted on it."""
    about, annotations = _about(found), (found.get("metadata") or {}).get("annotations") or {}
    noted = {key: value for key, value in annotations.items() if key.startswith(OWN)}
    about |= {"annotations": noted} if noted else {}
    selector = (found.get("spec") or {}).get("selector") or {}
    return packed({"metadata": about, "spec": {"selector": selector, DIGEST: selection_digest(found)}})


def selection(found: Data) -> dict[str, Any]:
    """Of a Service, as the API server has it: the part of its spec by which requests reach pods."""
    kept = {name: one for name, one in (found.get("spec") or {}).items() if name in PASSED_ON and one}
    ports = [{name: one for name, one in port.items() if name != "nodePort"} for port in kept.get("ports") or ()]
    return kept | ({"ports": ports} if ports else {})


def selection_digest(found: Data) -> str:
    """Of that; also of what `service` keeps."""
    known = (found.get("spec") or {}).get(DIGEST)
    return str(known or sha256(json.dumps(selection(found), sort_keys=True).encode()).hexdigest()[:10])


def workload(found: Data) -> bytes:
    """Of a Deployment, StatefulSet or DaemonSet: how many there should be, how many there are, and of which build."""
    spec, status = found.get("spec") or {}, found.get("status") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    kept: dict[str, Any] = {"template": {"metadata": {"labels": labels}, IMAGES: images(found)}}
    if any(key.startswith(OWN) for key in (found.get("metadata") or {}).get("annotations") or {}):
        kept["template"][DIGEST] = template_digest(found)
    asked = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector") or {}
    if any(key in NOWHERE for key in asked):
        kept["template"]["spec"] = {"nodeSelector": {key: asked[key] for key in NOWHERE if key in asked}}
    kept |= {name: spec[name] for name in ("replicas", "selector") if name in spec}
    seen = {name: status[name] for name in _WORKLOAD_STATUS if name in status}
    seen["conditions"] = [
        {name: one.get(name) for name in ("type", "status", "reason")}
        for one in status.get("conditions") or ()
        if one.get("type") == "Progressing"
    ]
    return packed({"metadata": _about(found, annotations=True, labels=False), "spec": kept, "status": seen})


def images(found: Data) -> list[str]:
    """Of the containers of a workload, or of what `workload` keeps of one."""
    template = (found.get("spec") or {}).get("template") or {}
    known = template.get(IMAGES)
    if known is not None:
        return list(known)
    return [str(one.get("image") or "") for one in (template.get("spec") or {}).get("containers") or ()]


def template_digest(found: Data) -> str:
    """Of a workload's pod template, as the API server has it; also of what `workload` keeps of one of canary's."""
    template = (found.get("spec") or {}).get("template") or {}
    return str(template.get(DIGEST) or sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16])


def _about(found: Data, annotations: bool = False, labels: bool = True) -> dict[str, Any]:
    metadata = found.get("metadata") or {}
    kept = {name: metadata[name] for name in _KEPT if name in metadata and (labels or name != "labels")}
    if annotations and metadata.get("annotations"):
        kept["annotations"] = {key: "" if key == APPLIED else value for key, value in metadata["annotations"].items()}
    return kept
