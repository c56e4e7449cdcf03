"""Whose pods they are, of which revision, and whether they answer: what Kubernetes' objects say. Pure.

A revision is what the controllers themselves call it, never a hash of ours; `kubernetes.py` fetches the objects.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from canary.engine.observed import PodsRefused
from canary.kube.projections import NOWHERE
from canary.kube.resources import DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS, Resource

Data = Mapping[str, Any]

TEMPLATE_HASH, REVISION_HASH = "pod-template-hash", "controller-revision-hash"
"""Labels of pods, by which their controllers tell revisions apart."""
REVISION_NUMBER = "deployment.kubernetes.io/revision"
"""Annotation of ReplicaSets and of their Deployment: counted up, also by an undo, which takes an old one up again."""
_NAMED_POD = re.compile(r'^[Pp]ods? "[^"]*" is (?:forbidden|invalid): ')
"""Each attempt names another pod; without it the words stay the same."""
LONGEST = 200
"""Characters that are kept of what Kubernetes says; a webhook's words may have any length."""
WORKLOADS: Mapping[str, Resource] = {one.kind: one for one in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)}


@dataclass(frozen=True)
class Owner:
    """A controller in ownerReferences."""

    kind: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def owner_of(found: Data) -> Owner | None:
    """The controller of an object."""
    for one in metadata(found).get("ownerReferences") or ():
        if one.get("controller"):
            return Owner(one["kind"], one["name"], one["uid"])
    return None


def serves(pod: Data) -> bool:
    """Whether requests are sent to it: ready, and not on its way out."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not metadata(pod).get("deletionTimestamp")


def revision_of(pod: Data) -> str:
    """As the pod's controller calls it; empty for a pod without one."""
    labels = metadata(pod).get("labels") or {}
    return str(labels.get(TEMPLATE_HASH) or labels.get(REVISION_HASH) or "")


def newest_replica_set(sets: Iterable[Data], deployment: str) -> str:
    """The template hash of the newest ReplicaSet of a Deployment, given by its uid; empty where it has none."""
    newest = _newest(sets, deployment)
    return revision_of(newest) if newest else ""


def agreed(deployment: Data, sets: Iterable[Data]) -> bool:
    """Whether the newest of these ReplicaSets is the one that the Deployment, read after them, has as its newest."""
    newest = _newest(sets, metadata(deployment)["uid"])
    return newest is not None and observed(deployment) and _number(newest) == _number(deployment)


def newest_controller_revision(revisions: Iterable[Data], daemon_set: str) -> str:
    """The hash of the newest ControllerRevision of a DaemonSet, given by its uid; empty where it has none."""
    owned = [one for one in revisions if (owner := owner_of(one)) and owner.uid == daemon_set]
    newest = max(owned, key=lambda one: int(one.get("revision") or 0), default=None)
    return revision_of(newest) if newest else ""


def observed(workload: Data) -> bool:
    """Whether its controller has seen the newest spec; until then status speaks of an earlier one."""
    seen = (workload.get("status") or {}).get("observedGeneration") or 0
    return int(seen) >= int(metadata(workload).get("generation") or 0)


def desired_version(workload: Data) -> int:
    """Replicas that there should be; of a DaemonSet, nodes that it should run on."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    asked = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector") or {}
    if any(key in NOWHERE for key in asked):
        return 0
    return int(spec["replicas"] if "replicas" in spec else status.get("desiredNumberScheduled") or 0)


def available(workload: Data) -> int:
    """Replicas that have been ready for minReadySeconds, of any revision."""
    status = workload.get("status") or {}
    return int(status.get("availableReplicas") or status.get("numberAvailable") or 0)


def count(workload: Data) -> int:
    """Pods that there are, those of a Deployment on their way out apart."""
    status = workload.get("status") or {}
    return _scheduled(status) + int(status.get("numberMisscheduled") or 0)


def uniform(workload: Data) -> bool:
    """Whether all of its pods are of the newest build: then it tells itself how many of that can answer."""
    status = workload.get("status") or {}
    newest = int(status.get("updatedReplicas") or status.get("updatedNumberScheduled") or 0)
    return observed(workload) and _scheduled(status) == newest


def _scheduled(status: Data) -> int:
    return int(status.get("replicas") or status.get("currentNumberScheduled") or 0)


def stuck(workload: Data) -> str | None:
    """Why it will not get ready by itself; said of the newest spec only."""
    if not observed(workload):
        return None
    for one in (workload.get("status") or {}).get("conditions") or ():
        if one["type"] == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            return "ProgressDeadlineExceeded"
    return None


def refused(workload: Data) -> PodsRefused | None:
    """That none of its pods can be made, and why; said of the newest spec only."""
    if not observed(workload):
        return None
    for one in (workload.get("status") or {}).get("conditions") or ():
        if one["type"] == "ReplicaFailure" and one.get("status") == "True" and one.get("lastTransitionTime"):
            why = _NAMED_POD.sub("", str(one.get("message") or one.get("reason") or ""))
            return PodsRefused(datetime.fromisoformat(one["lastTransitionTime"]), why[:LONGEST])
    return None


def carries(workload: Data, labels: Mapping[str, str]) -> bool:
    """Whether the pods that it makes have all these labels."""
    template = (workload.get("spec") or {}).get("template") or {}
    made = metadata(template).get("labels") or {}
    return all(made.get(key) == value for key, value in labels.items())


def metadata(found: Data) -> Data:
    """Of an object."""
    return found.get("metadata") or {}


def _newest(sets: Iterable[Data], deployment: str) -> Data | None:
    return max(
        (one for one in sets if (owner := owner_of(one)) and owner.uid == deployment), key=_number, default=None
    )


def _number(found: Data) -> int:
    return int((metadata(found).get("annotations") or {}).get(REVISION_NUMBER) or 0)


def build(found: bytes | None) -> tuple[object, ...]:
    """What changes with the build that a watched workload runs."""
    if found is None:
        return ()
    data = json.loads(found)
    about, status = data["metadata"], data["status"]
    numbered = (about.get("annotations") or {}).get(REVISION_NUMBER)
    seen = (status.get("updateRevision"), status.get("observedGeneration"))
    return (about["uid"], about.get("generation"), numbered, *seen)
