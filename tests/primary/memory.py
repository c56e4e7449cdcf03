"""An API server in memory, for the order of writes: it merges what is applied, and all is ready at once.

What a real one answers is tested in tests/podinfo.
"""

from copy import deepcopy
from typing import Any

from canary.engine.observed import Cause
from canary.kube.errors import NotFound, VersionConflict
from canary.kube.resources import CONTROLLER_REVISIONS, DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, Resource
from canary.primary import daemon_sets
from canary.workloads import pods

from .applying import Fields, applied, fields

Object = dict[str, Any]
NODES = 3


class Memory:
    """The calls of `canary.kube.client.Client` that adapters make, and a log of the writes."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.writes: list[str] = []
        self.unready: set[str] = set()
        """Deployments whose pods don't get ready."""
        self.most: dict[str, int] = {}
        """How many pods of a Deployment get ready, where not all do."""
        self._version = 0
        self._ours: dict[tuple[str, str], Fields] = {}
        self._theirs: dict[tuple[str, str], Fields] = {}

    def put(self, resource: Resource, name: str, spec: Object, **about: Any) -> Object:
        """As its owner makes it, without a word in the log."""
        whole = {"metadata": {"name": name, **about}, "spec": spec}
        self._theirs[resource.kind, name] = fields(whole)
        return self._kept(resource, name, whole)

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        found = self.objects.get((resource.kind, name))
        if found is None:
            raise NotFound(Cause.ABSENT, f"there is no {resource.kind} {name} in namespace {namespace}")
        return self._seen(resource, found)

    fresh = get

    def find(self, resource: Resource, namespace: str, labels: dict[str, str] | None = None) -> list[Object]:
        wanted = (labels or {}).items()
        mine = [deepcopy(one) for (kind, _), one in self.objects.items() if kind == resource.kind]
        return [one for one in mine if wanted <= (one["metadata"].get("labels") or {}).items()]

    def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        name = body["metadata"]["name"]
        if (resource.kind, name) in self.objects:
            raise VersionConflict(Cause.INVALID, f"{name} exists")
        return self._written("create", resource, name, body)

    def apply(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        before = self.objects.get((resource.kind, name)) or {"metadata": {"name": name}, "spec": {}}
        given = {"metadata": body["metadata"], "spec": body.get("spec") or {}}
        key = (resource.kind, name)
        whole = applied(before, given, self._ours.get(key, {}), self._theirs.get(key, {}))
        self._ours[key] = fields(given)
        return self._written("apply", resource, name, whole)

    def patch(self, resource: Resource, namespace: str, name: str, operations: list[Object]) -> Object:
        whole = deepcopy(self.objects[resource.kind, name])
        for one in operations:
            *path, last = one["path"].strip("/").split("/")
            holder = whole
            for part in path:
                holder = holder[part]
            if one["op"] == "test":
                assert holder[last] == one["value"]
            elif one["op"] == "remove":
                del holder[last]
            else:
                holder[last] = one["value"]
        return self._changed(resource, name, whole)

    def merge(self, resource: Resource, namespace: str, name: str, version: str, change: Object) -> Object:
        before = self.objects[resource.kind, name]
        assert before["metadata"]["resourceVersion"] == version
        whole = {"metadata": before["metadata"], "spec": merged(before["spec"], change.get("spec", {}))}
        return self._changed(resource, name, whole)

    def scale(self, resource: Resource, namespace: str, name: str, replicas: int) -> None:
        before = self.objects[resource.kind, name]
        self._written("scale", resource, name, {**before, "spec": {**before["spec"], "replicas": replicas}})

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        self.get(resource, namespace, name)
        self.writes.append(f"delete {resource.kind} {name}")
        for kept in (self.objects, self._ours, self._theirs):
            kept.pop((resource.kind, name), None)

    def took(self) -> list[str]:
        """The writes since the last call of this."""
        found, self.writes = self.writes, []
        return found

    def _changed(self, resource: Resource, name: str, whole: Object) -> Object:
        """By an update, whose fields have another manager than those that are applied."""
        before, after, key = fields(self.objects[resource.kind, name]), fields(whole), (resource.kind, name)
        new = {path: value for path, value in after.items() if before.get(path) != value}
        self._theirs[key] = {**self._theirs.get(key, {}), **new}
        self._ours[key] = {path: value for path, value in self._ours.get(key, {}).items() if path not in new}
        return self._written("patch", resource, name, whole)

    def _written(self, verb: str, resource: Resource, name: str, whole: Object) -> Object:
        self.writes.append(f"{verb} {resource.kind} {name}")
        return self._kept(resource, name, whole)

    def _kept(self, resource: Resource, name: str, whole: Object) -> Object:
        self._version += 1
        about = {"uid": f"{resource.kind}-{name}", **whole["metadata"], "resourceVersion": str(self._version)}
        about |= {"generation": self._version} if resource == DAEMON_SETS else {}
        self.objects[resource.kind, name] = deepcopy({**whole, "metadata": about})
        return self._seen(resource, self.objects[resource.kind, name])

    def _seen(self, resource: Resource, found: Object) -> Object:
        made = deepcopy(found)
        if resource == DEPLOYMENTS:
            wanted = made["spec"].setdefault("replicas", 1)
            available = 0 if made["metadata"]["name"] in self.unready else wanted
            available = min(available, self.most.get(made["metadata"]["name"], wanted))
            made["status"] = {"replicas": wanted, "updatedReplicas": wanted, "availableReplicas": available}
        if resource == DAEMON_SETS:
            made["status"] = {"desiredNumberScheduled": NODES}
            wanted = pods.desired_version(made)
            counted = ("currentNumberScheduled", "desiredNumberScheduled", "updatedNumberScheduled")
            available = 0 if made["metadata"]["name"] in self.unready else wanted
            seen = {"observedGeneration": made["metadata"]["generation"], "numberAvailable": available}
            made["status"] = {**dict.fromkeys(counted, wanted), **seen}
        return made


def merged(before: Object, change: Object) -> Object:
    """A merge patch (RFC 7386)."""
    made = deepcopy(before)
    for key, value in change.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key) or {}, value) if isinstance(value, dict) else value
    return made


def with_daemon_set(**spec: Any) -> Memory:
    """A DaemonSet podinfo, whose builds are what `pushed` makes of it."""
    made = Memory()
    template = {"metadata": {"labels": {"app": "podinfo"}}, "spec": {"containers": [{"name": "main", "image": "1"}]}}
    selector = {"matchLabels": {"app": "podinfo"}}
    made.put(DAEMON_SETS, "podinfo", {"selector": selector, "template": template, **spec})
    pushed(made, "1")
    return made


def pushed(made: Memory, image: str) -> str:
    """Another image of the DaemonSet podinfo, as `kubectl set image`, with its ControllerRevision; the build."""
    found = made.get(DAEMON_SETS, "shop", "podinfo")
    template = found["spec"]["template"]
    template["spec"]["containers"][0]["image"] = image
    made.put(DAEMON_SETS, "podinfo", found["spec"])
    noted(made)
    return daemon_sets.build(template)


def noted(made: Memory) -> None:
    """What the DaemonSet's controller does once its template is another one."""
    template = made.objects["DaemonSet", "podinfo"]["spec"]["template"]
    data = {"spec": {"template": {**deepcopy(template), "$patch": "replace"}}}
    there = made.find(CONTROLLER_REVISIONS, "shop", {"app": "podinfo"})
    number = 1 + max((int(one["revision"]) for one in there), default=0)
    known = next((one for one in there if one["data"] == data), None)
    name = known["metadata"]["name"] if known else f"podinfo-{number}"
    made.put(
        CONTROLLER_REVISIONS,
        name,
        {},
        labels={"app": "podinfo", "controller-revision-hash": name},
        ownerReferences=[{"kind": "DaemonSet", "name": "podinfo", "uid": "DaemonSet-podinfo", "controller": True}],
    )
    made.objects["ControllerRevision", name] |= {"data": data, "revision": number}


def with_podinfo(replicas: int = 2) -> Memory:
    """A Deployment podinfo with one ReplicaSet, whose revision is `a`."""
    made = Memory()
    template = {"metadata": {"labels": {"app": "podinfo"}}, "spec": {"containers": [{"name": "main", "image": "1"}]}}
    selector = {"matchLabels": {"app": "podinfo"}}
    made.put(DEPLOYMENTS, "podinfo", {"replicas": replicas, "selector": selector, "template": template})
    replica_set(made, "a", 1, template)
    return made


def replica_set(made: Memory, revision: str, number: int, template: Object) -> None:
    """One of podinfo's."""
    owner = {"kind": "Deployment", "name": "podinfo", "uid": "Deployment-podinfo", "controller": True}
    own = template["metadata"].get("labels") or {"app": "podinfo"}
    labels = {**own, "pod-template-hash": revision}
    noted = {"deployment.kubernetes.io/revision": str(number)}
    labelled = {**template, "metadata": {**template["metadata"], "labels": labels}}
    made.put(
        REPLICA_SETS,
        f"podinfo-{revision}",
        {"template": labelled},
        labels=labels,
        annotations=noted,
        ownerReferences=[owner],
    )
