"""A cluster whose Istio is older serves the same objects in another version of the API, which is found by asking."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from canary.api.plan import Traffic
from canary.engine.observed import RouteSeen
from canary.engine.pairs import IN_CLUSTER
from canary.istio.scope import Scope
from canary.kube.client import Client, Object, Stream
from canary.kube.errors import ApiAnswer, NotFound, Unserved
from canary.kube.reflector import Reflector
from canary.kube.requests import Request
from canary.kube.resources import CONFIG_MAPS
from canary.routers.istio import DESTINATION_RULES, VIRTUAL_SERVICES, IstioRouter
from tests.kube.conftest import Connect
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane
from tests.parts.fences import guarded, unfenced
from tests.parts.kube import SLOWLY, Kube
from tests.parts.processes import Command, free_port, wait_for

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CANARY = (sys.executable, "-m", "canary")
KINDS = (VIRTUAL_SERVICES, DESTINATION_RULES)
EVERY = tuple(VIRTUAL_SERVICES.variants())


@dataclass
class Server:
    """Serves some versions of Istio's API, with one object in it."""

    versions: set[str]
    asked: list[str] = field(default_factory=list)

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        self.asked.append(f"{request.method} {request.resource.version}")
        if request.resource.older and request.resource.version not in self.versions:
            return ApiAnswer(404, {}, b"404 page not found\n")
        if request.name == "gone":
            return ApiAnswer(404, {}, b'{"kind": "Status", "message": "not found"}')
        return ApiAnswer(200, {}, b"{}")

    def stream(self, request: Request, timeout: float, silence: float) -> Stream:
        raise AssertionError("these tests open no watch")

    def renew(self) -> None:
        raise AssertionError("these tests lose no credentials")


def test_the_version_that_is_served_is_asked_from_then_on() -> None:
    """One question more, once; those who share the client profit from it."""
    server = Server({"v1beta1", "v1alpha3"})
    client = Client(server, fence=unfenced)
    client.get(VIRTUAL_SERVICES, "shop", "reviews")
    guarded(client, lambda: None).urgent().patch(VIRTUAL_SERVICES, "shop", "reviews", [])
    assert server.asked == ["GET v1", "GET v1beta1", "PATCH v1beta1"]


def test_an_upgrade_of_istio_is_followed() -> None:
    """A version that was served isn't any more."""
    server = Server({"v1alpha3"})
    client = Client(server, fence=unfenced)
    client.get(VIRTUAL_SERVICES, "shop", "reviews")
    server.versions, server.asked = {"v1"}, []
    client.get(VIRTUAL_SERVICES, "shop", "reviews")
    client.get(VIRTUAL_SERVICES, "shop", "reviews")
    assert server.asked == ["GET v1alpha3", "GET v1", "GET v1"]


def test_an_object_that_is_gone_is_looked_for_once() -> None:
    """Another version of the API has no other objects."""
    server = Server({"v1beta1"})
    client = Client(server, fence=unfenced)
    for _ in range(2):
        with pytest.raises(NotFound):
            client.get(VIRTUAL_SERVICES, "shop", "gone")
    assert server.asked == ["GET v1", "GET v1beta1", "GET v1beta1"]


def test_a_cluster_without_istio_is_named() -> None:
    """With all versions that would do."""
    server = Server(set())
    with pytest.raises(Unserved, match=r"no VirtualService \(networking.istio.io/v1 or v1beta1 or v1alpha3\)"):
        Client(server, fence=unfenced).get(VIRTUAL_SERVICES, "shop", "reviews")
    assert server.asked == ["GET v1", "GET v1beta1", "GET v1alpha3"]


def test_other_kinds_have_one_version() -> None:
    """They are asked for once."""
    server = Server({"v1beta1"})
    Client(server, fence=unfenced).get(CONFIG_MAPS, "shop", "state")
    assert server.asked == ["GET v1"]


def test_what_lint_lets_through_is_what_is_asked_for() -> None:
    """Neither knows of a version that the other doesn't."""
    assert tuple(one.api_version for one in EVERY) == IN_CLUSTER[0].api_versions
    assert tuple(one.api_version for one in DESTINATION_RULES.variants()) == IN_CLUSTER[0].api_versions


@pytest.fixture
def serve(control_plane: ControlPlane) -> Iterator[Callable[[str], None]]:
    """Lets Istio's own definitions serve one version only, until the test is over."""
    kube = control_plane.kube

    def only(version: str) -> None:
        for kind in KINDS:
            _serve(kube, f"{kind.plural}.{kind.group}", {version})
        for kind in KINDS:
            for one in kind.variants():
                path, served = f"{one.root}/{one.plural}", one.version == version
                wait_for(partial(_is, kube, path, served), f"{path}: {served}", within=SLOWLY)

    yield only
    for kind in KINDS:
        _serve(kube, f"{kind.plural}.{kind.group}", {one.version for one in kind.variants()})
    for one in (one for kind in KINDS for one in kind.variants()):
        wait_for(partial(_is, kube, f"{one.root}/{one.plural}", True), one.api_version, within=SLOWLY)


def _serve(kube: Kube, name: str, versions: set[str]) -> None:
    spec = kube.read(f"{CRDS}/{name}")["spec"]
    changed = [{**one, "served": one["name"] in versions} for one in spec["versions"]]
    kube.merge(f"{CRDS}/{name}", {"spec": {"versions": changed}})


def _is(kube: Kube, path: str, served: bool) -> bool:
    return bool(kube.request("GET", path, limit="1").ok) == served


@pytest.mark.parametrize("version", ["v1beta1", "v1alpha3"])
def test_a_real_server_of_an_older_version(
    client: Client, connect: Connect, serve: Callable[[str], None], namespace: str, version: str
) -> None:
    """Routes are read, moved and watched; a watch goes on where the version is taken away from it."""
    _create(client, namespace, bookinfo.virtual_service("reviews", {"route": bookinfo.to("reviews", v1=100, v2=0)}))
    seen: list[int | None] = []
    follower = Reflector(client, VIRTUAL_SERVICES, _weight, lambda event: seen.append(event.after), namespace)
    follower.start()
    assert follower.wait_synced(SLOWLY), follower.trouble
    serve(version)
    fresh = connect()
    _create(fresh, namespace, bookinfo.destination_rule("reviews", ("v1", "v2")))
    router = IstioRouter(fresh, Scope(namespace, ("reviews",)))
    there = router.read("v1", "v2")
    assert isinstance(there, RouteSeen)
    router.write("v1", "v2", Traffic(weight=30), there.token)
    wait_for(lambda: seen == [0, 30], f"the watch to go on: {seen}, {follower.trouble}", within=SLOWLY)
    follower.stop(SLOWLY)


@pytest.mark.long
@pytest.mark.usefixtures("kinds")
@pytest.mark.parametrize("by", ["run", "controller"])
def test_a_whole_rollout_where_only_an_older_version_is_served(
    client: Client,
    control_plane: ControlPlane,
    serve: Callable[[str], None],
    namespace: str,
    tmp_path: Path,
    by: str,
) -> None:
    """A manifest may name it, or v1, which the cluster doesn't serve: both name one kind."""
    kube = control_plane.kube
    kube.create(f"/api/v1/namespaces/{namespace}/services", bookinfo.service("reviews"))
    for version in ("v1", "v2"):
        labels = {"app": "reviews", "version": version}
        made = bookinfo.deployment(f"reviews-{version}", labels, replicas=1)
        kube.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", made)
    serve("v1beta1")
    routes = {"route": bookinfo.to("reviews", v1=100, v2=0)}
    _create(client, namespace, bookinfo.destination_rule("reviews", ("v1", "v2")))
    _create(client, namespace, bookinfo.virtual_service("reviews", routes))
    manifest, log, environment = _manifest(namespace, by), tmp_path / "canary.log", dict(os.environ)
    environment["KUBECONFIG"] = str(control_plane.kubeconfig())
    if by == "run":
        (tmp_path / "reviews.yaml").write_text(json.dumps(manifest))
        run = Command((*CANARY, "run", "-f", str(tmp_path / "reviews.yaml")), log, environment)
        assert run.ends() == 0, run.text
    else:
        kube.create(f"/apis/canary-controller.dev/v1beta1/namespaces/{namespace}/canaries", manifest)
        home = ("--namespace", namespace, "--lease-namespace", namespace, "--allowed-metrics-servers", "*")
        controller = Command((*CANARY, "controller", *home, "--listen", f"127.0.0.1:{free_port()}"), log, environment)
        ends = Command((*CANARY, "wait", "reviews", "-n", namespace), tmp_path / "wait.log", environment)
        assert ends.ends() == 0, ends.text + controller.text
        controller.process.terminate()
        assert controller.ends() == 0, controller.text
    assert _weight(client.get(VIRTUAL_SERVICES, namespace, "reviews")) == 100


def _manifest(namespace: str, by: str) -> Object:
    """Two steps and nothing to be judged by: the mesh isn't there."""
    api = "networking.istio.io/v1beta1" if by == "run" else bookinfo.ISTIO
    analysis = {"interval": "1s", "threshold": 2, "settle": "0s", "drain": "0s", "steps": [{"weight": 20}]}
    return {
        "apiVersion": "canary-controller.dev/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "reviews", "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": api, "kind": "VirtualService", "name": "reviews"},
            "version": "v2",
            "metricsServer": "http://127.0.0.1:9",
            "analysis": analysis,
        },
    }


def _create(client: Client, namespace: str, body: Object) -> None:
    [resource] = [one for one in KINDS if one.kind == body["kind"]]
    client.create(resource, namespace, {name: body[name] for name in ("metadata", "spec")})


def _weight(found: Object) -> int | None:
    """What v2 has."""
    route = found["spec"]["http"][0]["route"]
    return next((int(one.get("weight", 0)) for one in route if one["destination"]["subset"] == "v2"), None)
