"""A cluster full of Canaries for `scale.py`: objects as their controllers would leave them, and traffic as numbers.

Only etcd and the API server run: what the other controllers would write (ReplicaSets, status) is written here once,
so that nothing but the controller under measurement works later.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from canary.api.kinds import KINDS
from canary.crds.definitions import text
from tests.parts import modules
from tests.parts.cluster import ControlPlane

ISTIO = "networking.istio.io/v1"
OURS = "canary-controller.dev/v1beta1"
PER_NAMESPACE = 100
"""Canaries of a namespace."""
WRITERS = 8
ANALYSIS: dict[str, Any] = {
    "interval": "10s",
    "threshold": 5,
    "settle": "5s",
    "scrapeInterval": "5s",
    "steps": [{"weight": 10, "hold": "10h"}],
    "metrics": [
        {"name": "request-success-rate", "thresholdRange": {"min": 99}},
        {"name": "request-duration", "thresholdRange": {"max": 500}},
    ],
}
EDGES = ("1", "5", "10", "25", "50", "100", "250", "500", "1000", "+Inf")


def started(plane: ControlPlane) -> None:
    """An API server that serves Istio's kinds and ours."""
    tokens = "".join(f'{plane.tokens["admin"]},admin,admin,"system:masters"\n')
    (plane.folder / "tokens.csv").write_text(tokens)
    plane.etcd.start()
    plane.kube.wait_until_ready(plane.api_server.start())
    istio = [one for one in modules.crds() if "networking.istio.io" in one]
    plane.kube.create_crds([*istio, *(text(kind) for kind in KINDS)])


class Writer:
    """Makes many objects, side by side."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._local = threading.local()

    def all(self, calls: Iterable[Callable[[], None]]) -> None:
        """Calls each; what one raises comes out."""
        with ThreadPoolExecutor(WRITERS) as pool:
            for done in [pool.submit(call) for call in calls]:
                done.result()

    def create(self, path: str, body: Mapping[str, Any]) -> Any:
        """The object as it was made."""
        return self._send("POST", path, body, "application/json")

    def status(self, path: str, status: Mapping[str, Any]) -> None:
        """The status of an object."""
        self.merge(f"{path}/status", {"status": status})

    def merge(self, path: str, change: Mapping[str, Any]) -> None:
        """Into an object."""
        self._send("PATCH", path, change, "application/merge-patch+json")

    def _send(self, method: str, path: str, body: Mapping[str, Any], kind: str) -> Any:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False
            session.verify = str(self._plane.ca)
            session.headers["Authorization"] = f"Bearer {self._plane.tokens['admin']}"
        answer = session.request(
            method, self._plane.url + path, data=json.dumps(body), headers={"Content-Type": kind}, timeout=60
        )
        assert answer.ok or answer.status_code == 409, answer.text
        return answer.json()


def place(number: int) -> tuple[str, str]:
    """Namespace and name of a Canary."""
    return f"team-{number // PER_NAMESPACE}", f"shop-{number}"


def namespaces(count: int) -> Iterator[str]:
    """Of so many Canaries."""
    yield from dict.fromkeys(place(number)[0] for number in range(count))


def service(
    writer: Writer, number: int, active: bool, size: int, prometheus: str, webhooks: Sequence[Mapping[str, str]] = ()
) -> None:
    """A service with two versions, its routes, and its Canary; an active one wants v2, one at rest has v1."""
    space, name = place(number)
    core, apps = f"/api/v1/namespaces/{space}", f"/apis/apps/v1/namespaces/{space}"
    istio, ours = f"/apis/{ISTIO}/namespaces/{space}", f"/apis/{OURS}/namespaces/{space}"
    writer.create(
        f"{core}/services",
        {
            "metadata": {"name": name},
            "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"port": 80}]},
        },
    )
    for version in ("v1", "v2"):
        deployment(writer, apps, name, version)
    subsets = [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")]
    writer.create(
        f"{istio}/destinationrules",
        {
            "apiVersion": ISTIO,
            "kind": "DestinationRule",
            "metadata": {"name": name},
            "spec": {"host": name, "subsets": subsets},
        },
    )
    route = [
        {"destination": {"host": name, "subset": version}, "weight": weight}
        for version, weight in (("v1", 100), ("v2", 0))
    ]
    writer.create(
        f"{istio}/virtualservices",
        {
            "apiVersion": ISTIO,
            "kind": "VirtualService",
            "metadata": {"name": name},
            "spec": {"hosts": [name], "http": [{"name": "default", "route": route}]},
        },
    )
    spec = {
        "targetRef": {"apiVersion": ISTIO, "kind": "VirtualService", "name": name},
        "version": "v2" if active else "v1",
        "metricsServer": prometheus,
        "analysis": {**ANALYSIS, **({"webhooks": list(webhooks)} if webhooks else {})},
    }
    writer.create(
        f"{ours}/canaries",
        {
            "apiVersion": OURS,
            "kind": "Canary",
            "metadata": {"name": name, "labels": {"size": str(size)}},
            "spec": spec,
        },
    )
    if not active:
        writer.status(f"{ours}/canaries/{name}", known())


def known() -> dict[str, Any]:
    """The status of a Canary at rest that a controller looked after before."""
    condition = {
        "status": "True",
        "reason": "AlreadyServing",
        "message": "v1 serves everything",
        "observedGeneration": 1,
    }
    moment = "2026-01-01T00:00:00Z"
    return {
        "phase": "Initialized",
        "reason": "AlreadyServing",
        "message": "v1 serves everything",
        "observedGeneration": 1,
        "canaryWeight": 0,
        "stable": {"name": "v1", "revision": "v10abc"},
        "conditions": [{"type": kind, **condition, "lastTransitionTime": moment} for kind in ("Ready", "Promoted")],
        "lastTransitionTime": moment,
    }


def deployment(writer: Writer, apps: str, name: str, version: str) -> None:
    """A Deployment of two pods that are all there, with its ReplicaSet."""
    labels = {"app": name, "version": version}
    full, hashed = f"{name}-{version}", f"{version}0abc"
    made = writer.create(
        f"{apps}/deployments",
        {
            "metadata": {"name": full, "annotations": {"deployment.kubernetes.io/revision": "1"}},
            "spec": workload(labels, 2),
        },
    )
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
    writer.status(f"{apps}/deployments/{full}", {"observedGeneration": made["metadata"]["generation"], **counts})
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": full,
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    named = {
        "name": f"{full}-{hashed}",
        "labels": {**labels, "pod-template-hash": hashed},
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "ownerReferences": [owner],
    }
    writer.create(
        f"{apps}/replicasets", {"metadata": named, "spec": workload({**labels, "pod-template-hash": hashed}, 2)}
    )


def workload(labels: Mapping[str, str], replicas: int) -> dict[str, Any]:
    """The spec of a Deployment or ReplicaSet of a usual size."""
    environment = [{"name": f"SETTING_{index}", "value": f"value of setting {index}"} for index in range(10)]
    container = {
        "name": "app",
        "image": "registry.example/team/app:1.2.3",
        "env": environment,
        "ports": [{"containerPort": 8080}],
    }
    return {
        "replicas": replicas,
        "selector": {"matchLabels": dict(labels)},
        "template": {"metadata": {"labels": dict(labels)}, "spec": {"containers": [container]}},
    }


def strangers(writer: Writer, deployments: int, secrets: int) -> Iterator[Callable[[], None]]:
    """What is no Canary's business."""
    for index in range(deployments):
        labels = {"app": f"other-{index}"}
        body = {"metadata": {"name": f"other-{index}", "labels": labels}, "spec": workload(labels, 1)}
        yield lambda body=body: writer.create("/apis/apps/v1/namespaces/others/deployments", body)  # type: ignore[misc]
    for index in range(secrets):
        body = {"metadata": {"name": f"secret-{index}"}, "stringData": {"password": "x" * 256}}
        yield lambda body=body: writer.create("/api/v1/namespaces/others/secrets", body)  # type: ignore[misc]


def versions(number: int) -> Iterator[tuple[str, str]]:
    """Workload and host of both versions of a service."""
    _, name = place(number)
    yield from ((f"{name}-{version}", name) for version in ("v1", "v2"))


class Traffic:
    """Istio's metrics of the first so many services: good requests, more of them with each scrape."""

    def __init__(self, pairs: Callable[[int], Iterable[tuple[str, str]]] = versions) -> None:
        self.services = 0
        self._pairs = pairs
        self._scrapes = 0
        outer = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = outer.page()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def page(self) -> bytes:
        """A scrape: each pair has served 500 requests more."""
        self._scrapes += 1
        count, lines = 500 * self._scrapes, []
        for number in range(self.services):
            space, _ = place(number)
            for workload, host in self._pairs(number):
                labels = (
                    f'reporter="destination",destination_workload="{workload}",'
                    f'destination_workload_namespace="{space}",destination_service="{host}.{space}.svc.cluster.local",'
                    'response_code="200",response_flags="-",request_protocol="http"'
                )
                lines.append(f"istio_requests_total{{{labels}}} {count}")
                metric = "istio_request_duration_milliseconds_bucket"
                lines += [
                    f'{metric}{{{labels},le="{edge}"}} {count if index > 2 else 0}'
                    for index, edge in enumerate(EDGES)
                ]
        return ("\n".join(lines) + "\n").encode()


class Hooks:
    """A server that webhooks call: checks pass, and no rollback is asked for. Each answer takes 50 ms."""

    TAKES = 0.05

    def __init__(self) -> None:
        self.called = 0
        outer = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.called += 1
                time.sleep(outer.TAKES)
                self.send_response(403 if self.path == "/rollback" else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

        self._server = Server(("127.0.0.1", 0), Answer)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def webhooks(self, count: int) -> list[dict[str, str]]:
        """So many of one Canary: a request to roll back, and checks."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        found = [{"name": "stop", "type": "rollback", "url": f"{url}/rollback"}]
        found += [{"name": f"check-{number}", "url": f"{url}/check"} for number in range(1, count)]
        return found[:count]


def scrapes(port: int) -> str:
    """Prometheus' scrape configuration."""
    return f"- job_name: mesh\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
