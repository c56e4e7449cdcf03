"""The control plane is a real one: workloads progress, CRDs are enforced, rights count, and outages pass."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from kubernetes import client, config

from tests.parts import cluster, modules
from tests.parts.cluster import ControlPlane
from tests.parts.kube import is_true
from tests.parts.processes import wait_for

HTTP = [{"route": [{"destination": {"host": "shop", "subset": "v1"}}]}]


def deployment(name: str, image: str, **template: Any) -> dict[str, Any]:
    """A Deployment of two pods, which counts as stuck after 3 s."""
    labels = {"app": name}
    pod = {"metadata": {"labels": labels, **template}, "spec": {"containers": [{"name": "main", "image": image}]}}
    spec = {"replicas": 2, "progressDeadlineSeconds": 3, "selector": {"matchLabels": labels}, "template": pod}
    return {"metadata": {"name": name}, "spec": spec}


def virtual_service(**spec: Any) -> dict[str, Any]:
    kind = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
    return {**kind, "metadata": {"name": "shop"}, "spec": {"hosts": ["shop"], "http": HTTP, **spec}}


def deployments(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def virtual_services(namespace: str) -> str:
    return f"/apis/networking.istio.io/v1/namespaces/{namespace}/virtualservices"


def available(control_plane: ControlPlane, path: str) -> bool:
    found: Mapping[str, Any] = control_plane.kube.read(path)
    return bool(found["status"].get("availableReplicas") == 2 and is_true(found, "Available"))


def test_a_deployment_becomes_available(control_plane: ControlPlane, namespace: str) -> None:
    """Controllers, scheduler and kwok do what a cluster does, and the Service gets its endpoints."""
    kube, path = control_plane.kube, deployments(namespace)
    kube.create(path, deployment("shop", "shop:1"))
    service = {"metadata": {"name": "shop"}, "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]}}
    kube.create(f"/api/v1/namespaces/{namespace}/services", service)
    wait_for(partial(available, control_plane, f"{path}/shop"), "the Deployment", within=30)

    def endpoints() -> bool:
        slices = kube.read(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")["items"]
        ready = [each["conditions"]["ready"] for found in slices for each in found.get("endpoints") or []]
        return ready == [True, True]

    wait_for(endpoints, "two endpoints", within=30)


@pytest.mark.parametrize(
    ("image", "state"),
    [
        pytest.param("shop:2-unready", "running", id="runs and never gets ready"),
        pytest.param("shop:2-crashing", "waiting", id="crashes again and again"),
    ],
)
def test_a_bad_image(image: str, state: str, control_plane: ControlPlane, namespace: str) -> None:
    """Only pods of the bad image are unready; the Deployment keeps serving, misses its deadline, and heals."""
    kube, path = control_plane.kube, f"{deployments(namespace)}/shop"
    kube.create(deployments(namespace), deployment("shop", "shop:1"))
    wait_for(partial(available, control_plane, path), "the Deployment", within=30)
    kube.merge(path, {"spec": deployment("shop", image)["spec"]})

    def stuck() -> bool:
        conditions = kube.read(path)["status"]["conditions"]
        return any(each.get("reason") == "ProgressDeadlineExceeded" for each in conditions)

    wait_for(stuck, "ProgressDeadlineExceeded", within=30)
    pods = kube.read(f"/api/v1/namespaces/{namespace}/pods")["items"]
    ready = {pod["spec"]["containers"][0]["image"]: is_true(pod, "Ready") for pod in pods}
    assert ready == {"shop:1": True, image: False}
    bad = next(pod for pod in pods if pod["spec"]["containers"][0]["image"] == image)
    assert list(bad["status"]["containerStatuses"][0]["state"]) == [state]
    assert is_true(kube.read(path), "Available")
    kube.merge(path, {"spec": deployment("shop", "shop:3")["spec"]})
    wait_for(partial(available, control_plane, path), "the Deployment again", within=30)


def test_a_slow_pod(control_plane: ControlPlane, namespace: str) -> None:
    """The annotation test/ready-after delays readiness, and no more than that."""
    kube, path = control_plane.kube, deployments(namespace)
    slow = deployment("slow", "shop:1", annotations={"test/ready-after": "2s"})
    kube.create(path, slow)
    kube.create(path, deployment("fast", "shop:1"))
    wait_for(partial(available, control_plane, f"{path}/fast"), "the fast one", within=30)
    assert not available(control_plane, f"{path}/slow")
    wait_for(partial(available, control_plane, f"{path}/slow"), "the slow one", within=30)


def test_an_unknown_field_of_a_virtual_service(control_plane: ControlPlane, namespace: str) -> None:
    """Istio's schema prunes it with a warning, unless the request is Strict: then it is refused."""
    kube, path = control_plane.kube, virtual_services(namespace)
    typo = virtual_service(gateway=["mesh"])
    refused = kube.request("POST", path, typo, fieldValidation="Strict")
    assert refused.status_code == 400
    assert 'unknown field "spec.gateway"' in refused.json()["message"]
    pruned = kube.request("POST", path, typo)
    assert pruned.status_code == 201
    assert "spec.gateway" in pruned.headers["Warning"]
    assert pruned.json()["spec"] == virtual_service()["spec"]
    assert kube.read(f"{path}/shop")["spec"] == virtual_service()["spec"]


def test_a_wrong_weight_of_an_http_route(control_plane: ControlPlane, namespace: str) -> None:
    """Gateway API's schema is enforced."""
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"
    backend = {"name": "shop", "port": 80}
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "shop"}}

    def route(weight: int) -> dict[str, Any]:
        return {**kind, "spec": {"rules": [{"backendRefs": [{**backend, "weight": weight}]}]}}

    assert control_plane.kube.request("POST", path, route(-1)).status_code == 422
    control_plane.kube.create(path, route(1))


def test_a_stale_resource_version(control_plane: ControlPlane, namespace: str) -> None:
    """Who writes on top of what has changed gets 409, and changes nothing."""
    kube, path = control_plane.kube, virtual_services(namespace)
    read = kube.create(path, virtual_service())
    kube.merge(f"{path}/shop", {"metadata": {"labels": {"by": "another"}}})
    read["metadata"]["labels"] = {"by": "us"}
    assert kube.request("PUT", f"{path}/shop", read).status_code == 409
    assert kube.read(f"{path}/shop")["metadata"]["labels"] == {"by": "another"}


def test_a_user_without_rights(control_plane: ControlPlane, namespace: str) -> None:
    """Alice may neither read nor write, and a token that no one has is no one's."""
    path = virtual_services(namespace)
    assert control_plane.kube.request("GET", path, user="alice").status_code == 403
    assert control_plane.kube.request("POST", path, virtual_service(), user="alice").status_code == 403
    headers = {"Authorization": "Bearer nobody"}
    ca = str(control_plane.ca)
    assert requests.get(control_plane.url + path, headers=headers, verify=ca, timeout=10).status_code == 401


def test_an_outage_of_the_api_server(control_plane: ControlPlane, namespace: str) -> None:
    """While it is dead connections are refused; then all objects are there, and controllers go on."""
    kube, path = control_plane.kube, virtual_services(namespace)
    made = kube.create(path, virtual_service())
    control_plane.api_server.kill()
    with pytest.raises(requests.ConnectionError, match="refused"):
        kube.request("GET", path)
    control_plane.restart_api_server()
    assert kube.read(f"{path}/shop") == made
    kube.create(deployments(namespace), deployment("shop", "shop:1"))
    wait_for(partial(available, control_plane, f"{deployments(namespace)}/shop"), "the Deployment", within=60)


def test_all_that_was_stopped_runs_again(control_plane: ControlPlane, namespace: str) -> None:
    """The next test gets a whole cluster, no matter what this one has done to it.

    Clients of a server that was away don't go on with what they knew: they begin again.
    """
    pids = [program.child.pid for program in control_plane.programs if program.child is not None]
    control_plane.etcd.pause()
    control_plane.kwok.kill()
    control_plane.scheduler.stop()
    control_plane.mend()
    assert [program.running for program in control_plane.programs] == [True] * 5
    again = [program.child.pid for program in control_plane.programs if program.child is not None]
    assert [old == new for old, new in zip(pids, again, strict=True)] == [True, True, False, False, False]
    path = deployments(namespace)
    control_plane.kube.create(path, deployment("shop", "shop:1"))
    wait_for(partial(available, control_plane, f"{path}/shop"), "the Deployment", within=60)


def test_kubectl_reads_the_kubeconfig(control_plane: ControlPlane, namespace: str) -> None:
    """It comes from the same release as the API server."""
    control_plane.kube.create(virtual_services(namespace), virtual_service())
    kubectl = f"{control_plane.tools / 'kubectl'} --kubeconfig={control_plane.kubeconfig()} --namespace={namespace}"
    environment = {**os.environ, "HOME": str(control_plane.folder)}
    command = [*kubectl.split(), "get", "virtualservices", "--output=name"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "virtualservice.networking.istio.io/shop\n"


@pytest.mark.parametrize(("user", "allowed"), [("admin", True), ("alice", False)])
def test_the_official_client_reads_the_kubeconfig(
    user: str, allowed: bool, control_plane: ControlPlane, namespace: str
) -> None:
    """Whose kubeconfig it is decides who asks."""
    asked = client.V1ResourceAttributes(namespace=namespace, verb="get", resource="pods")
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=asked))
    with config.new_client_from_config(str(control_plane.kubeconfig(user))) as api:
        rights = client.AuthorizationV1Api(api)
        answer = rights.create_self_subject_access_review(review, _request_timeout=10)
    assert answer.status is not None
    assert answer.status.allowed is allowed


def test_tools_that_were_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache has none; a folder that envtest could use is taken as it is, and must have all programs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    assert cluster.find() is None
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    for programs, found in (
        (("etcd", "kube-apiserver"), None),
        (("kubectl",), None),
        (("kube-controller-manager", "kube-scheduler", "kwok"), tmp_path),
    ):
        for program in programs:
            (tmp_path / program).touch(mode=0o755)
        assert cluster.find() == found


def test_a_machine_without_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Building ends with one sentence that names the command which provides it."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    tools = shutil.copytree(modules.FOLDER, tmp_path / "a" / "b" / "c" / "cluster-tools")
    path = tmp_path / "bin"
    path.mkdir()
    for program in ("bash", "cat", "cut", "dirname", "sha256sum"):
        (path / program).symlink_to(shutil.which(program) or program)
    env = {**os.environ, "PATH": str(path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([tools / "build"], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"No Go, which builds the cluster tools: `{modules.PROVIDES}` provides it.\n"
