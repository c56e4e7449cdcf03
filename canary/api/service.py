"""`spec.service`: the Services and routes that are made for a target that is released through a primary.

The fields are Flagger's, for Istio. What Istio defines is passed through to its objects as it is written; Istio's own
schema judges it there. `canary/primary` makes the objects.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from .duration import Duration
from .model import Model

Port = Annotated[int, Field(ge=1, le=65535)]
MESH = "mesh"
"""Stands among the gateways for all sidecars."""
LONGEST_SERVICE = 63
"""Characters of a Service's name, and of its ports'."""
NO_PORT = "is no port: write a number from 1 to 65535, or the name of a container's port"


def _port(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535:
        return value
    if isinstance(value, str) and len(value) <= LONGEST_SERVICE:
        return value
    raise ValueError(f"{value!r} {NO_PORT}")


TargetPort = Annotated[
    int | str,
    PlainValidator(_port),
    WithJsonSchema({
        "x-kubernetes-int-or-string": True, "minimum": 1, "maximum": 65535, "maxLength": LONGEST_SERVICE,
    }),
]  # fmt: skip
TCP_PROTOCOLS = ("tcp", "mongo", "mysql", "redis")
"""Protocols, as Istio reads them from a port, of which it shares out connections."""
Istio = Annotated[dict[str, Any], Field(max_length=50)]
"""An object that Istio defines."""
Value = Annotated[str, Field(max_length=63)]
Labels = Annotated[dict[str, Value], Field(max_length=64)]
Annotations = Annotated[dict[str, Annotated[str, Field(max_length=16384)]], Field(max_length=64)]
Host = Annotated[str, Field(max_length=253)]
Keys = Annotated[tuple[Annotated[str, Field(max_length=317)], ...], Field(max_length=64)]


class ServiceMetadata(Model):
    """Labels and annotations of a Service."""

    labels: Labels = Field(default_factory=dict)
    """Its labels."""
    annotations: Annotations = Field(default_factory=dict)
    """Its annotations."""


class UnmanagedMetadata(Model):
    """Keys that other clients set on the Services."""

    labels: Keys = ()
    """Keys of labels that are left alone."""
    annotations: Keys = ()
    """Keys of annotations that are left alone."""


class Rewrite(Model):
    """What the target gets to see instead of the path or the host of a request."""

    uri: Annotated[str, Field(max_length=2048)] | None = None
    """The path, or the prefix that was matched, is replaced by this."""
    authority: Annotated[str, Field(max_length=253)] | None = None
    """The Host header is replaced by this."""
    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"] | None = None
    """Flagger's field for the Gateway API."""


class Retries(Model):
    """How often a failed request is sent again."""

    attempts: Annotated[int, Field(ge=0, le=1000)] | None = None
    """How often at most."""
    per_try_timeout: Duration | None = None
    """Time limit of each attempt; default: `timeout`."""
    retry_on: Annotated[str, Field(max_length=1024)] | None = None
    """What counts as failed, such as `gateway-error,connect-failure`."""
    retry_remote_localities: bool | None = None
    """Whether to try other localities."""


class Service(Model):
    """The Services and routes of a target that is released through a primary."""

    name: Annotated[str, Field(max_length=LONGEST_SERVICE)] | None = None
    """Name of the Service that clients call; default: the target's name. `-primary` and `-canary` are added to it."""
    port: Port
    """Its port."""
    port_name: Annotated[str, Field(max_length=LONGEST_SERVICE)] = ""
    """The port's name; Istio takes the protocol from it. Default: the name that the port of your own Service has, or
    `http`."""
    target_port: TargetPort | None = None
    """The port of the pods, by number or name; default: `port`."""
    app_protocol: Annotated[str, Field(max_length=253)] | None = None
    """The port's protocol; it has priority over the port's name."""
    port_discovery: bool = False
    """Add the other ports of the target's containers."""
    headless: bool = False
    """Make Services without an address of their own."""
    traffic_distribution: Annotated[str, Field(max_length=63)] | None = None
    """Which endpoints are preferred, such as `PreferClose`."""
    gateways: Annotated[tuple[Host, ...], Field(max_length=100)] = ()
    """Gateways that use the routes, each `name` or `namespace/name`; default: `mesh`, the sidecars."""
    hosts: Annotated[tuple[Host, ...], Field(max_length=100)] = ()
    """Hosts of the routes; the Service's name is added, unless `*` is among them."""
    delegation: bool = False
    """Make routes without hosts and gateways, for another VirtualService that delegates to them."""
    traffic_policy: Istio | None = None
    """Istio's TrafficPolicy for both versions."""
    match: Annotated[tuple[Istio, ...], Field(max_length=50)] = ()
    """Istio's HTTPMatchRequests: the requests that are routed; default: all."""
    rewrite: Rewrite | None = None
    """What the target gets to see of a request."""
    timeout: Duration | None = None
    """Time limit of a request."""
    retries: Retries | None = None
    """Retries of failed requests."""
    headers: Istio | None = None
    """Istio's Headers: what is set, added or removed in requests and responses."""
    cors_policy: Istio | None = None
    """Istio's CorsPolicy."""
    apex: ServiceMetadata | None = None
    """Metadata of the Service that clients call, and of the routes."""
    primary: ServiceMetadata | None = None
    """Metadata of the primary's Service."""
    canary: ServiceMetadata | None = None
    """Metadata of the canary's Service."""
    unmanaged_metadata: UnmanagedMetadata | None = None
    """Metadata of the Services that is left alone."""
    primary_labels: Literal["relabel", "keep"] = "relabel"
    """How the primary's pods are distinguished from the canary's: by another value of the label that selects them
    (`relabel`), or by one more label beside all that the target's pods have (`keep`)."""
    gateway_refs: Annotated[tuple[Istio, ...], Field(max_length=100)] = ()
    """Flagger's field, for the Gateway API."""
    mirror: Annotated[tuple[Istio, ...], Field(max_length=100)] = ()
    """Flagger's field, for the Gateway API; `analysis.mirror` copies requests."""
    backends: Annotated[tuple[Host, ...], Field(max_length=100)] = ()
    """Flagger's field, for App Mesh."""
    mesh_name: Annotated[str, Field(max_length=253)] | None = None
    """Flagger's field, for App Mesh."""

    @property
    def protocol(self) -> str:
        """What Istio takes the port for: the application protocol, or the port's name, up to a dash."""
        return (self.app_protocol or self.port_name or "").lower().partition("-")[0]

    @property
    def is_tcp(self) -> bool:
        """Whether connections are shared out, and not requests."""
        return self.protocol in TCP_PROTOCOLS

    @property
    def by_gateways_only(self) -> bool:
        """Whether no sidecar uses the routes, so that no caller has labels."""
        return bool(self.gateways) and MESH not in self.gateways and not self.delegation


Queries = Annotated[dict[str, Annotated[str, Field(max_length=8192)]], Field(max_length=50)]


class ScalerReplicas(Model):
    """How many replicas the primary's scaler may ask for."""

    min_replicas: Annotated[int, Field(ge=0)] | None = None
    """At least; default: as the target's scaler."""
    max_replicas: Annotated[int, Field(ge=1)] | None = None
    """At most; default: as the target's scaler."""


class AutoscalerRef(Model):
    """The scaler of the target, of which the primary gets a copy."""

    api_version: Annotated[str, Field(max_length=317)] | None = None
    """Its API version, such as autoscaling/v2."""
    kind: Annotated[str, Field(min_length=1, max_length=63)]
    """`HorizontalPodAutoscaler`, or KEDA's `ScaledObject`."""
    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Its name."""
    primary_scaler_queries: Queries = Field(default_factory=dict)
    """For a ScaledObject: the primary's queries, by the name of the trigger."""
    primary_scaler_replicas: ScalerReplicas | None = None
    """Limits of the primary's scaler."""
