"""The chart on the real API server: accounts with tokens, and a controller under the chart's own account."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chart.helm import CHART, Data, Helm
from tests.incluster.site import CANARY, Replica, Site
from tests.parts.cluster import ControlPlane
from tests.parts.processes import free_port

RBAC = "/apis/rbac.authorization.k8s.io/v1"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class Release:
    """One installation."""

    def __init__(self, control_plane: ControlPlane, helm: Helm, name: str, namespace: str) -> None:
        self.control_plane, self.helm, self.name, self.namespace = control_plane, helm, name, namespace

    @property
    def account(self) -> str:
        """The controller's, as a user of the control plane, with a token of its own."""
        return account(self.control_plane, self.namespace, self.name)

    @property
    def deployment(self) -> Data:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}"
        found: Data = self.control_plane.kube.read(path)
        return found

    def controller(self, site: Site) -> Replica:
        """One of a site's replicas, with the account and the settings of the Deployment."""
        site.replicas.append(self.started(site.folder / f"{self.name}-{len(site.replicas)}.log"))
        return site.replicas[-1]

    def container(self, component: str = "") -> Data:
        """That of the controller's Deployment, or of another one's of the chart, such as `loadtester`."""
        name = f"{self.name}-{component}" if component else self.name
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}"
        found: Data = self.control_plane.kube.read(path)["spec"]["template"]["spec"]["containers"][0]
        return found

    def started(self, log: Path) -> Replica:
        """A process with the account and the settings of the Deployment; only its port is another one."""
        port, container = free_port(), self.container()
        settings = {one["name"]: one.get("value", "") for one in container["env"]}
        settings |= {"KUBECONFIG": str(self.control_plane.kubeconfig(self.account))}
        settings |= {"CANARY_LISTEN": f"127.0.0.1:{port}"}
        return Replica((*CANARY, *container["args"]), log, {**os.environ, **settings}, port)

    def uninstall(self) -> None:
        self.helm.run("uninstall", self.name, "-n", self.namespace, "--wait")


@contextmanager
def installed(
    control_plane: ControlPlane,
    binary: Path,
    name: str = "canary",
    values: Mapping[str, Any] | None = None,
    namespace: str = "",
) -> Iterator[Release]:
    """In a new namespace that lets in restricted pods only; the pods run as far as kwok runs any."""
    kube, namespace = control_plane.kube, control_plane.kube.create_namespace(namespace)
    kube.merge(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": RESTRICTED}})
    helm = Helm(binary, control_plane.folder, control_plane.kubeconfig())
    options = ("-n", namespace, *helm.given(values), "--wait", "--timeout", "2m")
    release = Release(control_plane, helm, name, namespace)
    try:
        helm.run("install", name, str(CHART), *options)
        yield release
    finally:
        if name in helm.run("list", "-n", namespace, "--short"):
            release.uninstall()
        kube.delete_namespace(namespace)


def account(control_plane: ControlPlane, namespace: str, name: str) -> str:
    """A ServiceAccount that is there, as a user: TokenRequest gives what its pods would have."""
    user = f"{namespace}-{name}"
    if user not in control_plane.tokens:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        control_plane.tokens[user] = control_plane.kube.create(path, body)["status"]["token"]
    return user


def person(control_plane: ControlPlane, namespace: str, name: str, role: str) -> str:
    """A new account with a ClusterRole in its namespace, as a user."""
    kube = control_plane.kube
    kube.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    bind(control_plane, namespace, name, role, subject)
    return account(control_plane, namespace, name)


def bind(control_plane: ControlPlane, namespace: str, name: str, role: str, subject: Data) -> None:
    """Gives someone a ClusterRole in a namespace."""
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    body = {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]}
    control_plane.kube.create(f"{RBAC}/namespaces/{namespace}/rolebindings", body)


def username(namespace: str, name: str) -> str:
    """As the API server knows an account."""
    return f"system:serviceaccount:{namespace}:{name}"
