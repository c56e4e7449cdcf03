"""A Service that is released through a primary: the order of writes, and what is kept of what it selected."""

import json
from contextlib import nullcontext
from typing import Any, cast

import pytest

from canary.api.canary import Canary
from canary.engine.errors import Rejected
from canary.engine.observed import Missing, PrimarySeen, WorkloadSeen
from canary.engine.validation.primary import NOT_SHARED
from canary.kube import projections
from canary.kube.client import Client
from canary.kube.resources import CONTROLLER_REVISIONS, DEPLOYMENTS, REPLICA_SETS, SERVICES
from canary.registry import primary_for, template_for, workloads_for
from canary.workloads.services import ServicePrimary, ServiceWorkloads, TargetSelection
from tests.engine.situations import manifest
from tests.primary.memory import Memory

PRIMARY, CANARY = "podinfo-primary", "podinfo-canary"
ALL = (
    "Service podinfo-primary", "Service podinfo-canary",
    "DestinationRule podinfo-primary", "DestinationRule podinfo-canary", "VirtualService podinfo",
)  # fmt: skip


def released() -> Canary:
    """A Canary for the Service podinfo."""
    target = {"apiVersion": "v1", "kind": "Service", "name": "podinfo"}
    return manifest({"targetRef": target, "service": {"port": 80}, "version": None})


def client(memory: Memory) -> Client:
    return cast(Client, memory)


def port(memory: Memory) -> ServicePrimary:
    """With the adapters that the registry has for a Service."""
    found = primary_for(client(memory), released().spec, "shop", released, nullcontext)
    assert isinstance(found, ServicePrimary)
    return found


def workloads(memory: Memory) -> ServiceWorkloads:
    found = workloads_for(client(memory), released().spec, "shop", lambda version: {}, released)
    assert isinstance(found, ServiceWorkloads)
    return found


def seen(memory: Memory) -> PrimarySeen:
    found = port(memory).read()
    assert isinstance(found, PrimarySeen)
    return found


def runs(memory: Memory, color: str, build: str) -> None:
    """A Deployment of the user's, with one ReplicaSet and a pod that can answer."""
    labels = {"app": "podinfo", "color": color}
    template = {"metadata": {"labels": labels}, "spec": {}}
    name = f"podinfo-{color}"
    memory.put(DEPLOYMENTS, name, {"replicas": 1, "selector": {"matchLabels": labels}, "template": template})
    owner = {"kind": "Deployment", "name": name, "uid": f"Deployment-{name}", "controller": True}
    hashed = {**labels, "pod-template-hash": build}
    noted = {"deployment.kubernetes.io/revision": "1"}
    memory.put(
        REPLICA_SETS,
        f"{name}-{build}",
        {"template": template},
        labels=hashed,
        annotations=noted,
        ownerReferences=[owner],
    )


def selects(memory: Memory, color: str, name: str = "podinfo", **spec: Any) -> None:
    """As the user's own `kubectl apply`."""
    there = memory.objects.get(("Service", name), {"metadata": {}})
    ports = [{"name": "http", "port": 80, "targetPort": 9898, "protocol": "TCP", "nodePort": 30080}]
    about = {key: one for key, one in there["metadata"].items() if key in ("labels", "annotations")}
    memory.put(SERVICES, name, {"selector": {"app": "podinfo", "color": color}, "ports": ports, **spec}, **about)


def color(memory: Memory, name: str) -> str:
    return str(memory.get(SERVICES, "shop", name)["spec"]["selector"]["color"])


@pytest.fixture
def memory() -> Memory:
    """blue serves, green runs beside it."""
    made = Memory()
    runs(made, "blue", "b")
    runs(made, "green", "g")
    selects(made, "blue")
    return made


def provisioned(memory: Memory) -> str:
    """All that is made at first; the revision."""
    revision = wanted(memory)
    port(memory).provision(revision)
    port(memory).provision(revision)
    memory.took()
    return revision


def wanted(memory: Memory) -> str:
    found = workloads(memory).revision(CANARY)
    assert isinstance(found, str)
    return found


def test_provisioning(memory: Memory) -> None:
    """The primary's Service alone, then the rest; the target isn't written, and its nodePort isn't taken."""
    assert (seen(memory).missing, seen(memory).wrong) == (ALL, "")
    revision = wanted(memory)
    assert revision.endswith("-b")
    port(memory).provision(revision)
    assert [one for one in memory.took() if "ControllerRevision" not in one] == ["apply Service podinfo-primary"]
    port(memory).provision(revision)
    assert [one.split(" ", 1)[1] for one in memory.took()] == list(ALL[1:])
    found = seen(memory)
    assert (found.missing, found.revision, set(found.ours)) == ((), revision, set(ALL))
    assert memory.get(SERVICES, "shop", PRIMARY)["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": 9898, "protocol": "TCP"}
    ]


def test_a_push_reaches_the_canary_and_then_the_primary(memory: Memory) -> None:
    """The primary gets what the canary's Service selects, also if the target's selector has changed by then."""
    blue = provisioned(memory)
    assert wanted(memory) == blue
    selects(memory, "green")
    green = wanted(memory)
    assert (green != blue, green.endswith("-g")) == (True, True)
    port(memory).provision(blue)
    assert memory.took() == ["apply Service podinfo-canary"]
    assert (color(memory, PRIMARY), color(memory, CANARY), seen(memory).build) == (
        "blue",
        "green",
        green.split("-")[0],
    )
    selects(memory, "red")
    port(memory).copy(green)
    assert (color(memory, PRIMARY), color(memory, CANARY)) == ("green", "green")
    selects(memory, "green")
    assert (seen(memory).revision, wanted(memory)) == (green, green)


def test_a_primary_that_is_missing_changes_nothing_else(memory: Memory) -> None:
    """The canary's Service may carry traffic then."""
    blue = provisioned(memory)
    del memory.objects["Service", PRIMARY]
    selects(memory, "green")
    port(memory).provision(blue)
    assert (memory.took(), color(memory, PRIMARY), color(memory, CANARY)) == (
        ["apply Service podinfo-primary"], "blue", "blue",
    )  # fmt: skip


def test_the_last_five_are_kept(memory: Memory) -> None:
    provisioned(memory)
    for number in range(7):
        runs(memory, str(number), str(number))
        selects(memory, str(number))
        revision = wanted(memory)
        port(memory).provision(revision)
        port(memory).copy(revision)
    assert len(memory.find(CONTROLLER_REVISIONS, "shop")) == 5
    with pytest.raises(Rejected, match="is gone"):
        port(memory).copy("unknown-x")


def test_pods_behind_a_copy(memory: Memory) -> None:
    """Without a workload a copy is there, with no replica that can answer; edited, it has no revision."""
    blue = provisioned(memory)
    found = workloads(memory).read(PRIMARY)
    assert isinstance(found, WorkloadSeen)
    assert (found.name, found.replicas, found.revision) == ("podinfo-blue", 1, blue)
    assert isinstance(workloads(memory).read("podinfo-other"), Missing)
    for key in (("Deployment", "podinfo-blue"), ("ReplicaSet", "podinfo-blue-b")):
        del memory.objects[key]
    assert workloads(memory).read(PRIMARY) == WorkloadSeen(PRIMARY, 1, 0, blue)
    selects(memory, "green", PRIMARY)
    assert workloads(memory).read(PRIMARY) == WorkloadSeen(PRIMARY, 1, 0)


def test_an_increase_stands_on_what_the_server_says(memory: Memory) -> None:
    """Neither the target nor the canary's Service nor the workload has changed since it was read."""
    blue = provisioned(memory)
    selects(memory, "green")
    port(memory).provision(blue)
    reader = workloads(memory)
    reader.revision(CANARY)
    assert reader.still(CANARY)
    selects(memory, "blue", CANARY)
    assert not reader.still(CANARY)
    selects(memory, "green", CANARY)
    selects(memory, "blue")
    assert not reader.still(CANARY)


def test_given_back(memory: Memory) -> None:
    """The target selects what was promoted; then the routes go, and at last the copies."""
    blue = provisioned(memory)
    selects(memory, "green", publishNotReadyAddresses=True)
    assert not seen(memory).returned
    port(memory).give_back(blue)
    assert memory.took() == ["patch Service podinfo", "delete VirtualService podinfo"]
    target = memory.get(SERVICES, "shop", "podinfo")["spec"]
    assert (target["selector"]["color"], "publishNotReadyAddresses" in target) == ("blue", False)
    assert (target["ports"][0]["nodePort"], seen(memory).returned) == (30080, True)
    port(memory).remove()
    assert {kind for kind, _ in memory.objects} == {"Deployment", "ReplicaSet", "Service"}
    assert [name for kind, name in memory.objects if kind == "Service"] == ["podinfo"]


def test_going_back_writes_what_the_target_selects(memory: Memory) -> None:
    blue = provisioned(memory)
    selects(memory, "green")
    template = template_for(client(memory), released().spec, "shop", released)
    assert isinstance(template, TargetSelection)
    assert (template.put_back(blue), template.put_back(blue)) == (True, False)
    assert (color(memory, "podinfo"), wanted(memory)) == ("blue", blue)


def test_what_can_not_be_made(memory: Memory) -> None:
    """Nothing of another client is overwritten, and a Service without a selector has no pods that are known."""
    memory.put(SERVICES, CANARY, {"selector": {"app": "other"}, "ports": []})
    assert "a Service podinfo-canary exists that canary didn't make" in seen(memory).wrong
    del memory.objects["Service", CANARY]
    memory.put(SERVICES, "podinfo", {"type": "ExternalName", "externalName": "example.org"})
    assert "the Service podinfo has no selector" in seen(memory).wrong
    found = workloads(memory).revision(CANARY)
    assert isinstance(found, Missing)


@pytest.mark.parametrize(
    ("port", "wrong"),
    [
        ({"name": "tcp-db"}, "the routes would be for http, but Istio takes the port 80 of the Service podinfo for "
         "tcp; write spec.service.portName: tcp-db"),
        ({"name": "web", "appProtocol": "redis"}, "the routes would be for http, but Istio takes the port 80 of the "
         "Service podinfo for redis; write spec.service.appProtocol: redis"),
        ({"name": "https"}, f"the port 80 of the Service podinfo is for https, which {NOT_SHARED}"),
        ({"name": "grpc-web"}, ""),
        ({}, ""),
        ({"name": "tcp-other", "port": 81}, ""),
    ],
)  # fmt: skip
def test_a_port_of_another_protocol_than_the_routes(memory: Memory, port: dict[str, Any], wrong: str) -> None:
    """Istio would not use the routes, and share out nothing. Only the manifest's port counts."""
    memory.put(SERVICES, "podinfo", {"selector": {"app": "podinfo"}, "ports": [{"port": 80, **port}]})
    assert seen(memory).wrong == wrong


def test_a_digest_needs_no_whole_object(memory: Memory) -> None:
    """Also of what is kept of a watched Service; a nodePort or a type isn't in it."""
    whole = memory.get(SERVICES, "shop", "podinfo")
    digest = projections.selection_digest(whole)
    assert projections.selection_digest(json.loads(projections.service(whole))) == digest
    del whole["spec"]["ports"][0]["nodePort"]
    assert projections.selection_digest({**whole, "spec": {**whole["spec"], "type": "ClusterIP"}}) == digest
    whole["spec"]["ports"][0]["targetPort"] = 1
    assert projections.selection_digest(whole) != digest


def test_a_push_to_the_pods_that_serve_is_noticed(memory: Memory) -> None:
    """It is no revision of its own, since users have met it; the decision says that it wasn't judged."""
    blue = provisioned(memory)
    before = workloads(memory).read(PRIMARY)
    assert isinstance(before, WorkloadSeen)
    assert before.unjudged == ""
    del memory.objects["ReplicaSet", "podinfo-blue-b"]
    runs(memory, "blue", "c")
    found = workloads(memory).read(PRIMARY)
    assert isinstance(found, WorkloadSeen)
    assert (found.revision, found.unjudged, wanted(memory)) == (blue, "c", blue)
