"""A real Envoy whose configuration stands in files, and which is asked what it has loaded. pilot.py feeds it."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.parts.envoy import Envoy
from tests.parts.processes import Child, get, wait_for

from . import certificates
from .clusters import assignment
from .hosts import Refused
from .snapshot import Data

_TYPE = "type.googleapis.com/envoy"
_KINDS = {
    "lds": f"{_TYPE}.config.listener.v3.Listener",
    "cds": f"{_TYPE}.config.cluster.v3.Cluster",
    "eds": f"{_TYPE}.config.endpoint.v3.ClusterLoadAssignment",
    "rds": f"{_TYPE}.config.route.v3.RouteConfiguration",
}


@dataclass(frozen=True)
class Config:
    """All that Envoy shall have: listeners, clusters and route configurations by name, endpoints as ports."""

    listeners: Mapping[str, Data] = field(default_factory=dict)
    clusters: Mapping[str, Data] = field(default_factory=dict)
    endpoints: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    routes: Mapping[str, Data] = field(default_factory=dict)


class Proxy(Envoy):
    """Envoy for all sidecars of a mesh: each change is made before what it replaces is broken."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.files = folder / "xds"
        self.files.mkdir(parents=True)
        self.access_log = folder / "access.log"
        self.access_log.touch()
        self._log_start = 0
        self._written: dict[Path, str] = {}
        self._config = Config()
        self._under_way = self._unsure = False  # whether what stands in a file may not be served: a change broke off
        self._write("lds", "all", {})
        self._write("cds", "all", {})
        self._empty = self._written[self._path("cds", "all")]
        super().__init__(binary, folder, self._bootstrap())

    def start(self) -> None:
        """With the log flushed often, and connections of removed listeners closed soon."""
        argv: list[str | Path] = [self.binary, "--config-path", self.folder / "bootstrap.json", "--concurrency", "1"]
        argv += ["--use-dynamic-base-id", "--log-level", "warning", "--file-flush-interval-msec", "50"]
        argv += ["--drain-time-s", "2", "--drain-strategy", "immediate"]
        self.child = Child(argv, self.folder / "log")
        wait_for(self._ready, "Envoy to be live", child=self.child)

    @cached_property
    def certificate(self) -> certificates.Certificate:
        """Of the applications that speak TLS; made when it is first asked for."""
        return certificates.made(self.folder)

    def file(self, kind: str, name: str) -> Path:
        """Where the configuration of a kind (`eds`, `rds`) and name stands."""
        return self.files / f"{kind}-{hashlib.sha1(name.encode()).hexdigest()[:16]}.json"

    def put(self, new: Config) -> None:
        """Return when Envoy serves `new`: first what is added, then the routes, then without what went.

        Endpoints that went stay until the routes are new: what a busy machine sees at once happened in this order.
        """
        old, self._log_start = self._config, (self.folder / "log").stat().st_size
        self._unsure, self._under_way = self._under_way, True
        between = dict(new.endpoints)
        if new.routes != old.routes:
            between = {name: tuple(sorted({*ports, *old.endpoints.get(name, ())})) for name, ports in between.items()}
        self._write_all("rds", {name: one for name, one in new.routes.items() if name not in old.routes})
        self._serve_listeners({**new.listeners, **old.listeners})
        self._write_all(
            "eds", {name: assignment(name, between[name]) for name in between.keys() - old.endpoints.keys()}
        )
        self._serve_clusters({**old.clusters, **new.clusters})  # an endpoint's listener needs that of its application
        self._serve_endpoints(between)
        if self._write_all("rds", new.routes):
            self._wait_for_routes(new)
        self._serve_endpoints(new.endpoints)
        self._serve_listeners(new.listeners)
        self._serve_clusters(new.clusters)
        self._config, self._under_way = new, False

    def counted(self) -> dict[str, int]:
        """Requests that came to an end, also without an answer, by `inbound` and `outbound`."""
        text = get(f"{self.admin}/stats?filter=bound.downstream_rq_(total|active)$")[1]
        found = {name: int(value) for name, value in (line.split(": ") for line in text.splitlines())}
        return {
            one: found.get(f"http.{one}.downstream_rq_total", 0) - found.get(f"http.{one}.downstream_rq_active", 0)
            for one in ("inbound", "outbound")
        }

    def _serve_listeners(self, listeners: Mapping[str, Data]) -> None:
        if self._write("lds", "all", listeners):
            self._wait_for_listeners()

    def _serve_clusters(self, clusters: Mapping[str, Data]) -> None:
        if self._write("cds", "all", clusters):
            self._wait_for_clusters({})

    def _serve_endpoints(self, endpoints: Mapping[str, tuple[int, ...]]) -> None:
        if self._write_all("eds", {name: assignment(name, ports) for name, ports in endpoints.items()}):
            self._wait_for_clusters(endpoints)

    def _write_all(self, kind: str, resources: Mapping[str, Data]) -> bool:
        """Each in a file of its own; whether there is something to wait for."""
        return any([self._write(kind, name, {name: one}) for name, one in resources.items()])

    def _write(self, kind: str, name: str, resources: Mapping[str, Data]) -> bool:
        """Replace a file unless it says so already, which is the answer; the version is the content's own."""
        path = self._path(kind, name)
        typed = [{"@type": _KINDS[kind], **one} for _, one in sorted(resources.items())]
        content = json.dumps({"resources": typed}, sort_keys=True)
        version = hashlib.sha1(content.encode()).hexdigest()
        if self._written.get(path) == version:
            return self._unsure
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps({"version_info": version, "resources": typed}))
        os.replace(draft, path)
        self._written[path] = version
        return True

    def _path(self, kind: str, name: str) -> Path:
        return self.files / f"{kind}.json" if kind in ("lds", "cds") else self.file(kind, name)

    def _bootstrap(self) -> Data:
        def source(kind: str) -> Data:
            return {"resource_api_version": "V3", "path_config_source": {"path": str(self._path(kind, "all"))}}

        return {
            "node": {"id": "mesh", "cluster": "mesh"},
            "dynamic_resources": {"lds_config": source("lds"), "cds_config": source("cds")},
        }

    def _wait_for_listeners(self) -> None:
        def there() -> bool:
            found = self._dump("ListenersConfigDump")
            states = found.get("dynamic_listeners", [])
            whole = all("active_state" in one and "warming_state" not in one for one in states if not _draining(one))
            return self._loaded(found, "lds") and whole

        self._wait(there, "listeners")

    def _wait_for_clusters(self, endpoints: Mapping[str, tuple[int, ...]]) -> None:
        def there() -> bool:
            found = self._dump("ClustersConfigDump")
            if not self._loaded(found, "cds") or "dynamic_warming_clusters" in found:
                return False
            served = self._endpoints()
            return all(served.get(name) == set(ports) for name, ports in endpoints.items())

        self._wait(there, "clusters and endpoints")

    def _loaded(self, found: Data, kind: str) -> bool:
        """Whether the version is the file's; Envoy tells none of what has been empty from the start."""
        version: str = found.get("version_info", self._empty)
        return version == self._written[self._path(kind, "all")]

    def _wait_for_routes(self, new: Config) -> None:
        wanted = {name: self._written[self._path("rds", name)] for name in new.routes}

        def there() -> bool:
            found = self._dump("RoutesConfigDump").get("dynamic_route_configs", [])
            served = {one["route_config"]["name"]: one.get("version_info") for one in found}
            return all(served.get(name) == version for name, version in wanted.items())

        self._wait(there, "routes")

    def _wait(self, check: Callable[[], bool], what: str) -> None:
        def loaded() -> bool:
            if check():
                return True
            reported = (self.folder / "log").read_bytes()[self._log_start :].decode(errors="replace")
            if "rejected" in reported:
                raise Refused(f"Envoy: {reported}")
            return False

        wait_for(loaded, f"Envoy to serve the {what}", child=self.child, within=20, every=0.02)

    def _endpoints(self) -> dict[str, set[int]]:
        found = json.loads(get(f"{self.admin}/clusters?format=json", timeout=5)[1])
        return {
            one["name"]: {each["address"]["socket_address"]["port_value"] for each in one.get("host_statuses", [])}
            for one in found.get("cluster_statuses", [])
        }

    def _dump(self, kind: str) -> Data:
        configs = json.loads(get(f"{self.admin}/config_dump", timeout=5)[1])["configs"]
        return next((one for one in configs if one["@type"].endswith(f".{kind}")), {})


def _draining(listener: Data) -> bool:
    return "draining_state" in listener and "active_state" not in listener
