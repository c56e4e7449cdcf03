"""A real Envoy with a route file, services behind it, and a client that counts. `conftest.py` starts it."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from canary.envoy.admin import Admin
from canary.envoy.routes import RouteScope
from canary.routers.envoy import EnvoyRouter
from tests.parts.backend import HEALTH, Backend
from tests.parts.envoy import Envoy
from tests.parts.processes import Child, free_port, wait_for

Data = dict[str, Any]
NAME = "shop"
_TYPE = "type.googleapis.com/envoy"
_CHECK = {
    "timeout": "3s",
    "interval": "0.05s",
    "no_traffic_interval": "0.05s",
    "unhealthy_threshold": 1,
    "healthy_threshold": 1,
    "http_health_check": {"path": HEALTH},
}


class Proxy(Envoy):
    """Envoy as the documentation says it should be started."""

    def start(self) -> None:
        argv: list[str | Path] = [self.binary, "--config-path", self.folder / "bootstrap.json", "--concurrency", "1"]
        argv += ["--disable-hot-restart", "--reject-unknown-dynamic-fields", "--log-level", "warning"]
        self.child = Child(argv, self.folder / "log")
        wait_for(self._ready, "Envoy to be live", child=self.child)


class World:
    """`backends` by cluster; the clusters `dead` (no one listens) and `empty` (no endpoint) are there as well."""

    def __init__(
        self,
        binary: Path,
        folder: Path,
        backends: Mapping[str, Backend],
        routes: Sequence[Data],
        *,
        checked: bool = False,
        suffix: str = ".json",
        http: Mapping[str, Any] | None = None,
        runtime: Mapping[str, int] | None = None,
    ) -> None:
        self.backends = backends
        self.port = free_port()
        self.file = folder / "rds" / f"routes{suffix}"
        self.file.parent.mkdir(parents=True)
        self.put(response(routes))
        clusters = [cluster(name, [one.port], checked) for name, one in backends.items()]
        clusters += [cluster("dead", [free_port()], False), cluster("empty", [], False)]
        config = bootstrap(self.port, self.file, clusters, http or {})
        layers = [{"name": "static", "static_layer": dict(runtime or {})}]
        self.envoy = Proxy(binary, folder, {**config, "layered_runtime": {"layers": layers}})
        self.log = self.envoy.folder / "log"
        self.admin = Admin(self.envoy.admin)
        self.router = self.routed()

    def routed(self, *names: str, host: str | None = None) -> EnvoyRouter:
        """Another router, as a process that has just started has it."""
        return EnvoyRouter(self.admin, self.file, RouteScope(NAME, names, host), self.log)

    def put(self, content: Data | str) -> None:
        """Replaces the route file as an operator would."""
        new = self.file.with_name("new")
        new.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
        os.replace(new, self.file)

    def get(self, count: int = 1, path: str = "/", **headers: str) -> Counter[tuple[int, str]]:
        """Sends requests one after the other; the answers by (status, name of the backend)."""
        answers: Counter[tuple[int, str]] = Counter()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            for _ in range(count):
                connection.request("GET", path, headers={key.replace("_", "-"): one for key, one in headers.items()})
                with connection.getresponse() as answer:
                    answers[answer.status, answer.read().decode()] += 1
        finally:
            connection.close()
        return answers

    def share(self, name: str, count: int = 1000, path: str = "/", **headers: str) -> float:
        """Share of answers, 0 to 1, that came from the backend."""
        answers = self.get(count, path, **headers)
        return sum(found for (_, backend), found in answers.items() if backend == name) / count

    def seen(self, stable: str | None = "v1", canary: str = "v2") -> Any:
        """What the router reads; Any, so that tests may look at the fields."""
        return self.router.read(stable, canary)


def route(prefix: str = "/", name: str = "", **action: Any) -> Data:
    """A route for a prefix."""
    return {**({"name": name} if name else {}), "match": {"prefix": prefix}, "route": action}


def weighted(**weights: int) -> Data:
    """An action that shares requests."""
    return {"weighted_clusters": {"clusters": [{"name": name, "weight": one} for name, one in weights.items()]}}


def response(routes: Sequence[Data], **more: Any) -> Data:
    """What stands in the route file."""
    host = {"name": "all", "domains": ["*"], "routes": list(routes)}
    config = {"@type": f"{_TYPE}.config.route.v3.RouteConfiguration", "name": NAME, "virtual_hosts": [host]}
    return {"version_info": "1", "resources": [{**config, **more}]}


def cluster(name: str, ports: Sequence[int], checked: bool) -> Data:
    """A cluster on this machine, with active health checks or without."""
    points = [{"endpoint": {"address": _address(port)}} for port in ports]
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": points}]}
    health = {"health_checks": [_CHECK], "common_lb_config": {"healthy_panic_threshold": {"value": 0}}}
    base = {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment}
    return {**base, **(health if checked else {})}


def bootstrap(port: int, file: Path, clusters: Sequence[Data], http: Mapping[str, Any]) -> Data:
    """One listener whose routes come from the file; counters are flushed often, so that tests needn't wait."""
    source = {"path": str(file), "watched_directory": {"path": str(file.parent)}}
    manager = {
        "@type": f"{_TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "rds": {
            "route_config_name": NAME,
            "config_source": {"resource_api_version": "V3", "path_config_source": source},
        },
        "http_filters": [ROUTER_FILTER],
        **http,
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    listener = {"name": "in", "address": _address(port), "filter_chains": [chain]}
    return {
        "node": {"id": "test", "cluster": "test"},  # Envoy wants them where it discovers anything
        "stats_flush_interval": "0.1s",
        "static_resources": {"listeners": [listener], "clusters": list(clusters)},
    }


ROUTER_FILTER = {"name": "router", "typed_config": {"@type": f"{_TYPE}.extensions.filters.http.router.v3.Router"}}
GRPC_FILTER = {
    "name": "grpc_stats",
    "typed_config": {
        "@type": f"{_TYPE}.extensions.filters.http.grpc_stats.v3.FilterConfig",
        "individual_method_stats_allowlist": {},
    },
}


def _address(port: int) -> Data:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
