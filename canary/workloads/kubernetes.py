"""What runs behind a version in a cluster, found as Istio finds it: by the labels of its pods.

One workload (Deployment, StatefulSet or DaemonSet) stands behind a version. A second one is an error that says so,
because two have no one revision, and evidence of the two can't be separated; one that is scaled to zero doesn't
count beside another. A read takes two requests: the pods and the workload; one or two more when a revision is new;
three to six at first sight. Where workloads are watched, it takes none while all pods are of the newest build,
because then the workload itself tells how many can answer. `pods.py` knows what the objects say.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from canary.engine.observed import Cause, Missing, WorkloadSeen
from canary.kube.client import Client, Object
from canary.kube.errors import Failure, NotFound
from canary.kube.projections import images
from canary.kube.resources import (
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from canary.ports import Workloads

from . import pods
from .pods import metadata

Labels = Mapping[str, str]
SelectorOf = Callable[[str], Labels | Missing]


class Unclear(Exception):
    """The workload of a version isn't known."""

    def __init__(self, kind: Cause, detail: str) -> None:
        self.missing = Missing(kind, detail)
        super().__init__(detail)


@dataclass(frozen=True)
class Known:
    """The workload behind a version, as far as it needn't be asked for again."""

    resource: Resource
    name: str
    uid: str
    controllers: frozenset[str] = frozenset()
    """Uids that own its pods: its own, or those of its ReplicaSets."""
    revision: str = ""
    hashes: frozenset[str] = frozenset()
    """What its controller calls the pods of this revision, where that is something else."""
    mark: tuple[str, ...] = ()
    """What the workload looked like when `revision` was found; while it looks like that, so it is."""

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.name}"


class KubernetesWorkloads(Workloads):
    """The port Workloads in one namespace, that of the service. Keeps in mind what stands behind each version."""

    def __init__(self, client: Client, namespace: str, selector_of: SelectorOf, watched: bool = False) -> None:
        """`selector_of` gives the labels of a version's pods: the Service's selector and the subset's labels.

        `watched`: the client has workloads in memory, and `forget` is called where another one makes such pods.
        """
        self._client = client
        self._namespace = namespace
        self._selector_of = selector_of
        self._watched = watched
        self._known: dict[str, Known] = {}
        self.labels: dict[str, Labels] = {}
        """Labels of the pods of each version, as they were read last."""

    def depends_on(self, config_map: str) -> bool:
        """Whether a change of this ConfigMap is another revision."""
        return False

    @property
    def polls(self) -> bool:
        """Whether a revision stands on what isn't watched."""
        return False

    @property
    def follows(self) -> bool:
        """Whether a revision stands on ConfigMaps."""
        return False

    @property
    def blind(self) -> bool:
        """Whether a revision stands on what may not be read."""
        return False

    @property
    def known(self) -> Mapping[str, str]:
        """By version, the uid of the workload that was found behind it."""
        return {version: known.uid for version, known in self._known.copy().items()}  # a reconcile may be adding

    def forget(self) -> None:
        """The next read searches the workloads again."""
        self._known.clear()

    def read(self, version: str) -> WorkloadSeen | Missing:
        """See the port. Pods count while they are ready; of the pinned revision no more than are available."""
        try:
            labels = self._labels(version)
            settled = self._settled(version, labels)
            if settled is not None:
                return settled
            found = self._pods(version, labels)
            known, workload = self._workload(version, labels, found)
        except (Failure, Unclear) as error:
            return error.missing
        serving = [pod for pod in found if pods.serves(pod)]
        called = known.hashes or {known.revision}
        mine = [pod for pod in serving if _owned(pod, known) and pods.revision_of(pod) in called]
        available = min(len(mine), pods.available(workload)) if pods.observed(workload) else len(mine)
        return _workload_seen(known, workload, available, others=len(serving) - len(mine))

    def _pods(self, version: str, labels: Labels) -> list[Object]:
        """Those of a version."""
        return self._client.find(PODS, self._namespace, labels)

    def _settled(self, version: str, labels: Labels) -> WorkloadSeen | None:
        """What the workload itself tells, where it is watched, and all of its pods are of one build."""
        if not self._watched:
            return None
        known, workload = self._workload(version, labels, ())
        if known.mark != mark_of(workload) or not pods.uniform(workload):
            return None
        return _workload_seen(known, workload, pods.available(workload))

    def revision(self, version: str) -> str | Missing:
        """The revision behind a version now: one request, more when it changed. For the target's `wanted`."""
        try:
            known, workload = self._workload(version, self._labels(version), ())
        except (Failure, Unclear) as error:
            return error.missing
        if not pods.observed(workload) or not known.revision:
            return Missing(Cause.NOT_YET, f"{known} was changed, and its controller hasn't seen the change yet")
        return known.revision

    def still(self, version: str) -> bool:
        """Whether the workload that was found behind a version looks as it did, asked of the server itself.

        For what mustn't stand on a watch that may be late. Raises NotFound and others.
        """
        known = self._known.get(version)
        if known is None:
            return True
        found = self._client.fresh(known.resource, self._namespace, known.name)
        return known.mark == mark_of(found)

    def _labels(self, version: str) -> Labels:
        labels = self._selector_of(version)
        if isinstance(labels, Missing):
            raise Unclear(labels.cause, labels.detail)
        self.labels[version] = dict(labels)
        if not labels:
            raise Unclear(Cause.INVALID, f"no label tells the pods of {version} from others")
        return labels

    def _workload(self, version: str, labels: Labels, found: Sequence[Object]) -> tuple[Known, Object]:
        """What stands behind the version, and how it is now. Raises Unclear, Failure."""
        known = self._known.get(version)
        workload = self._get(known) if known else None
        if known is None or workload is None or not pods.carries(workload, labels):
            known, workload = self._discovered(version, labels, found)
        mark, serving = mark_of(workload), [pod for pod in _controlled(found) if pods.serves(pod)]
        if known.mark != mark or any(not _owned(pod, known) for pod in serving):
            known = self._revised(known, workload, labels)
        self._one_only(version, known, serving)
        if pods.observed(workload):
            known = replace(known, mark=mark)
        self._known[version] = known
        return known, workload

    def _get(self, known: Known) -> Object | None:
        """The workload as it is now; None where it is another one, or gone."""
        try:
            workload = self._client.get(known.resource, self._namespace, known.name)
        except NotFound:
            return None
        return workload if metadata(workload)["uid"] == known.uid else None

    def _discovered(self, version: str, labels: Labels, found: Sequence[Object]) -> tuple[Known, Object]:
        candidates = [*self._deployments(labels), *self._others(labels)]
        busy = [one for one in candidates if pods.desired_version(one[1])] or candidates
        if not busy:
            strange = sorted({str(owner) for pod in _controlled(found) if (owner := pods.owner_of(pod))})
            if strange:
                kinds = ", ".join(pods.WORKLOADS)
                raise Unclear(
                    Cause.INVALID, f"behind {version} stands {', '.join(strange)}, which is none of {kinds}"
                )
            wanted = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
            raise Unclear(Cause.ABSENT, f"no workload in namespace {self._namespace} makes pods with {wanted}")
        if len(busy) > 1:
            raise Unclear(Cause.INVALID, _several(version, [str(known) for known, _ in busy]))
        return busy[0]

    def _deployments(self, labels: Labels) -> list[tuple[Known, Object]]:
        """By their ReplicaSets, which have the labels of their pods; they tell the revision as well."""
        sets = self._client.find(REPLICA_SETS, self._namespace, labels)
        owners = {
            owner.uid: owner for one in sets if (owner := pods.owner_of(one)) and owner.kind == DEPLOYMENTS.kind
        }
        return [
            (_of_sets(Known(DEPLOYMENTS, owner.name, owner.uid, mark=mark), sets), workload)
            for owner in owners.values()
            if (workload := self._get(Known(DEPLOYMENTS, owner.name, owner.uid))) and pods.carries(workload, labels)
            for mark in (mark_of(workload) if pods.agreed(workload, sets) else (),)
        ]

    def _others(self, labels: Labels) -> list[tuple[Known, Object]]:
        return [
            (Known(resource, metadata(one)["name"], uid, frozenset({uid})), one)
            for resource in (STATEFUL_SETS, DAEMON_SETS)
            for one in self._client.find(resource, self._namespace)
            for uid in (metadata(one)["uid"],)
            if pods.carries(one, labels)
        ]

    def _revised(self, known: Known, workload: Object, labels: Labels) -> Known:
        """With the revision that is newest now."""
        match known.resource:
            case resource if resource == DEPLOYMENTS:
                return _of_sets(known, self._client.find(REPLICA_SETS, self._namespace, labels))
            case resource if resource == DAEMON_SETS:
                revisions = self._client.find(CONTROLLER_REVISIONS, self._namespace, labels)
                return replace(known, revision=pods.newest_controller_revision(revisions, known.uid))
            case _:
                return replace(known, revision=str((workload.get("status") or {}).get("updateRevision") or ""))

    def _one_only(self, version: str, known: Known, serving: Sequence[Object]) -> None:
        """Raises Unclear where another workload's pods serve in the version as well."""
        owners = {str(owner) for pod in serving if (owner := pods.owner_of(pod)) and not _owned(pod, known)}
        if owners:
            self._known.pop(version, None)  # perhaps it replaced this one: search again in the next read
            raise Unclear(Cause.INVALID, _several(version, [str(known), *sorted(owners)]))


def _of_sets(known: Known, sets: Sequence[Object]) -> Known:
    """A Deployment with the revision that is newest among its ReplicaSets."""
    owned = {metadata(one)["uid"] for one in sets if (owner := pods.owner_of(one)) and owner.uid == known.uid}
    revision = pods.newest_replica_set(sets, known.uid)
    return replace(known, revision=revision, controllers=frozenset({known.uid, *owned}))


def _controlled(found: Iterable[Object]) -> list[Object]:
    return [pod for pod in found if pods.owner_of(pod) is not None]


def _owned(found: Object, known: Known) -> bool:
    owner = pods.owner_of(found)
    return owner is not None and (owner.uid in known.controllers)


def _several(version: str, names: Sequence[str]) -> str:
    return f"behind {version} stand {len(names)} workloads, {', '.join(names)}; give each a version of its own"


def _workload_seen(known: Known, workload: Object, available: int, others: int = 0) -> WorkloadSeen:
    """What a workload says of itself, with the pods of its newest revision that can answer."""
    return WorkloadSeen(
        name=known.name,
        replicas=pods.desired_version(workload),
        available=available,
        revision=known.revision,
        others=others,
        stuck=pods.stuck(workload),
        refused=pods.refused(workload),
        images=tuple(images(workload)),
        silent=known.resource != DEPLOYMENTS,
        nodes=known.resource == DAEMON_SETS,
    )


def mark_of(workload: Object) -> tuple[str, ...]:
    """What changes whenever the newest revision does."""
    about, status = metadata(workload), workload.get("status") or {}
    numbered = (about.get("annotations") or {}).get(pods.REVISION_NUMBER) or status.get("updateRevision") or ""
    return about["uid"], str(about.get("generation")), str(numbered)
