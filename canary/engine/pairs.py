"""What can be released, and who routes: the facts about each pair, as one table.

`canary/registry.py` extends each row by the adapters that carry it out. A new pair is a row here and a row there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from canary.api.canary import CanarySpec
from canary.api.service import Service


class TargetType(StrEnum):
    """How a target is released; `targets/` has the stages of each."""

    VERSIONS = "versions"
    """The user owns the routes and one workload per version; only weights change."""
    PRIMARY = "primary"
    """The target is the canary; the version that was promoted last serves from a copy of it, the primary."""


@dataclass(frozen=True)
class Capabilities:
    """What a router can do beside weights."""

    name: str
    """What sentences call it: the target's kind."""
    mirror: bool = False
    headers: bool = False
    query_params: bool = False
    source_labels: bool = False
    match_weight: bool = False
    """Whether it can share out the requests that match."""
    affinity: bool = False


@dataclass(frozen=True)
class Pairing:
    """What is released, and who routes its requests."""

    kind: str
    """The target's, as `spec.targetRef.kind` has it."""
    router: str
    capabilities: Capabilities
    dialects: tuple[str, ...]
    """Whose metrics the builtins may read, as `spec.provider` has it; the first one unless it says so."""
    no_version: str
    """What to write where `spec.version` is missing; empty for a target that has its versions itself."""
    api_versions: tuple[str, ...] = ()
    """Of the objects of an API server that it moves, newest first, all with the same meaning; empty for a proxy that
    has none."""
    counters: str = ""
    """The proxy whose own counters are the evidence where no Prometheus is named; empty where one must be."""
    type: TargetType = TargetType.VERSIONS
    unscaled: str = ""
    """Why no scaler can change its replicas, as a clause; empty where one can."""
    released: str = "pod template"
    """What of a target that has a primary is rolled out when it changes."""
    given_pods: bool = True
    """Whether canary starts and stops the pods of a target that has a primary; else they are the user's."""

    @property
    def scalable(self) -> bool:
        """Whether a scaler can change its replicas."""
        return not self.unscaled

    @property
    def in_cluster(self) -> bool:
        """Whether it is found in a cluster; else `spec.envoy` says where."""
        return bool(self.api_versions)

    def __str__(self) -> str:
        return f"{'an' if self.kind[0] in 'AEIOU' else 'a'} {self.kind}"


_WITH_PRIMARY = Capabilities(
    "", mirror=True, headers=True, query_params=True, source_labels=True, match_weight=True, affinity=True
)
"""Of Istio, where all routes to a Service are canary's."""
PAIRS: tuple[Pairing, ...] = (
    Pairing(
        "EnvoyRoute",
        "envoy",
        Capabilities("EnvoyRoute", mirror=True, headers=True, query_params=True),
        dialects=("envoy", "istio"),
        no_version="is missing: write the name of the Envoy cluster to roll out",
        counters="envoy",
    ),
    Pairing(
        "VirtualService",
        "istio",
        Capabilities(
            "VirtualService", mirror=True, headers=True, query_params=True, source_labels=True, match_weight=True
        ),
        dialects=("istio",),
        no_version="is missing: write the subset or the destination host to roll out",
        api_versions=tuple(f"networking.istio.io/{version}" for version in ("v1", "v1beta1", "v1alpha3")),
    ),
    Pairing(
        "Deployment",
        "istio",
        replace(_WITH_PRIMARY, name="Deployment"),
        dialects=("istio",),
        no_version="",
        api_versions=("apps/v1",),
        type=TargetType.PRIMARY,
    ),
    Pairing(
        "DaemonSet",
        "istio",
        replace(_WITH_PRIMARY, name="DaemonSet"),
        dialects=("istio",),
        no_version="",
        api_versions=("apps/v1",),
        type=TargetType.PRIMARY,
        unscaled="which has one pod on each node",
    ),
    Pairing(
        "Service",
        "istio",
        replace(_WITH_PRIMARY, name="Service"),
        dialects=("istio",),
        no_version="",
        api_versions=("v1",),
        type=TargetType.PRIMARY,
        unscaled="whose pods are yours",
        released="selector or its ports",
        given_pods=False,
    ),
)

TCP = Capabilities("TCP", match_weight=True)
"""Connections instead of requests have weights only. Without a match there is no share of it."""

MESHES = frozenset({"istio"})
"""Dialects in which a request is reported by several proxies."""

KINDS: tuple[str, ...] = tuple(dict.fromkeys(pair.kind for pair in PAIRS))
"""Of targets that can be moved."""
LATER = tuple(one for one in ("Deployment", "DaemonSet", "Service", "HTTPRoute") if one not in KINDS)
"""Kinds of Flagger's that aren't supported as targets yet."""
DIALECTS: tuple[str, ...] = tuple(dict.fromkeys(one for pair in PAIRS for one in pair.dialects))
PROVIDER_NAMES: tuple[str, ...] = tuple(dict.fromkeys((*DIALECTS, *(pair.router for pair in PAIRS))))
"""What `spec.provider` may be: whose metrics are read, or who routes."""
USUAL: tuple[Pairing, ...] = tuple(next(pair for pair in PAIRS if pair.kind == kind) for kind in KINDS)
"""Of each kind the pair with the router that is meant unless `spec.provider` names another one."""
IN_CLUSTER: tuple[Pairing, ...] = tuple(pair for pair in USUAL if pair.in_cluster)
STANDALONE: tuple[Pairing, ...] = tuple(pair for pair in USUAL if not pair.in_cluster)


def pair_of(kind: str, router: str | None) -> Pairing | None:
    """The pair of a target's kind; where several route it, the one that is named, else the first."""
    found = [pair for pair in PAIRS if pair.kind == kind]
    return next((pair for pair in found if pair.router == router), found[0] if found else None)


def pair_for(spec: CanarySpec) -> Pairing | None:
    """The pair that a spec asks for; None for a kind that can't be moved."""
    return pair_of(spec.target_ref.kind, spec.provider)


def tcp_of(spec: CanarySpec) -> Service | None:
    """The Service that is made for a target and whose connections are shared out; None for requests."""
    pair = pair_for(spec)
    through = pair is not None and pair.type is TargetType.PRIMARY
    return spec.service if through and spec.service is not None and spec.service.is_tcp else None


def capabilities_for(spec: CanarySpec) -> Capabilities | None:
    """What can be done beside weights; None for a kind that can't be moved."""
    pair = pair_for(spec)
    return TCP if tcp_of(spec) is not None else pair.capabilities if pair is not None else None


def dialect_for(spec: CanarySpec) -> str:
    """Whose metrics the builtins read."""
    pair = pair_for(spec) or PAIRS[0]
    return spec.provider if spec.provider in pair.dialects else pair.dialects[0]


def source_of(spec: CanarySpec) -> str:
    """Where the builtins' evidence comes from: `prometheus` where a server is named, else the proxy itself."""
    pair = pair_for(spec)
    return pair.counters if pair is not None and pair.counters and not spec.metrics_server else "prometheus"


def listed(names: Iterable[str], word: str = "and") -> str:
    """Names in a sentence: `a, b and c`, each once."""
    *others, last = dict.fromkeys(names)
    return f"{', '.join(others)} {word} {last}" if others else last
