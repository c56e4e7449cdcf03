"""The cluster of docs/tutorial-podinfo.md: the chart installed, and what its pods would run as local processes.

The manifests are those of examples/podinfo. Only the addresses differ, since no Service has one here, and the times.
"""

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import requests
from ruamel.yaml import YAML

from canary.api.status import Status
from tests.chart.release import Release, installed
from tests.chart.test_permissions import Account
from tests.incluster.site import API, CANARY, Replica
from tests.loadtester.test_server import Server
from tests.mesh import bookinfo
from tests.mesh.mesh import Mesh, mesh
from tests.metrics.mesh import ask
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import Command, get, wait_for
from tests.webhooks.server import HookServer, Posted, Reply, serve

EXAMPLES = Path(__file__).parents[2] / "examples" / "podinfo"
NAMESPACE, SYSTEM = "test", "canary-system"
LOADTESTER, PROMETHEUS = "http://canary-loadtester.canary-system", "http://prometheus.istio-system:9090"
FORWARDED_LOADTESTER, FORWARDED_PROMETHEUS = "http://127.0.0.1:9090", "http://127.0.0.1:9091"
QUICK = {
    "interval: 30s": "interval: 2s\n    settle: 1s\n    drain: 1s\n    scrapeInterval: 1s",
    "hey -z 1m": "hey -z 3s",
    "{max: 500}": "{max: 5000}",
}
"""In the manifests. The last one is for a busy machine, on which a good version may be slow."""


class Tutorial:
    """What a reader has at the beginning: a cluster with a mesh and a Prometheus, the chart, and three programs."""

    def __init__(
        self, control_plane: ControlPlane, mesh: Mesh, release: Release, hooks: HookServer, folder: Path
    ) -> None:
        self.mesh, self.release, self.hooks, self.folder = mesh, release, hooks, folder
        self.times: Mapping[str, str] = QUICK
        self.replicas: list[Replica] = []
        self._kubectl = control_plane.tools / "kubectl"
        self._commands: list[Command] = []
        self.environment = {**os.environ, "HOME": str(folder), "KUBECONFIG": str(control_plane.kubeconfig())}

    def replica(self) -> Replica:
        """One more replica of the controller; returns when it is ready to lead."""
        made = self.release.started(self.folder / f"controller-{len(self.replicas)}.log")
        self.replicas.append(made)
        self.when(lambda: get(f"http://127.0.0.1:{made.port}/readyz")[0] == 200, "a replica to be ready")
        return made

    def stop(self) -> None:
        for one in (*self.replicas, *self._commands):
            one.process.kill()
            one.process.wait()

    def leads(self, replica: Replica) -> bool:
        """Whether the Lease says so."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/canary"
        answer = self.mesh.kube.request("GET", path)
        return answer.ok and f"_{replica.process.pid}_" in (answer.json()["spec"].get("holderIdentity") or "")

    def manifest(self, name: str) -> Path:
        """A file of the examples, with the addresses of this machine."""
        text = (EXAMPLES / name).read_text()
        addresses = {
            **dict.fromkeys((LOADTESTER, FORWARDED_LOADTESTER), self.hooks.url),
            **dict.fromkeys((PROMETHEUS, FORWARDED_PROMETHEUS), self.mesh.prometheus.url),
        }
        for old, new in (*addresses.items(), *self.times.items()):
            text = text.replace(old, new)
        path = self.folder / name
        path.write_text(text)
        return path

    def kubectl(self, *arguments: str) -> str:
        """What it printed."""
        command = [str(self._kubectl), "-n", NAMESPACE, *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def canary(self, *arguments: str) -> Command:
        """A command of canary that is still running."""
        log = self.folder / f"{len(self._commands)}-{arguments[0]}.log"
        self._commands.append(Command((*CANARY, *arguments, "-n", NAMESPACE), log, self.environment))
        return self._commands[-1]

    def open_gate(self, name: str) -> None:
        """As the page does with curl; the server forwards it to the load tester."""
        body = {"name": name, "namespace": NAMESPACE}
        assert requests.post(f"{self.hooks.url}/gate/open", json=body, timeout=30).status_code == 202

    @property
    def status(self) -> Status:
        """That of the Canary podinfo."""
        path = f"/apis/{API}/namespaces/{NAMESPACE}/canaries/podinfo"
        return Status.model_validate(self.mesh.kube.read(path).get("status") or {})

    def object(self, kind: str, name: str) -> Any:
        """A VirtualService or a Deployment."""
        version = bookinfo.ISTIO if kind == "VirtualService" else "apps/v1"
        return self.mesh.kube.read(self.mesh.path(version, kind, name))

    def weight(self, name: str) -> int:
        """What the VirtualService sends to the canary."""
        route = self.object("VirtualService", name)["spec"]["http"][0]["route"]
        return int(route[1]["weight"])

    def image(self, name: str) -> str:
        containers = self.object("Deployment", name)["spec"]["template"]["spec"]["containers"]
        return str(containers[0]["image"])

    def hooked(self, name: str, rollout: int) -> list[tuple[str, int]]:
        """Types and weights of the calls in a rollout of a Canary, each once, in the order of the first ones."""
        return list(dict.fromkeys((one["type"], one["weight"]) for one in self._posted(name, rollout)))

    def calls(self, name: str, rollout: int, kind: str) -> int:
        """How many of a type there were."""
        return sum(one["type"] == kind for one in self._posted(name, rollout))

    def answers(self, service: str) -> dict[str, Counter[str]]:
        """Requests by the workload that they reached and by status, as Prometheus counts those to a Service."""
        query = f'istio_requests_total{{reporter="source", destination_service_name="{service}"}}'
        found: dict[str, Counter[str]] = {}
        for row in ask(self.mesh.prometheus, query):
            labels, count = row["metric"], int(float(row["value"][1]))
            found.setdefault(labels["destination_workload"], Counter())[labels["response_code"]] += count
        return found

    def when(self, condition: Callable[[], bool], what: str) -> None:
        """Waits for a condition; what the controllers logged goes with the failure."""
        try:
            wait_for(condition, what, within=SLOWLY)
        except AssertionError as error:
            logs = "\n".join(one.text[-3000:] for one in (*self.replicas, *self._commands))
            raise AssertionError(f"{error}\n{logs}") from None

    def _posted(self, name: str, rollout: int) -> Iterator[dict[str, Any]]:
        payloads = (one.payload for one in self.hooks.posted)
        return (one for one in payloads if (one["name"], one.get("rollout")) == (name, rollout))


@dataclass(frozen=True)
class Programs:
    """The real ones that the tutorial needs beside the control plane."""

    helm: Path
    envoy: Path
    prometheus: Path
    hey: Path


@contextmanager
def tutorial(control_plane: ControlPlane, programs: Programs, folder: Path, **values: Any) -> Iterator[Tutorial]:
    """Installs the chart with the values of the examples, and starts the load tester as its Deployment says."""
    with ExitStack() as stack:
        kube = control_plane.kube
        kube.create_namespace(NAMESPACE)
        stack.callback(kube.delete_namespace, NAMESPACE)
        site = stack.enter_context(mesh(control_plane, NAMESPACE, folder, programs.envoy, programs.prometheus))
        site.source("loadtester", namespace=SYSTEM)
        hooks = stack.enter_context(serve())
        given = YAML(typ="safe").load(EXAMPLES / "values.yaml")
        given |= {"metricsServer": site.prometheus.url, "allowedMetricsServers": [hooks.url], **values}
        release = stack.enter_context(installed(control_plane, programs.helm, values=given, namespace=SYSTEM))
        Account(release, NAMESPACE).until_bound()
        gateway = f"http://127.0.0.1:{site.pilot.port('source', 'loadtester')}"
        server = Server(folder / "loadtester.log", *_allowed(release), **_resolving(programs.hey, gateway, folder))
        stack.callback(server.process.wait, 30)
        stack.callback(server.process.terminate)
        hooks.otherwise = partial(_forward, f"http://127.0.0.1:{server.port}")
        made = Tutorial(control_plane, site, release, hooks, folder)
        stack.callback(made.stop)
        yield made


def _allowed(release: Release) -> list[str]:
    """Of the load tester's arguments in its Deployment."""
    return [one for one in release.container("loadtester")["args"] if one.startswith("--allow")]


def _resolving(hey: Path, gateway: str, folder: Path) -> dict[str, str]:
    """The environment in which names of Services lead to the mesh: curl knows a proxy from it, hey from an option."""
    script = folder / "bin" / "hey"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {hey} -x {gateway} "$@"\n')
    script.chmod(0o755)
    return {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}", "http_proxy": gateway}


def _forward(url: str, posted: Posted) -> Reply:
    """The load tester's answer."""
    answer = requests.post(f"{url}{posted.path}", data=posted.body, timeout=60)
    return Reply(answer.status_code, answer.content)
