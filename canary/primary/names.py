"""What the objects of one Canary are called, and the metadata that all of them have."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from canary.api.canary import Canary
from canary.api.service import Service, UnmanagedMetadata
from canary.engine.errors import Invalid

Data = Mapping[str, Any]
Object = dict[str, Any]
NOTHING: Mapping[str, str] = MappingProxyType({})

SUFFIX = "-primary"
MARK = "canary-controller.dev/canary"
"""An annotation of all that is made here; its value is the name of the Canary."""
ORIGINAL = "canary-controller.dev/original"
"""An annotation of a Service or of routes that were there before: what was changed in them, as JSON."""
REVISION = "canary-controller.dev/revision"
"""An annotation of the primary: the target's revision that its template is a copy of."""
TEMPLATE = "canary-controller.dev/template"
"""An annotation of the primary: a digest of its template as the API server made it, by which an edit is noticed."""
UNRECONCILED: Mapping[str, str] = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}
"""Annotations that keep Flux from taking changes back, as Flagger sets them on Services and routes."""


@dataclass(frozen=True)
class Names:
    """The names of one Canary's objects; all are in its namespace."""

    target: str
    """The workload that its owner changes: the canary."""
    apex: str
    """The Service that clients call, and the routes."""
    primary: str
    """The workload of the promoted version."""
    primary_host: str
    """The primary's Service, and its DestinationRule."""
    canary_host: str
    """The canary's Service, and its DestinationRule."""

    @classmethod
    def of(cls, canary: Canary) -> Self:
        """As Flagger calls them."""
        spec = canary.spec
        target = spec.target_ref.name
        return cls(target, spec.apex, f"{target}{SUFFIX}", f"{spec.apex}{SUFFIX}", f"{spec.apex}-canary")


def named_objects(canary: Canary) -> Mapping[str, tuple[str, ...]]:
    """Objects that a run writes, by what permissions of `kube/rbac.py` call them."""
    names, ref = Names.of(canary), canary.spec.autoscaler_ref
    return {
        "primary": (names.primary,),
        "scaled": (names.target, names.primary),
        "released": (names.target,),
        "services": (names.apex, names.primary_host, names.canary_host),
        "copied": (names.primary_host, names.canary_host),
        "beside": (names.primary_host, names.canary_host),
        **({ref.kind: (ref.name, f"{ref.name}{SUFFIX}")} if ref else {}),
    }


def service_of(canary: Canary) -> Service:
    """Its `spec.service`. Raises Invalid where there is none; checks have refused that before."""
    if canary.spec.service is None:
        raise Invalid("spec.service: is missing, and the Services and routes are made from it")
    return canary.spec.service


def metadata(
    canary: Canary, name: str, labels: Mapping[str, str] = NOTHING, annotations: Mapping[str, str] = NOTHING
) -> Object:
    """Of one object that is made, with the mark of its Canary, and without what is left to other clients."""
    unmanaged = (canary.spec.service and canary.spec.service.unmanaged_metadata) or UnmanagedMetadata()
    kept = {key: value for key, value in labels.items() if key not in unmanaged.labels}
    said = {key: value for key, value in annotations.items() if key not in unmanaged.annotations}
    made: Object = {"name": name, "namespace": canary.metadata.namespace}
    made |= {"labels": kept} if kept else {}
    return made | {"annotations": said | {MARK: canary.metadata.name}}
