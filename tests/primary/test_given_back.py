"""A deleted Canary leaves its target, the Service of clients and the routes as they were before it."""

from collections.abc import Iterator
from contextlib import closing, nullcontext
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.kube.client import Client, ClusterAccess
from canary.kube.connection import Connection
from canary.kube.resources import DEPLOYMENTS, REPLICA_SETS, SERVICES
from canary.primary.workload import SELECTOR_LABELS
from canary.routers.istio import PROVISIONING, VIRTUAL_SERVICES
from canary.workloads import pods
from canary.workloads.primary import KubernetesPrimary
from tests.parts.cluster import ControlPlane
from tests.parts.fences import unfenced
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for
from tests.primary.memory import Memory, replica_set
from tests.primary.test_writes import port, released, seen

Object = dict[str, Any]
WORDS = ("podinfo", "shop", "podinfo-primary", "")


def words(random: Random, *keys: str) -> dict[str, str]:
    """Some of these labels or annotations."""
    return {key: random.choice(WORDS) for key in keys if random.random() < 0.5}


def deployment(random: Random) -> Object:
    """What a user may have: labels of all kinds, some containers."""
    selected = {random.choice(SELECTOR_LABELS): "podinfo"} | words(random, "tier")
    ports = [{"name": "http", "containerPort": 9898, "protocol": "TCP"}, {"containerPort": 9797, "protocol": "TCP"}]
    containers = [
        {"name": "main", "image": "1", "ports": ports[: random.randrange(3)]},
        {"name": "log", "image": "2"},
    ]
    about = {"labels": {**words(random, "team", *SELECTOR_LABELS), **selected}, "annotations": words(random, "note")}
    return {
        "metadata": {"labels": words(random, "team", *SELECTOR_LABELS), "annotations": words(random, "note")},
        "spec": {
            "replicas": random.randint(1, 3),
            "selector": {"matchLabels": selected},
            "template": {"metadata": about, "spec": {"containers": containers[: random.randint(1, 2)]}},
        },
    }


def service(random: Random, target: Object) -> Object:
    """One that selects the target's pods by some of their labels, with ports of its own."""
    own = target["spec"]["template"]["metadata"]["labels"]
    names = random.sample(["web", "admin", "grpc"], 3)
    numbers = random.sample([80, 9898, 9797, 22], random.randint(1, 3))
    ports = [
        {"name": name, "port": number, "protocol": "TCP", "targetPort": random.choice([number, 8080])}
        | random.choice([{}, {"appProtocol": "http"}])
        for name, number in zip(names, numbers, strict=False)
    ]
    flux = "kustomize.toolkit.fluxcd.io/reconcile"
    spec = {
        "selector": {key: own[key] for key in own if random.random() < 0.5},
        "ports": ports,
        "type": random.choice(["ClusterIP", "NodePort"]),
    }
    if not spec["selector"]:
        del spec["selector"]
    spec |= random.choice([{}, {"trafficDistribution": "PreferClose"}])
    about = {"labels": words(random, "team", *SELECTOR_LABELS), "annotations": words(random, "note", flux)}
    return {"metadata": about, "spec": spec}


def routes(random: Random) -> Object:
    """Some to the Service, and some to others."""
    to = [{"destination": {"host": random.choice(["podinfo", "legacy"])}} for _ in range(random.randint(1, 2))]
    weights = [100] if len(to) == 1 else [60, 40]
    whole = [{**one, "weight": weight} for one, weight in zip(to, weights, strict=True)]
    http = [{"name": f"route-{number}", "route": random.choice([whole, to[:1]])} for number in range(2)]
    return {"metadata": {"annotations": words(random, "note")}, "spec": {"hosts": ["podinfo"], "http": http}}


def manifest(random: Random) -> Object:
    """`spec.service` of a Canary."""
    made: Object = {"port": random.choice([80, 9898])} | random.choice([{}, {"primaryLabels": "keep"}])
    optional = {
        "portDiscovery": True,
        "targetPort": "http",
        "portName": "http-main",
        "appProtocol": "grpc",
        "trafficDistribution": "PreferClose",
        "apex": {"labels": words(random, "team", "own"), "annotations": words(random, "note")},
    }
    return made | {key: value for key, value in optional.items() if random.random() < 0.4}


def without_counts(found: Object) -> Object:
    """Without what an API server counts or sets in it."""
    volatile = ("resourceVersion", "generation", "managedFields", "uid", "creationTimestamp")
    about = {key: value for key, value in found["metadata"].items() if key not in volatile}
    return {"metadata": {key: value for key, value in about.items() if value}, "spec": found["spec"]}


@settings(max_examples=50)
@given(st.randoms(use_true_random=True), st.booleans(), st.booleans(), st.booleans())
def test_all_is_equal_to_what_was_before(random: Random, served: bool, routed: bool, pushed: bool) -> None:
    """For any objects, also after another template was promoted and set back."""
    memory, target = Memory(), deployment(random)
    memory.put(DEPLOYMENTS, "podinfo", target["spec"], **target["metadata"])
    replica_set(memory, "a", 1, target["spec"]["template"])
    if served:
        own = service(random, target)
        memory.put(SERVICES, "podinfo", own["spec"], **own["metadata"])
    if routed:
        own = routes(random)
        memory.put(VIRTUAL_SERVICES, "podinfo", own["spec"], **own["metadata"])
    before = {key: without_counts(one) for key, one in memory.objects.items()}
    primary = port(memory, service=manifest(random))
    primary.provision("a")
    primary.provision("a")
    assert (seen(primary).missing, seen(primary).wrong) == ((), "")
    memory.scale(DEPLOYMENTS, "shop", "podinfo", 0)
    if pushed:
        other = deepcopy(target["spec"]["template"])
        other["spec"]["containers"][0]["image"] = "3"
        replica_set(memory, "b", 2, other)
        primary.copy("b")
        del memory.objects["ReplicaSet", "podinfo-b"]
        primary.copy("a")
    for _ in range(3):
        primary.give_back("a")
    assert seen(primary).returned
    selected = (memory.get(SERVICES, "shop", "podinfo").get("spec") or {}).get("selector") if served else None
    assert not served or selected == before["Service", "podinfo"]["spec"].get("selector")
    primary.remove()
    assert seen(primary).ours == ()
    assert {key: without_counts(one) for key, one in memory.objects.items()} == before


class Released:
    """A generated Deployment in a namespace of its own on the API server, with its Service and its routes."""

    def __init__(self, client: Client, namespace: str, seed: int) -> None:
        self.client, self.namespace = client, namespace
        random = Random(seed)
        target = deployment(random)
        own = {DEPLOYMENTS: target, SERVICES: service(random, target), VIRTUAL_SERVICES: routes(random)}
        for resource, body in own.items():
            client.create(resource, namespace, {**body, "metadata": {**body["metadata"], "name": "podinfo"}})
        self.before = self.all()
        canary = released(service=manifest(random))
        canary = canary.but(metadata=canary.metadata.but(namespace=namespace))
        self.primary = KubernetesPrimary(client, lambda: canary, namespace, PROVISIONING, nullcontext)

    def all(self) -> dict[str, Object]:
        """What is there of each kind, without the server's own annotation."""
        found = {}
        for resource in (DEPLOYMENTS, SERVICES, VIRTUAL_SERVICES):
            for one in self.client.find(resource, self.namespace):
                (one["metadata"].get("annotations") or {}).pop("deployment.kubernetes.io/revision", None)
                found[f"{resource.kind} {one['metadata']['name']}"] = without_counts(one)
        return found

    @property
    def revision(self) -> str:
        """The target's newest."""
        found = self.client.get(DEPLOYMENTS, self.namespace, "podinfo")
        sets = self.client.find(REPLICA_SETS, self.namespace)
        return pods.newest_replica_set(sets, found["metadata"]["uid"])

    def provisioned(self) -> bool:
        """Once the primary's pods are ready."""
        if self.revision:
            self.primary.provision(self.revision)
        return not seen(self.primary).missing

    def returned(self) -> bool:
        """Once the target's pods are ready."""
        self.primary.give_back(self.revision)
        return seen(self.primary).returned


@pytest.fixture
def server(control_plane: ControlPlane) -> Iterator[Client]:
    with closing(Connection(ClusterAccess(str(control_plane.kubeconfig("admin"))))) as wire:
        yield Client(wire, fence=unfenced)


@pytest.mark.cluster
def test_an_api_server_has_equal_objects_afterwards(server: Client, control_plane: ControlPlane) -> None:
    """The memory of the test above is what its author believed of server-side apply."""
    each = [Released(server, control_plane.kube.create_namespace(), seed) for seed in range(4)]
    for one in each:
        wait_for(one.provisioned, "what belongs to the primary", within=SLOWLY)
        server.scale(DEPLOYMENTS, one.namespace, "podinfo", 0)
    for one in each:
        wait_for(one.returned, "the target to serve", within=SLOWLY)
        one.primary.remove()
        assert seen(one.primary).ours == ()
        assert one.all() == one.before
