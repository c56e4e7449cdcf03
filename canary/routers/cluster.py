"""What a router must bring along whose routes are objects of a cluster. `canary/registry.py` lists those that do."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from canary.api.canary import Canary
from canary.engine.observed import Missing
from canary.kube.client import Client
from canary.kube.names import ObjectRef
from canary.kube.rbac import Permission
from canary.kube.resources import Resource
from canary.ports import Router
from canary.primary.provisioning import Provisioning

Data = Mapping[str, Any]


class ClusterRouter(Router, Protocol):
    """The port Router on objects of a cluster."""

    def selector(self, version: str) -> Mapping[str, str] | Missing:
        """Labels of a version's pods."""

    @property
    def versions(self) -> Mapping[ObjectRef, str]:
        """The objects that were read last, by resourceVersion."""


@dataclass(frozen=True)
class RouterPermissions:
    """What each process may do with the router's objects, beside what `kube/rbac.py` has for all."""

    run: tuple[Permission, ...]
    """For `canary run`."""
    controller: tuple[Permission, ...]
    """For the controller, with any targets: it watches the objects of each router."""
    people: tuple[Permission, ...]
    """For commands that only read."""
    primaries: tuple[Permission, ...] = ()
    """For the controller, beside those, for targets that have a primary."""


@dataclass(frozen=True)
class ClusterProvider:
    """One router of a cluster: what it reads, and how it is made."""

    routes: Resource
    """Objects that carry the weights: a change wakes the Canaries that move it."""
    nearby: tuple[Resource, ...]
    """Others that it reads: a change wakes all Canaries of the namespace."""
    references: Callable[[str, Data], tuple[ObjectRef, ...]]
    """Of a namespace and a spec as it is written, the objects that the spec names; the target first."""
    host: Callable[[str, str], str]
    """Of a namespace and a host as it is written there, its full name."""
    scope: Callable[[Canary, str, bool], Hashable]
    """Of a Canary and its namespace, what may be moved; with True only in this namespace."""
    router: Callable[[Client, Any], ClusterRouter]
    """Of a client and a scope."""
    permissions: RouterPermissions
    provisioning: Provisioning | None = None
    """For targets that have a primary."""

    def named(self, namespace: str, target: str) -> ObjectRef:
        """The object that a Canary of this namespace calls `target`: `name`, or `name.namespace`."""
        return self.references(namespace, {"targetRef": {"name": target}})[0]


def routes_of_service(kind: str) -> Callable[[str, Data], tuple[ObjectRef, ...]]:
    """`references` of a target that has a primary: the routes of this kind that are called as its Service."""

    def references(namespace: str, spec: Data) -> tuple[ObjectRef, ...]:
        service, target = spec.get("service") or {}, spec.get("targetRef") or {}
        return (ObjectRef(kind, namespace, str(service.get("name") or target.get("name") or "")),)

    return references
