"""What the API server has, in the few facts that routing needs. clusters.py and routes.py read it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.parts.kube import Kube

Data = dict[str, Any]

_ISTIO = "/apis/networking.istio.io/v1/namespaces"
_TLS = ("tls", "https")
_OPAQUE = ("tcp", *_TLS, "mysql", "mongo", "redis")


@dataclass(frozen=True)
class Pod:
    """A pod, and what Istio's metrics call it."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    workload: str
    image: str

    @property
    def version(self) -> str:
        return self.labels.get("version", "unknown")


@dataclass(frozen=True)
class Port:
    number: int
    name: str
    opaque: bool
    """Carries TCP, as its name or appProtocol says; else HTTP."""
    tls: bool = False
    """Carries TLS, which is passed through; opaque as well."""


@dataclass(frozen=True)
class Service:
    namespace: str
    name: str
    ports: tuple[Port, ...]
    ready: Mapping[str, tuple[str, ...]]
    """The uids of the pods that are ready, by the name of a port."""

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{self.namespace}.svc.cluster.local"


@dataclass(frozen=True)
class Snapshot:
    """Services by full name, pods by uid; VirtualServices and DestinationRules with the oldest first."""

    services: Mapping[str, Service]
    pods: Mapping[str, Pod]
    virtual_services: tuple[Data, ...]
    rules: tuple[Data, ...]


def read(kube: Kube, namespaces: Iterable[str]) -> Snapshot:
    """Everything in these namespaces as it stands now."""
    services: list[Service] = []
    pods: list[Pod] = []
    virtual: list[Data] = []
    rules: list[Data] = []
    for name in namespaces:
        found = [kube.read(path)["items"] for path in paths(name)]
        virtual += found[0]
        rules += found[1]
        services += [service(one, found[2]) for one in found[3]]
        pods += [pod(one) for one in found[4]]
    return Snapshot(
        {one.fqdn: one for one in services},
        {one.uid: one for one in pods},
        tuple(map(_essence, sorted(virtual, key=_age))),
        tuple(map(_essence, sorted(rules, key=_age))),
    )


def paths(namespace: str) -> list[str]:
    """The lists that it is made of. Routes come first: the client that moves them lets pods end only after that."""
    istio, core = f"{_ISTIO}/{namespace}", f"/api/v1/namespaces/{namespace}"
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    return [f"{istio}/virtualservices", f"{istio}/destinationrules", slices, f"{core}/services", f"{core}/pods"]


def service(found: Data, slices: Iterable[Data]) -> Service:
    """A Service with its ready pods out of all EndpointSlices of its namespace."""
    metadata, spec = found["metadata"], found["spec"]
    ready: dict[str, tuple[str, ...]] = {}
    for each in slices:
        if each["metadata"].get("labels", {}).get("kubernetes.io/service-name") == metadata["name"]:
            uids = tuple(one["targetRef"]["uid"] for one in each.get("endpoints") or () if _serves(one))
            for port in each.get("ports") or ():
                name = port.get("name") or ""
                ready[name] = ready.get(name, ()) + uids
    ports = tuple(
        Port(one["port"], one.get("name", ""), _carries(one, _OPAQUE), _carries(one, _TLS))
        for one in spec.get("ports", ())
    )
    return Service(metadata["namespace"], metadata["name"], ports, ready)


def pod(found: Data) -> Pod:
    """A pod with the name of its workload, as Istio's injection finds it."""
    metadata = found["metadata"]
    labels = metadata.get("labels", {})
    image = found["spec"]["containers"][0]["image"]
    return Pod(metadata["namespace"], metadata["name"], metadata["uid"], labels, _workload(metadata), image)


def _workload(metadata: Data) -> str:
    """The controller's name; for a ReplicaSet of a Deployment that of the Deployment."""
    owners = [one for one in metadata.get("ownerReferences", ()) if one.get("controller")]
    if not owners:
        return str(metadata["name"])
    suffix = metadata.get("labels", {}).get("pod-template-hash")
    if owners[0]["kind"] == "ReplicaSet" and suffix:
        return re.sub(f"-{re.escape(suffix)}$", "", owners[0]["name"])
    return str(owners[0]["name"])


def _serves(endpoint: Data) -> bool:
    return endpoint.get("conditions", {}).get("ready") is not False and "targetRef" in endpoint


def _carries(port: Data, protocols: Iterable[str]) -> bool:
    return (port.get("appProtocol") or port.get("name", "").partition("-")[0]) in protocols


def _age(found: Data) -> tuple[str, str, str]:
    metadata = found["metadata"]
    return metadata["creationTimestamp"], metadata["name"], metadata["namespace"]


def _essence(found: Data) -> Data:
    """Without what changes although nothing is asked for."""
    metadata = {key: found["metadata"][key] for key in ("name", "namespace")}
    return {"metadata": metadata, "spec": found.get("spec", {})}
