"""Argo's Rollout to a Deployment, and what belongs to it: Service, routes, scaler."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from canary.manifests.documents import Document

Object = dict[str, Any]
Data = Mapping[str, Any]
DEPLOYMENT_FIELDS = (
    *("replicas", "selector", "template", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"),
)
SPEC_FIELDS = (*DEPLOYMENT_FIELDS, "strategy", "workloadRef", "paused", "analysis", "progressDeadlineAbort")
SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
HASH = "rollouts-pod-template-hash"


@dataclass
class ArgoFiles:
    """All objects of some files. `taken` are those that the output has in another form, or not at all."""

    documents: tuple[Document, ...]
    taken: set[int] = field(default_factory=set)

    def each(self, *kinds: str) -> Iterator[Data]:
        """The objects of these kinds."""
        return (one.data for one in self.documents if isinstance(one.data, dict) and one.data.get("kind") in kinds)

    def get(self, kind: str, name: object, namespace: str | None) -> Data | None:
        """By name. A namespace that isn't written may be any."""
        named = [one for one in self.each(kind) if name_of(one) == name]
        return next((one for one in named if not namespace or namespace_of(one) in (None, namespace)), None)

    def take(self, data: Data) -> None:
        """Leave it out of the output."""
        self.taken.add(id(data))

    def rest(self) -> Iterator[Document]:
        """What the output has as it is."""
        return (one for one in self.documents if id(one.data) not in self.taken)


def name_of(data: Data) -> str:
    """Of an object."""
    return str((data.get("metadata") or {}).get("name") or "")


def namespace_of(data: Data) -> str | None:
    """None if it isn't written."""
    return (data.get("metadata") or {}).get("namespace") or None


def deployment(rollout: Data) -> Object:
    """The Deployment that takes the Rollout's place."""
    spec: Data = rollout.get("spec") or {}
    given: Data = rollout.get("metadata") or {}
    made = {name: deepcopy(spec[name]) for name in DEPLOYMENT_FIELDS if name in spec}
    strategy: Data = (spec.get("strategy") or {}).get("canary") or {}
    rolling = {name: strategy[name] for name in ("maxSurge", "maxUnavailable") if name in strategy}
    if rolling:
        made["strategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
    kept = ("name", "namespace", "labels", "annotations")
    metadata = {name: deepcopy(given[name]) for name in kept if given.get(name)}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": made}


def scaler(sources: ArgoFiles, rollout: Data) -> Object | None:
    """The scaler of the Rollout, which scales the Deployment then."""
    for data in sources.each(*SCALERS):
        ref = (data.get("spec") or {}).get("scaleTargetRef") or {}
        near = namespace_of(data) in (None, namespace_of(rollout)) or namespace_of(rollout) is None
        if ref.get("kind") == "Rollout" and ref.get("name") == name_of(rollout) and near:
            sources.take(data)
            made: Object = deepcopy(dict(data))
            made["spec"]["scaleTargetRef"] = {**ref, "apiVersion": "apps/v1", "kind": "Deployment"}
            return made
    return None


def services_of(sources: ArgoFiles, rollout: Data) -> list[Data]:
    """The Services that select the Rollout's pods."""
    template: Data = (rollout.get("spec") or {}).get("template") or {}
    labels: Data = (template.get("metadata") or {}).get("labels") or {}
    found = []
    for data in sources.each("Service"):
        selector: Data = {
            key: value for key, value in ((data.get("spec") or {}).get("selector") or {}).items() if key != HASH
        }
        near = namespace_of(data) in (None, namespace_of(rollout)) or namespace_of(rollout) is None
        if selector and near and selector.items() <= labels.items():
            found.append(data)
    return found


def port_of(service: Data | None, template: Data) -> tuple[Object, str]:
    """`service.port` and its like, and a remark; from the Service, else from the containers."""
    ports = ((service or {}).get("spec") or {}).get("ports") or []
    if ports and isinstance(ports[0], dict) and isinstance(ports[0].get("port"), int):
        first = ports[0]
        made = {"port": first["port"]}
        if first.get("targetPort") not in (None, first["port"]):
            made["targetPort"] = first["targetPort"]
        if first.get("name"):
            made["portName"] = first["name"]
        if first.get("appProtocol"):
            made["appProtocol"] = first["appProtocol"]
        return made, "" if len(
            ports
        ) == 1 else "The Service has more ports; portDiscovery: true adds those of the pods."
    for container in (template.get("spec") or {}).get("containers") or []:
        for port in container.get("ports") or []:
            if isinstance(port.get("containerPort"), int):
                return {
                    "port": port["containerPort"]
                }, "The port is the container's; write the one that clients call."
    return {"port": 80}, "No port was found; write the one that clients call."


def virtual_service(given: Data, apex: str, hosts: set[str], subsets: set[str]) -> tuple[Object, bool]:
    """The routes as canary adopts them: under the Service's name, and to the Service. Whether any route changed.

    `hosts` are those of stable and canary; with `subsets`, one host has both versions as subsets.
    """
    made: Object = deepcopy(dict(given))
    metadata = made.get("metadata") or {}
    made["metadata"] = {
        key: metadata[key] for key in ("name", "namespace", "labels", "annotations") if key in metadata
    }
    made["metadata"]["name"] = apex
    changed = False
    for route in (made.get("spec") or {}).get("http") or []:
        entries = route.get("route") or []
        ours = [one for one in entries if _versions(one, hosts, subsets)]
        if ours:
            destination = {key: value for key, value in ours[0]["destination"].items() if key != "subset"}
            host = str(destination.get("host") or "")
            rest = host.partition(".")[2]
            destination["host"] = f"{apex}.{rest}" if rest else apex
            others = [one for one in entries if one not in ours]
            share = sum(int(one.get("weight") or 0) for one in ours)
            weight = {"weight": share} if others else {}
            route["route"] = [{"destination": destination, **weight}, *others]
            changed = True
    return made, changed


def _versions(entry: Data, hosts: set[str], subsets: set[str]) -> bool:
    destination: Data = entry.get("destination") or {}
    host = str(destination.get("host") or "").partition(".")[0]
    return host in hosts and (not subsets or destination.get("subset") in subsets)
