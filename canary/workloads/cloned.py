"""The kinds of workload that are released through a primary: where their templates are kept, and how they are scaled.

`primary.py` writes, `kept.py` keeps templates, `primary_workloads.py` reads.
"""

from collections.abc import Mapping
from typing import Protocol

from canary.kube.client import Client, Object
from canary.kube.resources import CONTROLLER_REVISIONS, DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, Resource
from canary.primary import daemon_sets
from canary.primary.names import Data

from . import pods
from .pods import metadata


class ClonedKind(Protocol):
    """One kind. All raise Failures."""

    resource: Resource
    history: str
    """In what its templates are kept."""

    def template(self, client: Client, namespace: str, target: Data, build: str) -> Object | None:
        """The pod template of a build of the target; None where it isn't kept."""

    def newest(self, client: Client, namespace: str, target: Data) -> str:
        """The target's newest build. `target` is as the server has it."""

    def as_it_runs(self, target: Data, template: Data) -> Data:
        """A template with which the target runs as it does now, or nowhere."""

    def scale(self, client: Client, namespace: str, name: str, replicas: int) -> None:
        """Lets a workload run with so many replicas. Raises Conflict where it was changed meanwhile."""


class ClonedDeployment(ClonedKind):
    """A template is in its ReplicaSet."""

    resource = DEPLOYMENTS
    history = "ReplicaSets"

    def template(self, client: Client, namespace: str, target: Data, build: str) -> Object | None:
        owned = _owned(target, _with_its_labels(client, namespace, REPLICA_SETS, target))
        found = next((one for one in owned if pods.revision_of(one) == build), None)
        template: Object | None = found["spec"]["template"] if found else None
        return template

    def newest(self, client: Client, namespace: str, target: Data) -> str:
        sets = _with_its_labels(client, namespace, REPLICA_SETS, target)
        return pods.newest_replica_set(sets, metadata(target)["uid"])

    def as_it_runs(self, target: Data, template: Data) -> Data:
        return template

    def scale(self, client: Client, namespace: str, name: str, replicas: int) -> None:
        client.scale(DEPLOYMENTS, namespace, name, replicas)


class ClonedDaemonSet(ClonedKind):
    """A template is in its ControllerRevision. It runs on all of its nodes, or on none."""

    resource = DAEMON_SETS
    history = "ControllerRevisions"

    def template(self, client: Client, namespace: str, target: Data, build: str) -> Object | None:
        return daemon_sets.found_of(revisions_of(client, namespace, target), build)

    def newest(self, client: Client, namespace: str, target: Data) -> str:
        return daemon_sets.build(target["spec"]["template"])

    def as_it_runs(self, target: Data, template: Data) -> Data:
        return daemon_sets.as_scaled(target, template)

    def scale(self, client: Client, namespace: str, name: str, replicas: int) -> None:
        change = daemon_sets.scaled(client.fresh(DAEMON_SETS, namespace, name), replicas > 0)
        if change:
            client.patch(DAEMON_SETS, namespace, name, change)


CLONED: Mapping[str, ClonedKind] = {one.resource.kind: one for one in (ClonedDeployment(), ClonedDaemonSet())}
"""By `spec.targetRef.kind`."""


def revisions_of(client: Client, namespace: str, daemon_set: Data) -> list[Object]:
    """The ControllerRevisions of a DaemonSet."""
    return _owned(daemon_set, _with_its_labels(client, namespace, CONTROLLER_REVISIONS, daemon_set))


def _with_its_labels(client: Client, namespace: str, resource: Resource, target: Data) -> list[Object]:
    return client.find(resource, namespace, (target["spec"].get("selector") or {}).get("matchLabels"))


def _owned(target: Data, found: list[Object]) -> list[Object]:
    uid = metadata(target)["uid"]
    return [one for one in found if (owner := pods.owner_of(one)) and owner.uid == uid]
