"""What is looked up by Services: the Prometheus that no one named, and the pods that a version has."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from canary.api.canary import API_VERSION
from canary.bootstrap import Place
from canary.bootstrap.cluster import wired
from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Missing
from canary.istio.scope import Scope
from canary.kube.client import Client
from canary.metrics.discovery import USUAL, server
from canary.routers.istio import REMEMBERED, IstioRouter
from tests.kube.conftest import Connect
from tests.mesh.bookinfo import destination_rule, service, to, virtual_service
from tests.parts.cluster import ControlPlane
from tests.parts.kube import Kube

ISTIO, OPERATED = USUAL
Serve = Callable[..., None]


@pytest.fixture
def serve(control_plane: ControlPlane) -> Iterator[Serve]:
    """Puts a Service there: its name, its namespace, and its ports."""
    kube, made = control_plane.kube, list[str]()

    def start(name: str, namespace: str, *ports: int) -> None:
        kube.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        listed = [{"name": f"port-{one}", "port": one} for one in ports]
        path = f"/api/v1/namespaces/{namespace}/services"
        kube.create(path, {"metadata": {"name": name}, "spec": {"ports": listed}})
        made.append(f"{path}/{name}")

    yield start
    for path in made:
        assert kube.request("DELETE", path).ok


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        pytest.param((9090,), 9090, id="its own port"),
        pytest.param((10901, 9090), 9090, id="its own port beside another"),
        pytest.param((80, 443), 80, id="the first one where its own isn't there"),
    ],
)
def test_istios_addon_is_found(client: Client, serve: Serve, ports: tuple[int, ...], port: int) -> None:
    """By the name that Istio's documentation gives it."""
    serve("prometheus", "istio-system", *ports)
    assert server(None, client) == f"http://prometheus.istio-system:{port}"


def test_the_operators_is_found(client: Client, serve: Serve) -> None:
    """Where Istio's isn't there; where both are, Istio's."""
    serve("prometheus-operated", "monitoring", 9090)
    assert server(None, client) == "http://prometheus-operated.monitoring:9090"
    serve("prometheus", "istio-system", 9090)
    assert server(None, client) == "http://prometheus.istio-system:9090"


def test_one_that_is_named_is_taken_as_it_is(connect: Connect) -> None:
    """Nothing is looked up."""
    alice = connect("alice")
    assert server("http://mine:9090", alice) == "http://mine:9090"
    assert alice.calls.take() == {}


def test_none_is_found(client: Client) -> None:
    """The sentence says what was looked for, and what to do."""
    with pytest.raises(Invalid) as reported:
        server(None, client)
    assert str(reported.value) == (
        "spec.metricsServer: missing, and no Prometheus was found as prometheus.istio-system or "
        "prometheus-operated.monitoring; write its URL, or give --prometheus"
    )


def manifest(**analysis: Any) -> str:
    """A Canary of a target in the cluster that names no server."""
    target = {"kind": "VirtualService", "name": "reviews"}
    spec = {"targetRef": target, "version": "v2", "analysis": {"stepWeights": [50], **analysis}}
    return json.dumps({"apiVersion": API_VERSION, "kind": "Canary", "metadata": {"name": "reviews"}, "spec": spec})


def test_a_run_that_evaluates_nothing_needs_none(client: Client, namespace: str, tmp_path: Path) -> None:
    """Only metrics have to be asked for somewhere."""
    file = tmp_path / "reviews.yaml"
    file.write_text(manifest())
    place = Place((file,))
    with wired(place, place.target, client, namespace) as run:
        assert run.name == "reviews"
    file.write_text(manifest(metrics=[{"name": "request-success-rate", "thresholdRange": {"min": 99}}]))
    with pytest.raises(Invalid, match="no Prometheus was found"), wired(place, place.target, client, namespace):
        pass


def test_services_are_forbidden(connect: Connect, serve: Serve) -> None:
    """Then no one knows whether there is one: it isn't guessed, and the missing permission is named."""
    serve("prometheus", "istio-system", 9090)
    with pytest.raises(Invalid, match="no Prometheus was found") as reported:
        server(None, connect("alice"))
    assert "prometheus.istio-system: " in str(reported.value)
    assert "get services" in str(reported.value)
    assert str(reported.value).endswith("; write its URL, or give --prometheus")


def test_one_namespace_is_forbidden(control_plane: ControlPlane, connect: Connect, serve: Serve) -> None:
    """The other is looked into all the same."""
    kube = control_plane.kube
    serve("prometheus-operated", "monitoring", 9090)
    paths = [f"/apis/rbac.authorization.k8s.io/v1/namespaces/monitoring/{kind}" for kind in ("roles", "rolebindings")]
    rule = {"apiGroups": [""], "resources": ["services"], "verbs": ["get"]}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "iterations"}
    kube.create(paths[0], {"metadata": {"name": "iterations"}, "rules": [rule]})
    subjects = [{"kind": "User", "name": "alice"}]
    kube.create(paths[1], {"metadata": {"name": "iterations"}, "subjects": subjects, "roleRef": ref})
    try:
        assert server(None, connect("alice")) == "http://prometheus-operated.monitoring:9090"
    finally:
        for path in paths:
            kube.request("DELETE", f"{path}/looks")


def put(kube: Kube, namespace: str, found: dict[str, Any]) -> None:
    """An object of the shop."""
    group = f"/apis/{found['apiVersion']}" if "/" in found["apiVersion"] else "/api/v1"
    kube.create(f"{group}/namespaces/{namespace}/{found['kind'].lower()}s", found)


def test_a_service_that_changes_its_selector(control_plane: ControlPlane, namespace: str, client: Client) -> None:
    """It is noticed within half a minute, for one read in all that time."""
    kube, now = control_plane.kube, [0.0]
    for each in (
        service("shop"), destination_rule("shop", ("v1", "v2")), virtual_service("shop", {"route": to("shop", v1=1)}),
    ):  # fmt: skip
        put(kube, namespace, each)
    router = IstioRouter(client, Scope(namespace, ("shop",)), lambda: now[0])
    assert router.selector("v1") == {"app": "shop", "version": "v1"}
    path = f"/api/v1/namespaces/{namespace}/services/shop"
    kube.merge(path, {"spec": {"selector": {"app": None, "tier": "front"}}})
    client.calls.take()
    now[0] += REMEMBERED - 1
    assert [router.selector(one) for one in ("v1", "v2")] == [{"app": "shop", "version": one} for one in ("v1", "v2")]
    assert "get Service" not in client.calls.take()
    now[0] += 1
    assert [router.selector(one) for one in ("v1", "v2")] == [
        {"tier": "front", "version": one} for one in ("v1", "v2")
    ]
    assert client.calls.take()["get Service"] == 1
    now[0] += REMEMBERED
    kube.request("DELETE", path)
    gone = router.selector("v1")
    assert isinstance(gone, Missing)
    assert gone.cause is Cause.ABSENT
