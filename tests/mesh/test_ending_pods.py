"""Requests while pods come and end. The cluster's lists are the test's own, so that they change at once."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests.parts.kube import Kube
from tests.parts.processes import wait_for

from .applications import Applications
from .bookinfo import Data, service, virtual_service
from .exporter import Exporter
from .hosts import Source
from .load import Answer, Generator, Wanted
from .mesh import CLIENT
from .pilot import Pilot
from .proxy import Proxy

SHOP = {"namespace": "shop", "creationTimestamp": "1"}


class Shop:
    """Two workloads with a Service and a pod each, and the routes to them."""

    def __init__(self) -> None:
        self.pods, self.weight = {"stable": "1", "canary": "1"}, 50
        """Names and images; each name is that of a Service."""

    def read(self, path: str) -> Any:
        """The list at a path of the API server."""
        kind = path.rpartition("/")[2]
        return {"items": getattr(self, f"_{kind}")() if hasattr(self, f"_{kind}") else []}

    def watch(self, path: str) -> Any:
        """There is none: the pilot reads the lists again and again."""
        raise ConnectionRefusedError(path)

    def close(self) -> None:
        pass

    def _virtualservices(self) -> list[Data]:
        weights = {"stable": 100 - self.weight, "canary": self.weight}
        route = [{"destination": {"host": name}, "weight": weight} for name, weight in weights.items()]
        return [_placed(virtual_service("stable", {"route": route}))]

    def _services(self) -> list[Data]:
        return [_placed(service(name)) for name in ("stable", "canary")]

    def _endpointslices(self) -> list[Data]:
        return [
            {
                "metadata": {"labels": {"kubernetes.io/service-name": name}},
                "endpoints": [{"conditions": {"ready": True}, "targetRef": {"uid": name}}],
                "ports": [{"name": "http", "port": 9080}],
            }
            for name in self.pods
        ]

    def _pods(self) -> list[Data]:
        return [
            _placed(
                {"metadata": {"name": name, "uid": name, "labels": {}}, "spec": {"containers": [{"image": image}]}}
            )
            for name, image in self.pods.items()
        ]


def _placed(found: Data) -> Data:
    return {**found, "metadata": {**found["metadata"], **SHOP}}


@dataclass
class Parts:
    """All of a mesh but its metrics."""

    shop: Shop
    applications: Applications
    proxy: Proxy
    pilot: Pilot
    generator: Generator

    @property
    def wanted(self) -> Wanted:
        return Wanted(CLIENT, "stable", self.pilot.port("source", CLIENT), "/", {}, False)

    @property
    def failed(self) -> list[Answer]:
        return [one for one in self.generator.answers if one.failed]


@pytest.fixture
def parts(envoy_binary: Path, tmp_path: Path) -> Iterator[Parts]:
    with ExitStack() as stack:

        def started(part: Any) -> Any:
            part.start()
            stack.callback(part.stop)
            return part

        proxy = started(Proxy(envoy_binary, tmp_path / "envoy"))
        exporter, applications, shop = started(Exporter(tmp_path, proxy.access_log, ())), Applications(), Shop()
        stack.callback(applications.stop)
        pilot = Pilot(cast(Kube, shop), ["shop"], proxy, (applications, exporter))
        pilot.sources[CLIENT] = Source(CLIENT, "shop")
        yield Parts(shop, applications, proxy, started(pilot), started(Generator()))


def test_what_is_under_way_to_a_pod_that_ends_is_answered(parts: Parts) -> None:
    """For longer than Envoy keeps the connections of a removed listener."""
    parts.pilot.wait()
    parts.applications.behave("canary", None, delay=3.0)
    load = parts.generator.load(parts.wanted, 100)
    wait_for(lambda: len(parts.generator.answers) >= 10, "as many requests under way to the canary")
    parts.shop.pods, parts.shop.weight = {"stable": "1"}, 0
    parts.pilot.wait()
    load.stop()
    assert parts.failed == []
    assert parts.generator.answers[-1].workload == "canary"


def test_no_part_of_a_change_costs_a_request(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests between any two parts of it: a new build's pod comes; another ends together with its traffic."""
    parts.pilot.wait()
    write = parts.proxy._write

    def slowly(kind: str, name: str, resources: Mapping[str, Data]) -> bool:
        changed = write(kind, name, resources)
        if changed:
            parts.generator.burst(parts.wanted, 50)
        return changed

    monkeypatch.setattr(parts.proxy, "_write", slowly)
    for pods, weight in (({"stable": "1", "canary": "2"}, 50), ({"stable": "1"}, 0)):
        parts.shop.pods, parts.shop.weight = pods, weight
        parts.pilot.wait()
    assert parts.failed == []
    assert {one.image for one in parts.generator.answers} == {"1", "2"}
