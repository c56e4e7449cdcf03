"""The real API server takes all objects as they are made, by server-side apply."""

from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.primary.names import Names
from canary.primary.routes import adopted, destination_rules, virtual_service
from canary.primary.services import services
from canary.primary.workload import primary
from tests.crds.objects import WHOLE_SERVICE
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

from .podinfo import REVISION, Object, canary, deployment

APPLY = "application/apply-patch+yaml"
PLURALS = {
    "Deployment": "apis/apps/v1/namespaces/{}/deployments",
    "ReplicaSet": "apis/apps/v1/namespaces/{}/replicasets",
    "Service": "api/v1/namespaces/{}/services",
    "DestinationRule": "apis/networking.istio.io/v1/namespaces/{}/destinationrules",
    "VirtualService": "apis/networking.istio.io/v1/namespaces/{}/virtualservices",
}
AFFINE: Object = {
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": "podinfo"}},
        }
    ],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {
                            "matchExpressions": [{"key": "app", "operator": "In", "values": ["podinfo"]}]
                        },
                    },
                }
            ]
        }
    },
}


class Cluster:
    """One namespace of the API server."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.kube, self.namespace = control_plane.kube, namespace

    def path(self, kind: str, name: str = "") -> str:
        """Where objects of a kind are, or one of them."""
        return f"/{PLURALS[kind].format(self.namespace)}" + (f"/{name}" if name else "")

    def applied(self, made: Mapping[str, Any], **query: str) -> Object:
        """As the server has it afterwards; neither an unknown field nor anything else to warn of is in it."""
        path = self.path(made["kind"], made["metadata"]["name"])
        options = {"fieldManager": "canary", "force": "true", "fieldValidation": "Strict", **query}
        answer = self.kube.request("PATCH", path, made, content_type=APPLY, **options)
        assert (answer.ok, answer.headers.get("Warning")) == (True, None), answer.text
        found: Object = answer.json()
        return found

    def template(self, image: str) -> Object:
        """The pod template of the ReplicaSet that has this image, as soon as there is one."""

        def found() -> list[Object]:
            templates = (one["spec"]["template"] for one in self.kube.read(self.path("ReplicaSet"))["items"])
            return [one for one in templates if one["spec"]["containers"][0]["image"] == image]

        return wait_for(found, f"a ReplicaSet of {image}", within=SLOWLY)[0]


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    """With podinfo in it."""
    made = Cluster(control_plane, namespace)
    target = deployment(pod=AFFINE, namespace=namespace, annotations={"team/chat": "#shop"})
    del target["metadata"]["uid"], target["metadata"]["resourceVersion"], target["status"]
    made.kube.create(made.path("Deployment"), target)
    return made


def everything(cluster: Cluster, given: Canary, image: str) -> list[Object]:
    """All objects of a Canary, from the target as the server has it."""
    given = given.but(metadata=given.metadata.but(namespace=cluster.namespace))
    target, template = cluster.kube.read(cluster.path("Deployment", "podinfo")), cluster.template(image)
    workload = primary(given, target, template, REVISION, 2)
    return [workload, *services(given, target), *destination_rules(given), virtual_service(given, target)]


def owned(found: Object) -> Any:
    """The fields that canary owns."""
    return next(one["fieldsV1"] for one in found["metadata"]["managedFields"] if one["manager"] == "canary")


@pytest.mark.parametrize(
    "service",
    [
        pytest.param({}, id="a port alone"),
        pytest.param(WHOLE_SERVICE | {"port": 9080, "name": "reviews"}, id="all that a Service may have"),
        pytest.param({"headless": True, "delegation": True, "portDiscovery": True}, id="a headless delegate"),
    ],
)
def test_everything_can_be_applied(service: dict[str, Any], cluster: Cluster) -> None:
    """At first in a dry run; applying it once more changes nothing."""
    given = canary(service)
    made = everything(cluster, given, "stefanprodan/podinfo:6.0.0")
    for one in made:
        cluster.applied(one, dryRun="All")
    first = [cluster.applied(one) for one in made]
    again = [cluster.applied(one) for one in everything(cluster, given, "stefanprodan/podinfo:6.0.0")]
    assert [one["metadata"]["resourceVersion"] for one in again[1:]] == [
        one["metadata"]["resourceVersion"] for one in first[1:]
    ]
    assert again[0]["metadata"]["generation"] == 1


def test_the_pods_of_both_are_selected_apart(cluster: Cluster) -> None:
    """The primary's are ready, and each Service has the addresses of its own."""
    for one in everything(cluster, canary(), "stefanprodan/podinfo:6.0.0"):
        cluster.applied(one)
    names = Names.of(canary())

    def pods(app: str) -> set[str]:
        found = cluster.kube.read(f"/api/v1/namespaces/{cluster.namespace}/pods?labelSelector=app%3D{app}")
        return {one["metadata"]["name"] for one in found["items"]}

    def ready(service: str) -> set[str]:
        where = f"/apis/discovery.k8s.io/v1/namespaces/{cluster.namespace}/endpointslices"
        found = cluster.kube.read(f"{where}?labelSelector=kubernetes.io%2Fservice-name%3D{service}")["items"]
        endpoints = [each for one in found for each in one.get("endpoints") or ()]
        return {each["targetRef"]["name"] for each in endpoints if each["conditions"]["ready"]}

    def both(service: str) -> set[str]:
        return found if len(found := ready(service)) == 2 else set()

    for service, app in (
        (names.apex, "podinfo-primary"),
        (names.primary_host, "podinfo-primary"),
        (names.canary_host, "podinfo"),
    ):
        assert wait_for(partial(both, service), f"pods behind {service}", within=SLOWLY) == pods(app)


def test_replicas_of_another_client_stay(cluster: Cluster) -> None:
    """What isn't said isn't owned, and a field that a newer template lacks goes."""
    given = canary().but(metadata=canary().metadata.but(namespace=cluster.namespace))
    target = cluster.kube.read(cluster.path("Deployment", "podinfo"))
    template = cluster.template("stefanprodan/podinfo:6.0.0")
    found = cluster.applied(primary(given, target, template, REVISION, None))
    assert "f:replicas" not in owned(found)["f:spec"]
    cluster.kube.merge(cluster.path("Deployment", "podinfo-primary"), {"spec": {"replicas": 5}})
    newer = deepcopy(template)
    newer["spec"]["containers"][0] |= {"image": "stefanprodan/podinfo:6.0.1", "env": []}
    after = cluster.applied(primary(given, target, newer, "next", None))
    assert after["spec"]["replicas"] == 5
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container.get("env")) == ("stefanprodan/podinfo:6.0.1", None)
    assert after["metadata"]["annotations"]["canary-controller.dev/revision"] == "next"


def test_a_template_with_doubles_can_be_applied(cluster: Cluster) -> None:
    """The API server takes them from the target's owner, and not from server-side apply."""
    given = canary().but(metadata=canary().metadata.but(namespace=cluster.namespace))
    target = cluster.kube.read(cluster.path("Deployment", "podinfo"))
    template = cluster.template("stefanprodan/podinfo:6.0.0")
    container = template["spec"]["containers"][0]
    container["env"] = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    container["ports"] = [{"containerPort": 80}, {"containerPort": 80, "name": "web"}]
    template["spec"]["imagePullSecrets"] = [{"name": "a"}, {"name": "a"}]
    template["spec"]["hostAliases"] = [{"ip": "10.0.0.1", "hostnames": ["b"]}, {"ip": "10.0.0.1", "hostnames": ["c"]}]
    body = {**target, "metadata": {"name": "doubled"}, "spec": {**target["spec"], "template": template}}
    cluster.kube.create(cluster.path("Deployment"), body)
    cluster.applied(primary(given, target, template, REVISION, 1))


def test_an_adopted_virtual_service_is_accepted(cluster: Cluster) -> None:
    """As the update that it is."""
    given = canary({"portDiscovery": True})
    given = given.but(metadata=given.metadata.but(namespace=cluster.namespace))
    before = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "podinfo", "namespace": cluster.namespace, "annotations": {"note": "mine"}},
        "spec": {
            "hosts": ["podinfo"],
            "exportTo": ["."],
            "http": [
                {"match": [{"uri": {"prefix": "/old"}}], "redirect": {"uri": "/new"}},
                {"route": [{"destination": {"host": "podinfo", "port": {"number": 9898}}}], "timeout": "5s"},
            ],
            "tls": [{"match": [{"port": 443, "sniHosts": ["a.b"]}], "route": [{"destination": {"host": "podinfo"}}]}],
        },
    }
    found = cluster.kube.create(cluster.path("VirtualService"), before)
    target = cluster.kube.read(cluster.path("Deployment", "podinfo"))
    answer = cluster.kube.request(
        "PUT", cluster.path("VirtualService", "podinfo"), adopted(found, given, target), fieldValidation="Strict"
    )
    assert (answer.ok, answer.headers.get("Warning")) == (True, None), answer.text
    after = answer.json()
    assert [one["weight"] for one in after["spec"]["http"][1].pop("route")] == [100, 0]
    expected = deepcopy(before["spec"])
    del expected["http"][1]["route"]  # type: ignore[index]
    assert (after["spec"], after["metadata"]["annotations"]) == (expected, {"note": "mine"})
