"""Services and DestinationRules → Envoy's clusters, and which pods are behind each. Pure; proxy.py serves them."""

from collections.abc import Iterator

from .hosts import cluster, fqdn
from .snapshot import Data, Pod, Snapshot

Uids = tuple[str, ...]

_LIMITS = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), 100_000)


def members(snapshot: Snapshot) -> dict[str, Uids]:
    """The ready pods of each cluster: one for each port of a Service, and one for each of its subsets.

    A subset that no rule defines has no cluster; one that selects no ready pod has an empty one.
    """
    found: dict[str, Uids] = {}
    for service in snapshot.services.values():
        subsets = dict(_subsets(snapshot, service.fqdn))
        for port in service.ports:
            ready = [snapshot.pods[uid] for uid in service.ready.get(port.name, ()) if uid in snapshot.pods]
            for subset, labels in {"": {}, **subsets}.items():
                found[cluster(service.fqdn, port.number, subset)] = tuple(one.uid for one in _having(ready, labels))
    return found


def discovered(name: str, file: str) -> Data:
    """A cluster whose endpoints stand in a file. Istio's: no panic, and limits that no one reaches."""
    source = {"resource_api_version": "V3", "path_config_source": {"path": file}}
    return {
        **_cluster(name),
        "type": "EDS",
        "lb_policy": "LEAST_REQUEST",
        "eds_cluster_config": {"eds_config": source, "service_name": name},
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }


def assignment(name: str, ports: tuple[int, ...]) -> Data:
    """The endpoints of a cluster, all on this machine."""
    endpoints = [{"endpoint": {"address": address(port)}} for port in ports]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}] if endpoints else []}


def local(name: str, port: int) -> Data:
    """A cluster of one endpoint: an application, behind the sidecar of its pod."""
    return {**_cluster(name), "type": "STATIC", "load_assignment": assignment(name, (port,))}


def address(port: int) -> Data:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str) -> Data:
    limits = {"thresholds": [{**_LIMITS, "priority": "DEFAULT"}]}
    return {"name": name, "connect_timeout": "2s", "circuit_breakers": limits}


def _subsets(snapshot: Snapshot, host: str) -> Iterator[tuple[str, Data]]:
    """Those of all rules for a host; of equal names the oldest counts, which therefore comes last."""
    for rule in reversed(snapshot.rules):
        if fqdn(rule["spec"].get("host", ""), rule["metadata"]["namespace"]) == host:
            for subset in reversed(rule["spec"].get("subsets") or []):
                yield subset["name"], subset.get("labels") or {}


def _having(pods: list[Pod], labels: Data) -> Iterator[Pod]:
    return (one for one in pods if labels.items() <= dict(one.labels).items())
