"""Names: of hosts as Istio resolves them, of clusters, of gateways; and who sends requests. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .snapshot import Data, Port, Service, Snapshot

MESH = "mesh"
DOMAIN = "svc.cluster.local"


class Refused(Exception):
    """Istio's webhook would have refused the object; the API server alone takes it."""


@dataclass(frozen=True)
class Source:
    """Who sends requests: a workload with a sidecar, or a gateway.

    `labels` are what sourceLabels are compared with; a `gateway` is `namespace/name` as VirtualServices name it.
    """

    name: str
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    gateway: str = MESH

    @property
    def sidecar(self) -> bool:
        return self.gateway == MESH


def fqdn(host: str, namespace: str) -> str:
    """Only a name without dots is completed, with the namespace of the object that has it."""
    return host if "." in host or "*" in host else f"{host}.{namespace}.{DOMAIN}"


def cluster(host: str, port: int, subset: str = "") -> str:
    """Istio's name for a cluster."""
    return f"outbound|{port}|{subset}|{host}"


def destination_cluster(snapshot: Snapshot, destination: Data, namespace: str, listener: int) -> str:
    """The cluster of a destination. Without a port: the only one of the service, else the one that was asked for."""
    if not destination.get("host"):
        raise Refused("a destination has no host")
    host = fqdn(destination["host"], namespace)
    service = snapshot.services.get(host)
    port = listener
    if "port" in destination:
        port = destination["port"]["number"]
    elif service is not None and len(service.ports) == 1:
        port = service.ports[0].number
    return cluster(host, port, destination.get("subset", ""))


def domains(service: Service, port: Port, source: Source) -> list[str]:
    """How a source may call a service; without a port its first one is meant."""
    names = [f"{service.name}.{service.namespace}"]
    names += [f"{names[0]}.svc", service.fqdn]
    if source.namespace == service.namespace:
        names.insert(0, service.name)
    bare = names if port == service.ports[0] else []
    return [*bare, *(f"{name}:{port.number}" for name in names)]


def applies(virtual: Data, source: Source) -> bool:
    """Whether a source hears of a VirtualService at all: by its gateways and by exportTo."""
    namespace, spec = virtual["metadata"]["namespace"], virtual["spec"]
    exported = spec.get("exportTo") or ["*"]
    seen = "*" in exported or source.namespace in exported or ("." in exported and namespace == source.namespace)
    return seen and bound(spec.get("gateways"), namespace, source)


def bound(gateways: list[str] | None, namespace: str, source: Source) -> bool:
    """Whether one of the gateways is the source's; none at all means the mesh's sidecars."""
    named = {one if one == MESH or "/" in one else f"{namespace}/{one}" for one in gateways or [MESH]}
    return source.gateway in named
