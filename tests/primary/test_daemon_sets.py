"""A DaemonSet that is released through a primary: its builds, and whether it runs."""

import json
from contextlib import nullcontext
from copy import deepcopy
from typing import Any, cast

import pytest

from canary.engine.errors import Invalid
from canary.engine.observed import PrimarySeen, WorkloadSeen
from canary.kube.client import Client
from canary.kube.errors import Refused
from canary.kube.projections import NOWHERE, workload
from canary.kube.resources import CONTROLLER_REVISIONS, DAEMON_SETS, PODS
from canary.primary.daemon_sets import build, newest, scaled, template_of
from canary.primary.workload import primary
from canary.routers.istio import PROVISIONING
from canary.workloads import pods
from canary.workloads.kept import TargetTemplate, promoted_revisions
from canary.workloads.primary import KubernetesPrimary
from canary.workloads.primary_workloads import PrimaryWorkloads
from tests.engine.situations import manifest
from tests.primary.memory import NODES, Memory, noted, pushed, with_daemon_set

Object = dict[str, Any]
SPEC: Object = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "podinfo"},
    "service": {"port": 9898},
    "version": None,
}
TEMPLATE: Object = {
    "metadata": {"labels": {"app": "podinfo"}, "creationTimestamp": None},
    "spec": {"containers": [{"name": "main", "image": "1"}]},
}


def port(memory: Memory) -> KubernetesPrimary:
    return KubernetesPrimary(cast(Client, memory), lambda: manifest(SPEC), "shop", PROVISIONING, nullcontext)


def made(memory: Memory, revision: str) -> KubernetesPrimary:
    """With all that belongs to it."""
    found = port(memory)
    found.provision(revision)
    found.provision(revision)
    memory.took()
    return found


def asked(memory: Memory, name: str = "podinfo") -> Object:
    """The nodes that it asks for."""
    spec = memory.get(DAEMON_SETS, "shop", name)["spec"]["template"]["spec"]
    return dict(spec.get("nodeSelector") or {})


def built(memory: Memory) -> str:
    return build(memory.get(DAEMON_SETS, "shop", "podinfo")["spec"]["template"])


def asking(**nodes: str) -> Object:
    """A template whose pods ask for nodes."""
    template = deepcopy(TEMPLATE)
    template["spec"]["nodeSelector"] = nodes
    return template


def test_a_build_is_the_same_whether_it_runs_or_not() -> None:
    """And another one for other nodes."""
    for key in NOWHERE:
        assert build(asking(**{key: "true"})) == build(TEMPLATE)
        assert build(asking(disk="ssd", **{key: "true"})) == build(asking(disk="ssd"))
    assert build(asking(disk="ssd")) != build(TEMPLATE)
    assert "-" not in build(TEMPLATE)


def revision(template: Object, number: int) -> Object:
    labels = {"controller-revision-hash": f"hash{number}"}
    return {
        "metadata": {"labels": labels},
        "revision": number,
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
    }


def test_the_template_of_a_controller_revision() -> None:
    assert template_of(revision(asking(**{NOWHERE[0]: "true"}), 1)) == TEMPLATE


def test_pods_of_a_build_have_the_hash_of_any_of_its_revisions() -> None:
    """One from before it was scaled to zero, and one from after."""
    others, nowhere = asking(disk="ssd"), asking(**{NOWHERE[0]: "true"})
    found = [revision(TEMPLATE, 1), revision(others, 2), revision(nowhere, 3)]
    assert newest(found) == (build(TEMPLATE), frozenset({"hash1", "hash3"}))
    assert newest(found[:2]) == (build(others), frozenset({"hash2"}))
    assert newest(()) == ("", frozenset())


@pytest.mark.parametrize(
    ("nodes", "runs", "after"),
    [
        pytest.param({}, False, {NOWHERE[0]: "true"}, id="nowhere"),
        pytest.param({"disk": "ssd"}, False, {"disk": "ssd", NOWHERE[0]: "true"}, id="nowhere, and other nodes"),
        pytest.param({"disk": "ssd", NOWHERE[0]: "true"}, True, {"disk": "ssd"}, id="on its nodes again"),
        pytest.param({NOWHERE[1]: "true"}, True, {}, id="as Flagger left it"),
    ],
)
def test_scaling(nodes: dict[str, str], runs: bool, after: dict[str, str]) -> None:
    """In exactly the version that was read; a second time there is nothing to do."""
    memory = with_daemon_set(template=asking(**nodes))
    found = memory.get(DAEMON_SETS, "shop", "podinfo")
    change = scaled(found, runs)
    version = found["metadata"]["resourceVersion"]
    assert change[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    memory.patch(DAEMON_SETS, "shop", "podinfo", [dict(one) for one in change])
    assert asked(memory) == after
    assert scaled(memory.get(DAEMON_SETS, "shop", "podinfo"), runs) == []


def test_the_primary_is_one_that_runs() -> None:
    """With the target's update strategy, and nothing of a Deployment."""
    target = with_daemon_set(updateStrategy={"type": "RollingUpdate"}, minReadySeconds=2).get(
        DAEMON_SETS, "", "podinfo"
    )
    found = primary(manifest(SPEC), target, asking(disk="ssd", **{NOWHERE[0]: "true"}), "a", None)
    assert (found["kind"], found["spec"]["updateStrategy"]) == ("DaemonSet", {"type": "RollingUpdate"})
    assert found["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert found["spec"].keys() == {"updateStrategy", "minReadySeconds", "selector", "template"}


def test_one_that_is_updated_by_hand_is_refused() -> None:
    target = with_daemon_set(updateStrategy={"type": "OnDelete"}).get(DAEMON_SETS, "", "podinfo")
    with pytest.raises(Invalid, match="write RollingUpdate"):
        primary(manifest(SPEC), target, TEMPLATE, "a", None)


def test_a_promotion_is_from_the_controller_revision_of_the_pinned_build() -> None:
    """Also after a newer push, and whether that build ran or not when it was pushed."""
    memory = with_daemon_set()
    first = built(memory)
    found = made(memory, first)
    found.scale(0)
    noted(memory)
    second = pushed(memory, "2")
    found.scale(1)
    noted(memory)
    pushed(memory, "3")
    found.copy(second)
    primary_of = memory.get(DAEMON_SETS, "shop", "podinfo-primary")
    assert primary_of["spec"]["template"]["spec"] == {"containers": [{"name": "main", "image": "2"}]}
    seen = found.read()
    assert isinstance(seen, PrimarySeen)
    assert seen.revision == second
    for name in [one["metadata"]["name"] for one in memory.find(CONTROLLER_REVISIONS, "shop", {"app": "podinfo"})]:
        del memory.objects["ControllerRevision", name]
    found.copy(first)  # which was kept
    with pytest.raises(Refused, match="keeps too few ControllerRevisions"):
        found.copy("another")


def test_what_the_engine_sees_of_it() -> None:
    """The build stays the same from rest to rollout; of pods, those of that build count."""
    memory = with_daemon_set()
    found, workloads = (
        made(memory, built(memory)),
        PrimaryWorkloads(cast(Client, memory), "shop", lambda: manifest(SPEC)),
    )
    first = workloads.revision("podinfo-canary")
    pod(memory, "old", "podinfo-1")
    assert workloads.read("podinfo-canary") == WorkloadSeen(
        "podinfo", NODES, 1, str(first), silent=True, nodes=True, images=("1",)
    )
    found.scale(0)
    noted(memory)
    del memory.objects["Pod", "old"]
    assert workloads.read("podinfo-canary") == WorkloadSeen(
        "podinfo", 0, 0, str(first), silent=True, nodes=True, images=("1",)
    )
    second = pushed(memory, "2")
    assert workloads.revision("podinfo-canary") == second != first
    found.scale(3)
    noted(memory)
    pod(memory, "new", memory.find(CONTROLLER_REVISIONS, "shop", {"app": "podinfo"})[-1]["metadata"]["name"])
    assert workloads.read("podinfo-canary") == WorkloadSeen(
        "podinfo", NODES, 1, second, silent=True, nodes=True, images=("2",)
    )


def pod(memory: Memory, name: str, hashed: str) -> None:
    """One of the target's that can answer."""
    owner = {"kind": "DaemonSet", "name": "podinfo", "uid": "DaemonSet-podinfo", "controller": True}
    labels = {"app": "podinfo", "controller-revision-hash": hashed}
    memory.put(PODS, name, {}, labels=labels, ownerReferences=[owner])
    memory.objects["Pod", name]["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}


def test_a_deleted_canary_gives_it_back() -> None:
    """With the promoted template, and running."""
    memory = with_daemon_set()
    first = built(memory)
    found = made(memory, first)
    found.scale(0)
    noted(memory)
    pushed(memory, "2")
    found.give_back(first)
    noted(memory)
    assert (built(memory), NOWHERE[0] in asked(memory)) == (first, True)
    found.give_back(first)
    noted(memory)
    assert (built(memory), asked(memory)) == (first, {})
    memory.took()
    found.give_back(first)
    assert memory.took() == ["patch Service podinfo", "delete VirtualService podinfo"]
    found.remove()
    assert memory.took()[-1] == "delete DaemonSet podinfo-primary"


def test_an_earlier_revision_is_rolled_out_again() -> None:
    """As a push of its template: the target at rest still runs nowhere, and is started by the rollout."""
    memory = with_daemon_set()
    first = built(memory)
    found = made(memory, first)
    found.scale(0)
    noted(memory)
    second = pushed(memory, "2")
    found.copy(second)
    kept = promoted_revisions(cast(Client, memory), "shop", manifest(SPEC).metadata.name)
    assert [(one.revision, one.serving) for one in kept] == [(second, True), (first, False)]
    template = TargetTemplate(cast(Client, memory), "shop", lambda: manifest(SPEC))
    assert template.put_back(first)
    noted(memory)
    assert (built(memory), NOWHERE[0] in asked(memory)) == (first, True)
    assert not template.put_back(first)


def test_what_a_watch_keeps_of_it() -> None:
    """Enough to know that it runs nowhere, before its controller has seen that."""
    memory = with_daemon_set(template=asking(disk="ssd", **{NOWHERE[0]: "true"}))
    found = memory.get(DAEMON_SETS, "shop", "podinfo")
    found["status"]["desiredNumberScheduled"] = 3
    kept = json.loads(workload(found))
    assert kept["spec"]["template"]["spec"] == {"nodeSelector": {NOWHERE[0]: "true"}}
    assert pods.desired_version(kept) == 0
