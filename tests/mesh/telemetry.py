"""Istio's metrics, made of the lines of Envoy's access log. Pure but for the counters; exporter.py serves them.

The labels are those of istio_requests_total as proxies of Istio write them (`populatePeerInfo` in istio/proxy's
istio_stats.cc): both ends of a request report it; one that was sent to no pod is known to the source alone, with an
unknown workload. Its service is that of the cluster that was chosen, or the Host header where none was; a pod that
couldn't be connected to was chosen, so its workload is known.
https://istio.io/latest/docs/reference/config/metrics/
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from .hosts import Source
from .snapshot import Data, Pod

UNKNOWN = "unknown"
# Envoy's own buckets, in milliseconds.
EDGES = (
    *(0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 30_000.0, 60_000.0),
    *(300_000.0, 600_000.0, 1_800_000.0, 3_600_000.0, math.inf),
)
Labels = tuple[tuple[str, str], ...]


class Counters:
    """What one proxy has counted since it started, and whether its scrapes succeed."""

    def __init__(self) -> None:
        self.healthy = True
        self._totals: dict[Labels, list[float]] = {}
        self._lock = threading.Lock()

    def add(self, labels: Mapping[str, str], ms: float) -> None:
        """One request."""
        key = tuple(labels.items())
        with self._lock:
            totals = self._totals.setdefault(key, [0.0] * (len(EDGES) + 1))
            for index, edge in enumerate(EDGES):
                totals[index] += ms <= edge
            totals[-1] += ms

    def restart(self) -> None:
        """A new process: everything begins at nothing."""
        with self._lock:
            self._totals.clear()

    def page(self) -> str:
        """What a scrape reads."""
        name, lines = "istio_request_duration_milliseconds", []
        with self._lock:
            for key, (*buckets, total) in self._totals.items():
                labels = ",".join(f'{label}="{value}"' for label, value in key)
                lines.append(f"istio_requests_total{{{labels}}} {buckets[-1]:.0f}")
                lines.append(f"{name}_count{{{labels}}} {buckets[-1]:.0f}\n{name}_sum{{{labels}}} {total:.0f}")
                for edge, count in zip(EDGES, buckets, strict=True):
                    le = "+Inf" if math.isinf(edge) else f"{edge:g}"
                    lines.append(f'{name}_bucket{{{labels},le="{le}"}} {count:.0f}')
        return "\n".join([*lines, ""])


@dataclass(frozen=True)
class Known:
    """Who is behind what the log says."""

    sources: Mapping[str, Source]
    pods: Mapping[str, Pod]
    ports: Mapping[int, str]
    """The uid of the pod behind a port of this machine; also of pods that are gone."""
    services: Mapping[str, str]
    """The host by which a pod's own sidecar knows its service, by uid."""

    def target(self, line: Data) -> tuple[str, Pod | None]:
        """The host that was meant, and the pod that was reached."""
        upstream = line.get("upstream") or ""
        cluster = (line.get("cluster") or "").split("|")
        host = cluster[3] if len(cluster) == 4 else line.get("host") or UNKNOWN
        uid = self.ports.get(int(upstream.rpartition(":")[2])) if upstream else None
        return host, self.pods.get(uid or "")


def outbound(line: Data, known: Known, reporter: str = "source") -> dict[str, str]:
    """What the sender's proxy (or a waypoint, which stands before the pods) says about a request."""
    host, pod = known.target(line)
    return {
        "reporter": reporter,
        **_sender(known.sources.get(line.get("source") or "")),
        **_receiver(pod, host),
        **_request(line),
        "connection_security_policy": UNKNOWN if reporter == "source" else "mutual_tls",
    }


def inbound(line: Data, known: Known) -> dict[str, str]:
    """What the receiving pod's proxy says."""
    pod = known.pods[line["pod"]]
    return {
        "reporter": "destination",
        **_sender(known.sources.get(line.get("source") or "")),
        **_receiver(pod, known.services.get(pod.uid, UNKNOWN)),
        **_request(line),
        "connection_security_policy": "mutual_tls",
    }


def _sender(source: Source | None) -> dict[str, str]:
    labels = source.labels if source else {}
    return {
        "source_workload": source.name if source else UNKNOWN,
        "source_workload_namespace": source.namespace if source else UNKNOWN,
        "source_app": labels.get("app", UNKNOWN),
        "source_version": labels.get("version", UNKNOWN),
        "source_canonical_service": _canonical(labels, source.name) if source else UNKNOWN,
        "source_canonical_revision": _revision(labels) if source else UNKNOWN,
        "source_cluster": "Kubernetes",
    }


def _receiver(pod: Pod | None, host: str) -> dict[str, str]:
    labels = pod.labels if pod else {}
    name, _, rest = host.partition(".")
    inside = rest.endswith(".svc.cluster.local")
    return {
        "destination_workload": pod.workload if pod else UNKNOWN,
        "destination_workload_namespace": pod.namespace if pod else UNKNOWN,
        "destination_app": labels.get("app", UNKNOWN),
        "destination_version": labels.get("version", UNKNOWN),
        "destination_service": host,
        "destination_service_name": name if inside else host,
        "destination_service_namespace": pod.namespace if pod else UNKNOWN,
        "destination_canonical_service": _canonical(labels, pod.workload) if pod else UNKNOWN,
        "destination_canonical_revision": _revision(labels) if pod else "latest",
        "destination_cluster": "Kubernetes" if pod else UNKNOWN,
    }


def _request(line: Data) -> dict[str, str]:
    grpc = (line.get("type") or "").startswith("application/grpc")
    status = line.get("grpc")
    return {
        "request_protocol": "grpc" if grpc else "http",
        "response_code": str(line.get("code") or 0),
        "grpc_response_status": str(status) if grpc and status is not None else "",
        "response_flags": line.get("flags") or "-",
    }


def _canonical(labels: Mapping[str, str], workload: str) -> str:
    wanted = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
    return next((labels[one] for one in wanted if one in labels), workload)


def _revision(labels: Mapping[str, str]) -> str:
    wanted = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
    return next((labels[one] for one in wanted if one in labels), "latest")
