"""The adapters of each pair of what is released and who routes; `engine/pairs.py` has the facts about it.

A new router is its own files, a row there and a row here.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canary.api.canary import Canary, CanarySpec
from canary.engine.pairs import Pairing, pair_for, pair_of
from canary.envoy.admin import Admin
from canary.kube import rbac
from canary.kube.client import Client
from canary.kube.names import ObjectRef
from canary.kube.rbac import Permission
from canary.metrics.envoy import EnvoyCounters
from canary.ports import Primary, Router, Workloads
from canary.primary.provisioning import Provisioning
from canary.routers.cluster import ClusterProvider
from canary.routers.envoy import EnvoyRouter
from canary.routers.istio import ISTIO, ISTIO_WITH_PRIMARY
from canary.workloads.envoy import EnvoyWorkloads
from canary.workloads.kept import TargetTemplate
from canary.workloads.kubernetes import KubernetesWorkloads, SelectorOf
from canary.workloads.primary import KubernetesPrimary
from canary.workloads.primary_workloads import PrimaryWorkloads
from canary.workloads.routed import Checked
from canary.workloads.services import ServicePrimary, ServiceWorkloads, TargetSelection

Data = Mapping[str, Any]
Manifest = Callable[[], Canary]
"""The Canary as it is now."""


@dataclass(frozen=True)
class StandaloneProvider:
    """A proxy without a cluster, found by `spec.envoy`."""

    router: Callable[[CanarySpec, Admin, Path], Router]
    """Files are relative to the folder."""
    workloads: Callable[[Admin], Workloads]
    counters: Callable[..., EnvoyCounters]
    """The metrics of a proxy that are read without Prometheus."""


PROVIDERS: Mapping[tuple[str, str], ClusterProvider | StandaloneProvider] = {
    ("EnvoyRoute", "envoy"): StandaloneProvider(EnvoyRouter.of, EnvoyWorkloads, EnvoyCounters),
    ("VirtualService", "istio"): ISTIO,
    **{(kind, "istio"): provider for kind, provider in ISTIO_WITH_PRIMARY.items()},
}
"""By kind of target and router."""

CLUSTER: tuple[ClusterProvider, ...] = tuple(
    {id(one): one for one in PROVIDERS.values() if isinstance(one, ClusterProvider)}.values()
)
"""Each once, the usual one first."""

PROVISIONED: tuple[Provisioning, ...] = tuple(
    {id(one.provisioning): one.provisioning for one in CLUSTER if one.provisioning}.values()
)
"""Of the routers that make routes for targets that have a primary."""

LOOKED_AFTER: tuple[Permission, ...] = (
    *rbac.LOOKED_AFTER,
    *dict.fromkeys(permission for one in CLUSTER for permission in one.permissions.controller),
)
"""The controller's permissions in the namespaces of its Canaries."""
PRIMARIES: tuple[Permission, ...] = tuple(
    dict.fromkeys(permission for one in CLUSTER for permission in one.permissions.primaries)
)
"""The same for targets that have a primary, beside those."""
SEEN: tuple[Permission, ...] = (
    *rbac.SEEN,
    *dict.fromkeys(permission for one in CLUSTER for permission in one.permissions.people),
)
"""What people need for commands that only read."""


def workloads_for(
    client: Client,
    spec: CanarySpec,
    namespace: str,
    selector_of: SelectorOf,
    manifest: Manifest,
    watched: bool = False,
) -> KubernetesWorkloads:
    """What runs behind the versions of a target of a cluster."""
    provider = cluster_for(spec)
    if provider is None or provider.provisioning is None:
        return KubernetesWorkloads(client, namespace, selector_of, watched)
    made = PrimaryWorkloads if _given_pods(spec) else ServiceWorkloads
    return made(client, namespace, manifest, watched)


def primary_for(
    client: Client, spec: CanarySpec, namespace: str, manifest: Manifest, checked: Checked
) -> Primary | None:
    """The primary of a target of a cluster; None for one that has none. `client` may write what belongs to it."""
    provider = cluster_for(spec)
    if provider is None or provider.provisioning is None:
        return None
    made = KubernetesPrimary if _given_pods(spec) else ServicePrimary
    return made(client, manifest, namespace, provider.provisioning, checked)


def template_for(
    client: Client, spec: CanarySpec, namespace: str, manifest: Manifest, checked: Checked = nullcontext
) -> TargetTemplate | TargetSelection | None:
    """What of a target of a cluster is released; None for one that has no primary. `client` may write it."""
    provider = cluster_for(spec)
    if provider is None or provider.provisioning is None:
        return None
    made = TargetTemplate if _given_pods(spec) else TargetSelection
    return made(client, namespace, manifest, checked)


def run_permissions(provider: ClusterProvider) -> tuple[Permission, ...]:
    """What `canary run` needs for one router."""
    return (*provider.permissions.run, *rbac.PERMISSIONS)


def cluster_for(spec: CanarySpec) -> ClusterProvider | None:
    """The provider that moves a target of a cluster; None where the target is elsewhere, or of an unknown kind."""
    return _cluster(pair_for(spec))


def standalone_for(spec: CanarySpec) -> StandaloneProvider | None:
    """The provider that moves a target without a cluster."""
    pair = pair_for(spec)
    found = PROVIDERS[pair.kind, pair.router] if pair is not None else None
    return found if isinstance(found, StandaloneProvider) else None


def cluster_of_routes(kind: str) -> ClusterProvider | None:
    """The provider whose weights are in objects of this kind."""
    return next((one for one in CLUSTER if one.routes.kind == kind), None)


def moves(namespace: str, spec: Data) -> tuple[tuple[ObjectRef, ...], str | None]:
    """The objects that a Canary's spec, as it is written, names, and the full name of its host."""
    kind, router = (spec.get("targetRef") or {}).get("kind"), spec.get("provider")
    provider = _cluster(pair_of(str(kind), router))
    host = spec.get("host")
    full = (provider or CLUSTER[0]).host(namespace, str(host)) if host else None
    return () if provider is None else provider.references(namespace, spec), full


def _given_pods(spec: CanarySpec) -> bool:
    pair = pair_for(spec)
    return pair is not None and pair.given_pods


def _cluster(pair: Pairing | None) -> ClusterProvider | None:
    found = PROVIDERS[pair.kind, pair.router] if pair is not None else None
    return found if isinstance(found, ClusterProvider) else None
