"""The mesh as tests use it: put objects in, let sources send requests, and see what users got and metrics say."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.metrics.mesh import TOLERANCE, ask, now
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY, Kube
from tests.parts.processes import wait_for
from tests.parts.prometheus import Prometheus

from . import bookinfo
from .applications import Applications
from .exporter import JOB, Exporter
from .hosts import MESH, Source
from .load import Answer, Generator, Load, Wanted
from .pilot import Pilot
from .proxy import Proxy
from .snapshot import Data
from .telemetry import Counters

CLIENT = "client"


@dataclass(frozen=True)
class Measured:
    """What users got in a time."""

    answers: tuple[Answer, ...]

    @property
    def total(self) -> int:
        return len(self.answers)

    @property
    def counts(self) -> Counter[tuple[str, int]]:
        """By version and status; the version is "" where no pod answered."""
        return Counter((one.version, one.status) for one in self.answers)

    @property
    def versions(self) -> Counter[str]:
        return Counter(one.version for one in self.answers)

    @property
    def failed(self) -> int:
        return sum(one.failed for one in self.answers)

    def of(self, **attributes: str) -> "Measured":
        """Only the answers that have these attributes: version, workload, image, pod, source, host."""
        wanted = attributes.items()
        return Measured(
            tuple(one for one in self.answers if all(getattr(one, name) == value for name, value in wanted))
        )

    def share(self, version: str) -> float:
        """The version's part of all answers, 0 to 1."""
        return self.versions[version] / self.total if self.total else 0.0


class Mesh:
    """One namespace of a real API server, a real Envoy and a real Prometheus. Made by `mesh`."""

    def __init__(
        self, kube: Kube, namespace: str, parts: tuple[Applications, Exporter, Generator], pilot: Pilot
    ) -> None:
        self.kube = kube
        self.namespace = namespace
        self.pilot = pilot
        self.exporter = parts[1]
        self._prometheus: Prometheus | None = None
        self._applications, _, self._generator = parts

    @property
    def prometheus(self) -> Prometheus:
        """The real Prometheus, that scrapes every proxy each second; it has a `url`."""
        assert self._prometheus is not None, "this mesh was made without a Prometheus"
        return self._prometheus

    def apply(self, *objects: Data | str) -> None:
        """Make or change objects as `kubectl apply --server-side` does; dicts, or YAML with any number of them."""
        for given in objects:
            for one in YAML(typ="safe").load_all(given) if isinstance(given, str) else (given,):
                if one:
                    self._apply(one)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object, if it is there: `delete("VirtualService", "reviews")`."""
        istio, apps = (
            dict.fromkeys(("VirtualService", "DestinationRule"), bookinfo.ISTIO),
            ("Deployment", "DaemonSet"),
        )
        versions = {**istio, **dict.fromkeys(apps, "apps/v1")}
        path = self.path(versions.get(kind, "v1"), kind, name)
        answer = self.kube.request("DELETE", path)
        assert answer.ok or answer.status_code == 404, answer.text

    def path(self, version: str, kind: str, name: str = "", namespace: str = "") -> str:
        """Where an object, or a list of a kind, is at the API server."""
        plural = kind.lower().removesuffix("y") + ("ies" if kind.endswith("y") else "s")
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        return f"{root}/namespaces/{namespace or self.namespace}/{plural}" + (f"/{name}" if name else "")

    def deploy(self, name: str, labels: Mapping[str, str], replicas: int = 1, image: str = "", **spec: Any) -> None:
        """Make a Deployment, or change it: a new image is a new revision. `ready` waits for its pods."""
        self.apply(bookinfo.deployment(name, dict(labels), replicas, image, **spec))

    def scale(self, name: str, replicas: int) -> None:
        """Change a Deployment's replicas."""
        self.kube.merge(self.path("apps/v1", "Deployment", name), {"spec": {"replicas": replicas}})

    def ready(self, *names: str) -> None:
        """Return when these Deployments have rolled out, and Envoy knows it."""
        for name in names:
            wait_for(partial(self._rolled_out, name), f"{name} to be rolled out", within=SLOWLY)
        self.wait_loaded()

    def behave(
        self, workload: str, *, errors: float = 0.0, delay: float = 0.0, image: str | None = None, **more: Any
    ) -> None:
        """How a workload answers from now on, or only one of its images: the share of 500s (0 to 1), and seconds
        before an answer. `more`: hangs, resets, grpc_status, as a Backend has them."""
        self._applications.behave(workload, image, error_share=errors, delay=delay, **more)

    def source(
        self, name: str, labels: Mapping[str, str] | None = None, *, namespace: str = "", gateway: str = MESH
    ) -> None:
        """Add a sender of requests: a sidecar with labels, or a gateway (`namespace/name`)."""
        self.pilot.sources[name] = Source(name, namespace or self.namespace, dict(labels or {}), gateway)
        self.wait_loaded()

    def load(self, host: str, rps: float, **request: Any) -> Load:
        """Send requests steadily until `stop()`: `path`, `headers` and `source` say what and whose."""
        return self._generator.load(self._wanted(host, **request), rps)

    def ask(self, host: str, count: int = 1, **request: Any) -> Measured:
        """Send so many requests at once."""
        return Measured(tuple(self._generator.burst(self._wanted(host, **request), count)))

    def measured(self, since: datetime | None = None, until: datetime | None = None, **only: str) -> Measured:
        """What users got between two moments, by when answers arrived: `measured(t1, t2, source="client")`."""
        start = since.timestamp() if since else 0.0
        end = until.timestamp() if until else float("inf")
        found = tuple(one for one in list(self._generator.answers) if start < one.at <= end)
        return Measured(found).of(**only)

    def wait_loaded(self) -> None:
        """Return when Envoy serves the VirtualServices, rules and pods that the API server has now.

        Raises Refused for what Istio's webhook would not have let through.
        """
        self.pilot.wait()

    def proxies(self, workload: str) -> list[Counters]:
        """The proxies of a workload's pods, or of a source, as Prometheus scrapes them."""
        names = [one.name for one in self.pilot.pods() if one.workload == workload]
        targets = self.exporter.targets
        return [targets[name] for name in (*names, f"source-{workload}") if name in targets]

    def fail_scrapes(self, *workloads: str, fail: bool = True) -> None:
        """Answer scrapes with 503, of some workloads or sources or of all; or no longer."""
        chosen = [one for name in workloads for one in self.proxies(name)] if workloads else None
        for one in list(self.exporter.targets.values()) if chosen is None else chosen:
            one.healthy = not fail

    def restart(self, workload: str) -> None:
        """The proxies begin again, their counters at 0."""
        for one in self.proxies(workload):
            one.restart()

    def seen(self) -> datetime:
        """A moment after which Prometheus knows all that happened so far; best with every load stopped.

        Waits until each target has been scraped, or can't be.
        """
        self.pilot.settle()
        since = now().timestamp()

        def scraped() -> bool:
            rows = ask(self.prometheus, f'timestamp(up{{job="{JOB}"}})')
            when = {row["metric"]["instance"]: float(row["value"][1]) for row in rows}
            return when.keys() >= self.exporter.targets.keys() and all(
                when[one] > since for one in list(self.exporter.targets)
            )

        wait_for(scraped, "a scrape of every proxy", child=self.prometheus.child, within=SLOWLY)
        moment = now()
        wait_for(lambda: now() - moment > TOLERANCE, "the next scrape to be later", every=0.001)
        return moment

    def watch(self, prometheus: Prometheus) -> None:
        """Take the Prometheus that scrapes this mesh."""
        self._prometheus = prometheus

    def _wanted(
        self,
        host: str,
        *,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        source: str = CLIENT,
        sni: str = "",
    ) -> Wanted:
        tcp = self.pilot.tcp_port(source, host)
        port = tcp or self.pilot.port("source", source)
        return Wanted(source, host, port, path, dict(headers or {}), tcp is not None, sni)

    def _apply(self, one: Data) -> None:
        metadata = one["metadata"]
        path = self.path(one["apiVersion"], one["kind"], metadata["name"], metadata.get("namespace", ""))
        kind, query = "application/apply-patch+yaml", {"fieldManager": "mesh", "force": "true"}
        answer = self.kube.request("PATCH", path, one, content_type=kind, fieldValidation="Strict", **query)
        assert answer.ok, f"{one['kind']} {metadata['name']}: {answer.status_code}\n{answer.text}"

    def _rolled_out(self, name: str) -> bool:
        found = self.kube.read(self.path("apps/v1", "Deployment", name))
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
        current = status.get("observedGeneration") == found["metadata"]["generation"]
        return bool(current and counts == [wanted] * 3)


@contextmanager
def mesh(
    control_plane: ControlPlane,
    namespace: str,
    folder: Path,
    envoy: Path,
    prometheus: Path | None = None,
    *,
    reporters: Iterable[str] = ("source", "destination"),
) -> Iterator[Mesh]:
    """A mesh of one namespace, with the source `client`; in ambient mode `reporters` is ("waypoint",)."""
    kube = Kube(control_plane.url, control_plane.ca, control_plane.tokens)
    with ExitStack() as stack:

        def started(part: Any) -> Any:
            part.start()
            stack.callback(part.stop)
            return part

        proxy = Proxy(envoy, folder / "envoy")
        exporter = Exporter(folder, proxy.access_log, reporters)
        applications = Applications()
        stack.callback(applications.stop)
        started(proxy), started(exporter)
        pilot = Pilot(kube, [namespace], proxy, (applications, exporter))
        pilot.sources[CLIENT] = Source(CLIENT, namespace, {"app": CLIENT})
        started(pilot)
        generator: Generator = started(Generator())
        made = Mesh(control_plane.kube, namespace, (applications, exporter, generator), pilot)
        made.wait_loaded()
        if prometheus is not None:
            scraping = Prometheus(prometheus, folder / "prometheus", exporter.scrape_configs(), scrape_interval="1s")
            made.watch(started(scraping))
        yield made
