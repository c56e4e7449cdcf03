"""The ten manifests in a mesh of their own, beside the load tester and the other servers that they name."""

import json
import os
import shutil
import time
from collections.abc import Mapping
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from canary.api.plan import Traffic
from canary.api.status import Status
from canary.istio.reading import read
from canary.istio.scope import Scope
from canary.workloads import pods
from tests.incluster.site import CANARY, Site
from tests.mesh import bookinfo
from tests.mesh.load import Load
from tests.mesh.mesh import Mesh
from tests.parts import missing
from tests.parts.processes import Command, free_port
from tests.podinfo.controlled import AT_REST
from tests.webhooks.server import HookServer, Reply

Data = dict[str, Any]

QUICKLY = {"interval": "1s", "settle": "1s", "drain": "1s", "scrapeInterval": "1s"}
WINDOW = "5s"
PATIENT = 15
"""How many evaluations of a good build may fail at least: they are due each second, and a mesh on a busy machine
lags by some."""
SLOWER = 10
"""How much longer a request may take than a manifest says: the clients and servers of all ten are one process."""
GATEWAYS = {"search": "istio-system/public", "storefront": "istio-ingress/shop"}
"""Where the users of a Canary come from, if not from the namespace."""
HOSTS = {"search": "search.shop.example", "storefront": "www.shop.example"}
BUSY = {"storefront": 30.0}
"""Requests a second: its first step is 1%."""
USERS = 4.0
SCALED: Data = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "worker"},
    "spec": {
        "scaleTargetRef": {"name": "worker"},
        "triggers": [
            {
                "type": "prometheus",
                "name": "prometheus-trigger",
                "metadata": {
                    "serverAddress": "http://prometheus:9090",
                    "query": 'sum(rate(http_requests_total{app="worker"}[30s]))',
                    "threshold": "5",
                },
            }
        ],
    },
}
KEYS: Data = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "datadog"},
    "stringData": {"datadog_api_key": "key", "datadog_application_key": "key"},
}
# What hey and ghz send, sent by curl: of their options only -H counts, and the last word is the address.
LOAD = """\
#!/bin/sh
for word; do [ "$last" = -H ] && header=$word; last=$word; done
exec curl --silent --output /dev/null --rate 5/s ${header:+--header "$header"} "${last%/}/?[1-300]"
"""
HELM = """\
#!/bin/sh
echo "$@" >> "$HOME/helm"
"""


class LoadTester:
    """One `canary loadtester` whose commands come from `folder`, and whose requests go through the mesh."""

    def __init__(self, folder: Path, mesh: Mesh) -> None:
        self.port = free_port()
        programs = folder / "programs"
        programs.mkdir()
        for name, text in {"hey": LOAD, "ghz": LOAD, "helm": HELM}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        ways = {"": mesh.pilot.port("source", "client"), HOSTS["search"]: mesh.pilot.port("source", "search")}
        lines = [f'connect-to = "{host}::127.0.0.1:{port}"\n' for host, port in sorted(ways.items(), reverse=True)]
        (folder / ".curlrc").write_text("".join(lines))
        allowed = (
            *("hey -z 1m -q * -c * **", "ghz -z 1m -q * -c * **"),
            *(
                f"helm test ledger --namespace {mesh.namespace}",
                f"curl -sf http://checkout-canary.{mesh.namespace}/ready",
            ),
        )
        argv = [*CANARY, "loadtester", "--listen", f"127.0.0.1:{self.port}", *(f"--allow={one}" for one in allowed)]
        environment = {**os.environ, "HOME": str(folder), "PATH": f"{programs}:{os.environ['PATH']}"}
        self._command = Command(argv, folder / "log", environment)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._command.text

    def open(self, gate: str, canary: Mapping[str, str]) -> None:
        """`gate` or `rollback`, of a Canary."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", f"/{gate}/open", json.dumps(canary))
        assert connection.getresponse().status == 202
        connection.close()

    def stop(self) -> None:
        """Together with its commands."""
        self._command.process.terminate()
        self._command.ends()


class TenSite(Site):
    """What the users of ten Canaries have, and those Canaries."""

    def __init__(self, mesh: Mesh, kubeconfig: Path, folder: Path, server: HookServer) -> None:
        super().__init__(mesh, kubeconfig, folder)
        if shutil.which("curl") is None:
            missing("curl", "apt-get install curl")
        for name, gateway in GATEWAYS.items():
            mesh.source(name, gateway=gateway)
        self.server = server
        self.loadtester = LoadTester(folder, mesh)
        self.canaries: dict[str, Data] = {}
        self.thresholds: dict[str, Data] = {}
        self.loads: list[Load] = []
        server.replies["/api/v1/query"] = _queue

    def end(self) -> None:
        for load in self.loads:
            load.stop()
        self.stop()
        self.loadtester.stop()

    def own(self, text: str) -> str:
        """A manifest with addresses of this machine."""
        return (
            text.replace("http://loadtester.SPACE", self.loadtester.url)
            .replace("http://prometheus.monitoring:9090", self.mesh.prometheus.url)
            .replace("https://api.datadoghq.eu", self.server.url)
            .replace("https://slo.shop.example", self.server.url)
            .replace("https://ci.shop.example", self.server.url)
            .replace("https://audit.shop.example", self.server.url)
            .replace("https://chat.shop.example", self.server.url)
            .replace("SPACE", self.mesh.namespace)
        )

    def take(self, made: str) -> None:
        """Apply what was imported, and the workload of each Canary."""
        for one in YAML(typ="safe").load_all(made):
            if one["kind"] == "Canary":
                name = one["metadata"]["name"]
                self.canaries[name] = one
                block = "analysis" if "analysis" in one["spec"] else "canaryAnalysis"
                self.thresholds[name] = {block: {"threshold": one["spec"][block]["threshold"]}}
                _hasten(one["spec"][block])
                self.mesh.apply(_workload(name, one["spec"]))
            self.mesh.apply(one)

    def begin(self) -> None:
        """The controller provisions; then there are users."""
        self.mesh.apply(SCALED, KEYS)
        self.controller("--metrics-server", self.mesh.prometheus.url)
        self.when(lambda: all(_rests(one) for one in self.statuses.values()), "ten primaries", every=0.3)
        self.mesh.wait_loaded()
        for name in self.canaries:
            source, host = (name, HOSTS[name]) if name in GATEWAYS else ("client", name)
            self.loads.append(self.mesh.load(host, BUSY.get(name, USERS), source=source))

    def as_strict_as_written(self) -> None:
        """Each has its own threshold again."""
        for name, spec in self.thresholds.items():
            self.change(name, **spec)

    def push(self, tag: str, **behaviour: float) -> None:
        """Another build of everything, as with `kubectl set image`."""
        for name, one in self.canaries.items():
            image = f"{name}:{tag}"
            for workload in (name, f"{name}-primary"):
                self.mesh.behave(workload, image=image, **behaviour)
            change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
            path, kind = self.mesh.path("apps/v1", one["spec"]["targetRef"]["kind"], name), "strategic-merge-patch"
            answer = self.mesh.kube.request("PATCH", path, change, content_type=f"application/{kind}+json")
            assert answer.ok, answer.text

    def ends(self, phase: str, number: int) -> None:
        """Waits until each Canary has had so many rollouts, all messages are delivered, and it is in this phase."""
        over = partial(_over, number)
        self.when(lambda: all(map(over, self.statuses.values())), f"rollout {number} of each", every=0.3)
        assert not {name: one.history[0] for name, one in self.statuses.items() if one.phase != phase}

    @property
    def statuses(self) -> dict[str, Status]:
        found = self.mesh.kube.read(self.path("Canary"))["items"]
        return {one["metadata"]["name"]: Status.model_validate(one.get("status") or {}) for one in found}

    def serving(self) -> dict[str, tuple[str, int, bool]]:
        """Of each Canary: the build of the primary, the replicas of the target, and whether the primary has all
        requests."""
        return {name: self._serving(name, one["spec"]["targetRef"]["kind"]) for name, one in self.canaries.items()}

    def _serving(self, name: str, kind: str) -> tuple[str, int, bool]:
        path = partial(self.mesh.path, "apps/v1", kind)
        target, primary = (self.mesh.kube.read(path(one)) for one in (name, f"{name}-primary"))
        image = primary["spec"]["template"]["spec"]["containers"][0]["image"]
        route, scope = self.object(name=name), Scope(self.mesh.namespace, (name,))
        seen = read([route], None, scope, f"{name}-primary", f"{name}-canary")
        return image.partition(":")[2], pods.desired_version(target), seen.traffic == Traffic()


def _hasten(analysis: Data) -> None:
    """What takes minutes takes seconds."""
    analysis |= QUICKLY | {"threshold": max(PATIENT, analysis["threshold"])}
    for metric in analysis["metrics"]:
        metric["interval"] = WINDOW
        if metric["name"] == "request-duration":
            bounds = metric.get("thresholdRange", metric)
            bounds |= {name: bounds[name] * SLOWER for name in ("max", "threshold") if name in bounds}


def _workload(name: str, spec: Data) -> Data:
    """The Deployment or DaemonSet that a Canary is about."""
    made = bookinfo.deployment(name, {"app": name}, 1, f"{name}:1")
    port = spec["service"].get("targetPort", spec["service"]["port"])
    number = port if isinstance(port, int) else 8080
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": number}]
    if spec["targetRef"]["kind"] == "DaemonSet":
        del made["spec"]["replicas"]
    return {**made, "kind": spec["targetRef"]["kind"]}


def _rests(status: Status) -> bool:
    return status.stable is not None and status.rollout is None and status.reason in AT_REST


def _over(number: int, status: Status) -> bool:
    return status.rollouts == number and status.rollout is None and not status.outbox


def _queue() -> Reply:
    """A series of Datadog's with a point half a minute ago."""
    point = [(time.time() - 30) * 1000, 12.0]
    return Reply(body=json.dumps({"status": "ok", "series": [{"interval": 1, "pointlist": [point]}]}).encode())
