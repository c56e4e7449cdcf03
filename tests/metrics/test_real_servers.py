"""Providers of metrics that ask a real server: graphite-web, InfluxDB, and the API server for external metrics."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from canary.engine.observed import Cause, Missing, Value
from canary.kube.client import Client, ClusterAccess
from canary.kube.connection import Connection
from tests.metrics.providers import answer, query
from tests.parts import graphite, modules
from tests.parts.certificates import authority
from tests.parts.cluster import ControlPlane
from tests.parts.graphite import Graphite
from tests.parts.influxdb import InfluxDb
from tests.parts.kube import SLOWLY, Kube, is_true
from tests.parts.processes import wait_for
from tests.parts.serving import Handler, serving

pytestmark = pytest.mark.long

GROUP = "/apis/external.metrics.k8s.io/v1beta1"
QUEUES = {"web": "1500m", "api": "12"}
"""The external metric `queue`, by the label `app`."""


@pytest.fixture(scope="module")
def graphite_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Graphite, datetime]]:
    """One with two series, and the time of their last points."""
    python = graphite.find() or pytest.skip(f"graphite-web is missing: `{graphite.PROVIDES}` provides it")
    server, now = Graphite(python, tmp_path_factory.mktemp("graphite")), datetime.now(UTC)
    last = datetime.fromtimestamp(now.timestamp() // 10 * 10, UTC)
    server.write(
        {
            "app.web.errors": [(last - timedelta(seconds=10 * ago), 2.5 + ago) for ago in range(5)],
            "app.api.errors": [(last - timedelta(seconds=10 * ago), 7.0) for ago in range(5)],
        }
    )
    server.start()
    yield server, last
    server.stop()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target=app.{{ target }}.errors", 2.5),
        ("target=app.{{ target }}.errors&from=-5min&until=now", 2.5),
        ("target=sumSeries(\n  app.*.errors)", 9.5),
        ("target=summarize(app.{{ target }}.errors, '1hour', 'max')&from=-2hours", 6.5),
        ("target=app.none.errors", Cause.EMPTY),
        ("target=app.*.errors", Cause.INVALID),
        ("target=noSuchFunction(app.web.errors)", Cause.INVALID),
    ],
)
def test_graphite(graphite_web: tuple[Graphite, datetime], text: str, expected: float | Cause) -> None:
    """The last point that isn't null; what has none, or several series, is no number."""
    server, last = graphite_web
    found = answer(query("graphite", text, server.url), at=last + timedelta(seconds=9))
    if isinstance(expected, float):
        assert found == Value(expected)
    else:
        assert isinstance(found, Missing)
        assert found.cause is expected


ERRORS = """from(bucket: "shop/autogen") |> range(start: -{{ interval }})
  |> filter(fn: (r) => r._measurement == "errors" and r.app == "%s")"""


@pytest.mark.timeout(300)
def test_influxdb(tmp_path: Path) -> None:
    """The value of the one row; what has none, or several, or no query, is no number. All at one server: it starts
    slowly."""
    binary = modules.program("influxd", "InfluxDB")
    server, now = InfluxDb(binary, tmp_path / "influxdb"), datetime.now(UTC)
    asked: dict[str, Value | str] = {
        f"{ERRORS % '{{ target }}'} |> last()": Value(2.5),
        f"{ERRORS % '{{ target }}'} |> sum()": Value(6.0),
        f"{ERRORS % 'none'} |> last()": "no result",
        ERRORS % "{{ target }}": "2 rows where one number was due",
        "from(": "expected RPAREN, got EOF",
    }
    server.start()
    try:
        points = [(2.5, 10), (3.5, 20), (99.0, 90)]
        lines = (f"errors,app=web value={value} {int(now.timestamp()) - ago}" for value, ago in points)
        server.write("shop", *lines)
        for text, expected in asked.items():
            found = answer(query("influxdb", text, server.url), at=now)
            assert found == expected if isinstance(expected, Value) else expected in str(found), (text, found)
    finally:
        server.stop()


class Metrics(Handler):
    """A server of external metrics, as KEDA and Prometheus' adapter are: discovery, and values by label."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        found: dict[str, Any] = {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": GROUP[6:],
            "resources": [],
        }
        if parts.path.startswith(f"{GROUP}/namespaces/"):
            wanted = parse_qs(parts.query).get("labelSelector", [""])[0]
            named = parts.path.endswith("/queue")
            values = {app: value for app, value in QUEUES.items() if named and wanted in ("", f"app={app}")}
            found = {
                "kind": "ExternalMetricValueList",
                "apiVersion": GROUP[6:],
                "metadata": {},
                "items": [_item(app, value) for app, value in values.items()],
            }
        self.answer(200, json.dumps(found).encode(), {"Content-Type": "application/json"})


def _item(app: str, value: str) -> dict[str, Any]:
    at = "2026-01-01T00:00:00Z"
    return {"metricName": "queue", "metricLabels": {"app": app}, "timestamp": at, "value": value}


@contextmanager
def aggregated(kube: Kube, namespace: str, port: int) -> Iterator[None]:
    """The API server asks the server at this port for the group, until the end of the block."""
    services = f"/api/v1/namespaces/{namespace}/services"
    name_only = {"type": "ExternalName", "externalName": "localhost"}
    kube.create(services, {"metadata": {"name": "adapter"}, "spec": name_only})
    path, name = "/apis/apiregistration.k8s.io/v1/apiservices", "v1beta1.external.metrics.k8s.io"
    at = {"name": "adapter", "namespace": namespace, "port": port}
    served = {"service": at, "insecureSkipTLSVerify": True, "groupPriorityMinimum": 100, "versionPriority": 100}
    spec = {"group": "external.metrics.k8s.io", "version": "v1beta1", **served}
    kube.create(path, {"metadata": {"name": name}, "spec": spec})
    try:
        wait_for(lambda: is_true(kube.read(f"{path}/{name}"), "Available"), "the aggregated API", within=SLOWLY)
        yield
    finally:
        kube.request("DELETE", f"{path}/{name}")  # else no namespace can be deleted any more


def test_external_metrics_of_a_real_api_server(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """As a HorizontalPodAutoscaler asks for them: a server behind the API server answers."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates = authority(tmp_path)
    tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    client = Client(Connection(ClusterAccess(str(control_plane.kubeconfig()))), timeout=20.0)
    asked: dict[str, Value | Cause] = {
        f"{namespace}/queue?labelSelector=app%3D{{{{ target }}}}": Value(1.5),
        "queue?labelSelector=app%3Dapi": Value(12.0),
        "queue": Cause.INVALID,
        "nothing": Cause.EMPTY,
    }
    with (
        serving(Metrics, tls) as url,
        aggregated(control_plane.kube, namespace, urlsplit(url).port or 0),
    ):
        for text, expected in asked.items():
            found = answer(query("externalmetrics", text, None, namespace=namespace), objects=client.send)
            assert (found.cause if isinstance(found, Missing) else found) == expected, text
    gone = answer(query("externalmetrics", "queue", None, namespace=namespace), objects=client.send)
    assert isinstance(gone, Missing)
