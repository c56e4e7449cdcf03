"""Pods with Istio's and Envoy's counters, driven request by request, and how Prometheus gets to know them.

One HTTP server stands for all pods, each under a path of its own. `Mesh.seen` returns a moment after
which Prometheus knows all that happened so far: two such moments make a window whose truth is what was driven.
"""

import json
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.parts import serving
from tests.parts.processes import get, wait_for
from tests.parts.prometheus import Prometheus

TOLERANCE = timedelta(milliseconds=4)
EDGES = (100.0, 250.0, 500.0, 1000.0, math.inf)


class Pod:
    """A proxy's counters, and whether they can be scraped."""

    def __init__(
        self, workload: str, reporter: str, namespace: str = "shop", *, edges: Sequence[float] = EDGES
    ) -> None:
        self.place = ""
        self.edges = edges
        self.typed = True
        """Whether its page says which metrics are histograms."""
        self.labels = {
            "reporter": reporter,
            "destination_workload": workload,
            "destination_workload_namespace": namespace,
        }
        self.healthy = True
        self._counters: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def serve(self, count: int, code: str = "200", *, grpc: str = "", ms: float = 10) -> None:
        """So many requests with one response code and one duration."""
        labels = {**self.labels, "response_code": code, "grpc_response_status": grpc}
        with self._lock:
            self._add("istio_requests_total", labels, count)
            for edge in self.edges:
                le = "+Inf" if math.isinf(edge) else f"{edge:g}"
                bucket = count if ms <= edge else 0
                self._add("istio_request_duration_milliseconds_bucket", {**labels, "le": le}, bucket)

    def strand(self, count: int, host: str, flags: str, *, code: str = "503", workload: str = "unknown") -> None:
        """So many requests of this sender's that reached no pod, as Istio reports them."""
        labels = {**self.labels, "destination_workload": workload, "destination_service": host}
        if workload == "unknown":
            labels["destination_workload_namespace"] = "unknown"
        with self._lock:
            more = {"response_code": code, "grpc_response_status": "", "response_flags": flags}
            self._add("istio_requests_total", {**labels, **more}, count)

    def serve_as_envoy(self, cluster: str, count: int, code_class: str = "2", *, ms: float = 10) -> None:
        """The same in the counters of an Envoy, for one of its clusters."""
        labels = {"envoy_cluster_name": cluster}
        with self._lock:
            self._add("envoy_cluster_upstream_rq_xx", {**labels, "envoy_response_code_class": code_class}, count)
            for edge in EDGES:
                le = "+Inf" if math.isinf(edge) else f"{edge:g}"
                bucket = count if ms <= edge else 0
                self._add("envoy_cluster_upstream_rq_time_bucket", {**labels, "le": le}, bucket)

    def restart(self) -> None:
        """All counters begin again."""
        with self._lock:
            self._counters.clear()

    def page(self) -> str:
        """What a scrape reads."""
        pages: dict[str, str] = {}
        with self._lock:
            for (name, labels), count in self._counters.items():
                family, bucket, _ = name.partition("_bucket")
                kind = f"# TYPE {family} {'histogram' if bucket else 'counter'}\n"
                pages.setdefault(family, kind if self.typed else "")
                pages[family] += f"{name}{{{labels}}} {count}\n"
        return "".join(pages.values())

    def _add(self, name: str, labels: Mapping[str, str], count: int) -> None:
        key = (name, ",".join(f'{label}="{value}"' for label, value in labels.items()))
        self._counters[key] = self._counters.get(key, 0) + count


class Mesh:
    """Places for pods, all of them scraped, and the pods that are in some of them.

    Prometheus hears of a new target only after 5 s, of a pod in a place at the next scrape.
    """

    def __init__(self, port: int, folder: Path, places: int) -> None:
        self.pods: dict[str, Pod] = {}
        self.port = port
        self._file = folder / "targets.json"
        self.ended: set[str] = set()
        """Places whose pod is gone: there scrapes fail. Where none ever was, a scrape finds nothing."""
        self._listed = [f"place-{number}" for number in range(places)]
        self._free = list(self._listed)
        self._tell()

    def scrape_configs(self, relabel: str = "", *more: str) -> str:
        """For Prometheus' configuration; `relabel` is a list of metric_relabel_configs, `more` are other lines."""
        lines = [f"metric_relabel_configs: {relabel}"] if relabel else []
        lines = [f"file_sd_configs: [{{files: ['{self._file}']}}]", *lines, *more]
        return "\n  ".join(["- job_name: mesh", *lines])

    def start(
        self, workload: str, reporter: str = "destination", *, listed: bool = True, edges: Sequence[float] = EDGES
    ) -> Pod:
        """A new pod, in a place that is scraped already; or in one that isn't even listed yet."""
        pod = Pod(workload, reporter, edges=edges)
        pod.place = self._free.pop(0) if listed else f"unlisted-{len(self._listed)}"
        if not listed:
            self._listed.append(pod.place)
            self._tell()
        self.pods[pod.place] = pod
        return pod

    def end(self, pod: Pod) -> None:
        """The pod is gone: scrapes of its place fail."""
        self.ended.add(pod.place)
        del self.pods[pod.place]

    def back(self, pod: Pod) -> None:
        """The same pod again, with the counters that it had."""
        self.pods[pod.place] = pod

    def forget(self, pod: Pod) -> None:
        """The pod is gone, and Prometheus is informed."""
        self.end(pod)
        self._listed.remove(pod.place)
        self._tell()

    def seen(self, prometheus: Prometheus) -> datetime:
        """A moment after which Prometheus has scraped every place, and has forgotten those that aren't listed.

        On a busy machine a scrape may time out: a place that answers must have been scraped with success.
        """
        since = time.time()

        def scraped() -> bool:
            rows = ask(prometheus, 'timestamp(up{job="mesh"}) * (2 * up{job="mesh"} - 1)')  # negative if it failed
            when = {row["metric"]["instance"]: float(row["value"][1]) for row in rows}
            over = all((when[one] if self.answers(one) else abs(when[one])) > since for one in when)
            return over and when.keys() == set(self._listed)

        wait_for(scraped, "a scrape of every place", child=prometheus.child)
        moment = now()
        # Prometheus dates a scrape back by up to 2 ms, so as to keep its beat: what comes next must be later.
        wait_for(lambda: now() - moment > TOLERANCE, "the next scrape to be later", every=0.001)
        return moment

    def answers(self, place: str) -> bool:
        """Whether a scrape of the place can succeed."""
        pod = self.pods.get(place)
        return pod.healthy if pod else place not in self.ended

    def _tell(self) -> None:
        groups = [
            {"targets": [f"127.0.0.1:{self.port}"], "labels": {"instance": place, "__metrics_path__": f"/{place}"}}
            for place in self._listed
        ]
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(groups))
        draft.rename(self._file)


def now() -> datetime:
    """The time in whole milliseconds, as Prometheus has it."""
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)


def ask(prometheus: Prometheus, text: str) -> list[dict[str, Any]]:
    """Prometheus' own view, not through the adapter."""
    _, body = get(f"{prometheus.url}/api/v1/query?{urlencode({'query': text})}")
    rows: list[dict[str, Any]] = json.loads(body)["data"]["result"]
    return rows


@contextmanager
def mesh(folder: Path, places: int = 6) -> Iterator[Mesh]:
    """A mesh without pods."""

    class Pages(serving.Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            place = self.path.strip("/")
            pod, healthy = made.pods.get(place), made.answers(place)
            body = pod.page().encode() if pod and healthy else b""
            self.answer(200 if healthy else 503, body, serving.METRICS)

    with serving.serving(Pages) as url:
        made = Mesh(int(url.rpartition(":")[2]), folder, places)
        yield made
