"""What runs behind a version where workloads are watched: a read costs no request while all pods are of one build."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from canary.engine.observed import Cause, Missing, WorkloadSeen
from canary.kube.errors import NotFound
from canary.kube.resources import PODS, REPLICA_SETS, Resource
from canary.workloads.kubernetes import KubernetesWorkloads
from canary.workloads.pods import REVISION_NUMBER

LABELS = {"app": "shop", "version": "v2"}
Data = dict[str, Any]


@dataclass
class Server:
    """A client of a namespace with a Deployment, its ReplicaSets and pods; workloads are watched, the rest isn't."""

    objects: dict[tuple[str, str], Data] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def get(self, resource: Resource, namespace: str, name: str) -> Data:
        if (resource.kind, name) not in self.objects:
            raise NotFound(Cause.ABSENT, f"there is no {resource.kind} {name}")
        return self.objects[resource.kind, name]

    def find(self, resource: Resource, namespace: str, labels: Mapping[str, str] | None = None) -> list[Data]:
        if resource in (PODS, REPLICA_SETS):
            self.asked.append(resource.kind)
        return [one for (kind, _), one in self.objects.items() if kind == resource.kind]

    def fresh(self, resource: Resource, namespace: str, name: str) -> Data:
        self.asked.append(resource.kind)
        return self.get(resource, namespace, name)

    def taken(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked

    def has(self, kind: str, name: str, owner: Data | None = None, **parts: Any) -> Data:
        about: Data = {"name": name, "uid": f"uid-{name}", **parts.pop("metadata", {})}
        if owner is not None:
            mine = owner["metadata"]
            kinds = {"web": "Deployment", "other": "Deployment"}
            kind_of = kinds.get(mine["name"], "ReplicaSet")
            about["ownerReferences"] = [
                {"controller": True, "kind": kind_of, "name": mine["name"], "uid": mine["uid"]}
            ]
        self.objects[kind, name] = {"metadata": about, **parts}
        return self.objects[kind, name]

    def deployment(self, name: str = "web", build: int = 1, **status: int) -> Data:
        """Its controller has seen the newest spec, and all pods are of the newest build, unless status says else."""
        seen = {"observedGeneration": build, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, **status}
        about = {"generation": build, "annotations": {REVISION_NUMBER: str(min(build, seen["observedGeneration"]))}}
        template = {"metadata": {"labels": LABELS}}
        return self.has("Deployment", name, metadata=about, spec={"replicas": 2, "template": template}, status=seen)

    def build(self, owner: Data, number: int) -> Data:
        """The ReplicaSet of one."""
        name = f"{owner['metadata']['name']}-{number}"
        about = {
            "annotations": {REVISION_NUMBER: str(number)},
            "labels": {**LABELS, "pod-template-hash": f"h{number}"},
        }
        return self.has("ReplicaSet", name, owner, metadata=about)

    def pod(self, build: Data, number: int) -> Data:
        """A ready one."""
        ready = [{"type": "Ready", "status": "True"}]
        name = f"{build['metadata']['name']}-{number}"
        labels = build["metadata"]["labels"]
        return self.has("Pod", name, build, metadata={"labels": labels}, status={"conditions": ready})


@pytest.fixture
def server() -> Server:
    """Two pods of one build."""
    made = Server()
    build = made.build(made.deployment(), 1)
    made.pod(build, 1), made.pod(build, 2)
    return made


def workloads(server: Server, watched: bool = True) -> KubernetesWorkloads:
    return KubernetesWorkloads(server, "shop", lambda version: LABELS, watched=watched)  # type: ignore[arg-type]


def test_the_workload_itself_tells_while_all_pods_are_of_one_build(server: Server) -> None:
    """At first sight its ReplicaSets are asked for, once; then nothing, also if its replicas change."""
    found = workloads(server)
    assert found.read("v2") == WorkloadSeen("web", 2, 2, "h1")
    assert server.taken() == ["ReplicaSet"]
    server.deployment(availableReplicas=1)
    assert found.read("v2") == WorkloadSeen("web", 2, 1, "h1")
    assert found.revision("v2") == "h1"
    assert server.taken() == []


def test_a_push_is_read_pod_by_pod_until_it_is_done(server: Server) -> None:
    """As without a watch; once all pods are of the new build, a read costs nothing again."""
    found = workloads(server)
    found.read("v2")
    server.deployment(build=2, observedGeneration=1)
    assert isinstance(found.revision("v2"), Missing)
    server.taken()
    second = server.build(server.deployment(build=2, updatedReplicas=1), 2)
    server.pod(second, 1)
    del server.objects["Pod", "web-1-2"]
    assert (
        found.read("v2") == workloads(server, watched=False).read("v2") == WorkloadSeen("web", 2, 1, "h2", others=1)
    )
    assert "Pod" in server.taken()
    server.deployment(build=2)
    assert found.read("v2") == WorkloadSeen("web", 2, 2, "h2")
    server.taken()
    found.read("v2")
    assert server.taken() == []


def test_a_push_at_first_sight_is_not_missed(server: Server) -> None:
    """Where the Deployment is newer than the ReplicaSets that were listed before it, these are asked for again."""
    listed = server.find

    def find(resource: Resource, namespace: str, labels: Mapping[str, str] | None = None) -> list[Data]:
        found = listed(resource, namespace, labels)
        if resource == REPLICA_SETS and ("ReplicaSet", "web-2") not in server.objects:
            server.build(server.deployment(build=2), 2)
        return found

    server.find = find  # type: ignore[method-assign]
    assert workloads(server).revision("v2") == "h2"


def test_a_workload_that_is_made_again_is_found_again(server: Server) -> None:
    """Of the same name, with another uid; one that is gone is said to be."""
    found = workloads(server)
    found.read("v2")
    server.objects.clear()
    assert isinstance(found.read("v2"), Missing)
    made = server.deployment()
    made["metadata"]["uid"] = "uid-again"
    server.build(made, 7)
    assert found.read("v2") == WorkloadSeen("web", 2, 2, "h7")


def test_a_second_workload_is_seen_once_it_is_known(server: Server) -> None:
    """Its pods aren't looked at while nothing changes, so anyone who watches says that it is there."""
    found = workloads(server)
    found.read("v2")
    server.build(server.deployment("other"), 1)
    found.forget()
    seen = found.read("v2")
    assert isinstance(seen, Missing)
    assert "behind v2 stand 2 workloads, Deployment web, Deployment other" in seen.detail


def test_a_workload_whose_pods_get_other_labels_is_not_behind_the_version(server: Server) -> None:
    """Its pods answer for another version from then on."""
    found = workloads(server)
    found.read("v2")
    server.deployment()["spec"]["template"]["metadata"]["labels"] = {"app": "shop", "version": "v3"}
    assert isinstance(found.read("v2"), Missing)


def test_without_a_watch_pods_are_counted_each_time(server: Server) -> None:
    """A run of the command polls."""
    found = workloads(server, watched=False)
    assert found.read("v2") == WorkloadSeen("web", 2, 2, "h1")
    assert "Pod" in server.taken()
    found.read("v2")
    assert server.taken() == ["Pod"]


def test_a_raise_asks_the_server_whether_it_still_is_the_same_build(server: Server) -> None:
    """A watch may be late; replicas that come and go are no other build."""
    found = workloads(server)
    found.read("v2")
    server.taken()
    server.deployment(availableReplicas=1)
    assert found.still("v2")
    assert server.taken() == ["Deployment"]
    server.deployment(build=2, observedGeneration=1)
    assert not found.still("v2")
