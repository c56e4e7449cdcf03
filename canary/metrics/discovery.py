"""Where evidence comes from in a cluster: the Prometheus that is named, else one that is found by its Service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from canary.engine.errors import Invalid
from canary.kube.client import Client
from canary.kube.errors import Failure, NotFound
from canary.kube.resources import SERVICES


@dataclass(frozen=True)
class Usual:
    """A Service that Prometheus usually has."""

    name: str
    namespace: str

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


USUAL = (Usual("prometheus", "istio-system"), Usual("prometheus-operated", "monitoring"))
"""Istio's own addon, and Prometheus' operator; the first that is there."""
PORT = 9090
"""Prometheus' own."""


def server(named: str | None, client: Client) -> str:
    """The URL to ask. Raises Invalid where none is named and none is found."""
    if named is not None:
        return named
    unread: list[str] = []
    for usual in USUAL:
        try:
            found = client.get(SERVICES, usual.namespace, usual.name)
        except NotFound:
            continue
        except Failure as error:
            unread.append(f"{usual}: {error}")
            continue
        return f"http://{usual}:{_port(found)}"
    why = f" ({'; '.join(unread)})" if unread else f" as {' or '.join(map(str, USUAL))}"
    raise Invalid(
        f"spec.metricsServer: missing, and no Prometheus was found{why}; write its URL, or give --prometheus"
    )


def _port(service: Mapping[str, Any]) -> int:
    """Prometheus' own where the Service has it, else its first one."""
    numbers = [int(port["port"]) for port in (service.get("spec") or {}).get("ports") or ()]
    return PORT if PORT in numbers or not numbers else numbers[0]
