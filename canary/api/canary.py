"""The Canary resource: what is to move (`targetRef`, `version`), and how it is judged (`analysis`)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from .analysis import Analysis
from .guard import Guards
from .model import Model
from .status import Status

API_VERSION = "canary-controller.dev/v1beta1"
Address = Annotated[str, Field(max_length=2048)]
Name = Annotated[str, Field(min_length=1)]
"""Not empty; what else it must be depends on what it names."""


class Metadata(Model):
    """Of a Kubernetes object; in a file only `name` is needed."""

    name: str
    """The object's name."""
    namespace: str = "default"
    """Its namespace."""
    uid: str = ""
    """Given by the API server; no two objects ever have the same."""
    generation: int = 0
    """Counted up by the API server with each change of the spec."""
    creation_timestamp: datetime | None = None
    """Given by the API server."""
    deletion_timestamp: datetime | None = None
    """Set once the object is being deleted."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the object."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the object."""


class TargetRef(Model):
    """What moves."""

    api_version: str | None = None
    """API version of a Kubernetes target, such as networking.istio.io/v1."""
    kind: Name
    """`VirtualService` for Istio, `EnvoyRoute` for a route configuration of a standalone Envoy."""
    name: Name
    """Its name, or `name.namespace`; for an EnvoyRoute the name of the route configuration."""


class EnvoyProxy(Model):
    """Where a standalone Envoy is found."""

    admin: Address
    """URL of the admin endpoint, such as http://127.0.0.1:9901."""
    routes: str
    """The file that Envoy reads its route configuration (RDS) from, relative to the manifest."""
    log: str | None = None
    """Envoy's log (`--log-path`), relative to the manifest; only there does Envoy say why it refuses a file."""


class PolicyRef(Model):
    """A CanaryPolicy to take analysis and guards from; the Canary's own fields win, while guards add up."""

    name: Name
    """Its name; standard, cautious and fast come with canary."""
    kind: Literal["CanaryPolicy", "ClusterCanaryPolicy"] = "CanaryPolicy"
    """`CanaryPolicy` unless given."""


class CanarySpec(Model):
    """What shall serve, and how it gets there."""

    target_ref: TargetRef
    """What moves."""
    version: str | None = None
    """The version that shall serve everything: a subset or a host; for an EnvoyRoute the name of a cluster."""
    stable: Name | None = None
    """The version that serves today; needed only where several carry weight at the start."""
    revision: str = ""
    """What tells two builds of one version apart, where nothing else does: a tag, a digest, a commit."""
    host: Name | None = None
    """Only where the target routes to several hosts: the one that moves."""
    routes: tuple[Name, ...] = ()
    """Only to restrict which named routes move."""
    virtual_services: tuple[Name, ...] = ()
    """VirtualServices that move together with the target's, as `name` or `name.namespace`."""
    envoy: EnvoyProxy | None = None
    """Where the Envoy of an EnvoyRoute is found."""
    policy_ref: PolicyRef | None = None
    """A policy to take analysis and guards from."""
    analysis: Analysis | None = None
    """How traffic moves and what it is judged by."""
    canary_analysis: Analysis | None = None
    """Flagger's older name of `analysis`; fields that `analysis` lacks are taken from it."""
    guards: Guards = ()
    """Conditions that hold every raise until they are true; those of the policy hold as well."""
    suspend: bool = False
    """Start nothing and raise nothing; protective rules still act."""
    skip_analysis: bool = False
    """Promote without looking, as soon as the canary is available."""
    provider: str | None = None
    """Whose metrics the builtins read: `envoy` or `istio`."""
    metrics_server: Address | None = None
    """URL of the Prometheus to ask; the controller's --metrics-server unless given."""
    progress_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    """Flagger's time for the canary to become ready; read as a deadline for step 0, 600 unless given."""
    revert_on_deletion: bool = False
    """Flagger's field; our targets are put back whenever a Canary is deleted in mid-rollout."""
    autoscaler_ref: dict[str, Any] | None = None
    """Flagger's field, for targets that are cloned."""
    ingress_ref: dict[str, Any] | None = None
    """Flagger's field, for ingress controllers."""
    route_ref: dict[str, Any] | None = None
    """Flagger's field, for APISIX."""
    upstream_ref: dict[str, Any] | None = None
    """Flagger's field, for Gloo."""
    service: dict[str, Any] | None = None
    """Flagger's field, for targets that are cloned."""


class Canary(Model):
    """One service whose traffic is moved with care."""

    api_version: str = API_VERSION
    """`canary-controller.dev/v1beta1`."""
    kind: Literal["Canary"] = "Canary"
    """`Canary`."""
    metadata: Metadata
    """Name and namespace."""
    spec: CanarySpec
    """What is wanted."""
    status: Status | None = None
    """What was reached; written by canary only."""


class CanaryPolicySpec(Model):
    """What canaries share."""

    analysis: Analysis = Analysis()
    """Taken by each Canary that refers to the policy, field by field; the strategy is taken as one."""
    guards: Guards = ()
    """Added to the Canary's own; none of them can be taken away."""


class CanaryPolicy(Model):
    """Analysis and guards to share between canaries."""

    api_version: str = API_VERSION
    """`canary-controller.dev/v1beta1`."""
    kind: Literal["CanaryPolicy", "ClusterCanaryPolicy"] = "CanaryPolicy"
    """`CanaryPolicy`."""
    metadata: Metadata
    """Name and namespace."""
    spec: CanaryPolicySpec
    """What is shared."""


class ClusterCanaryPolicy(CanaryPolicy):
    """Analysis and guards for the canaries of all namespaces."""

    kind: Literal["CanaryPolicy", "ClusterCanaryPolicy"] = "ClusterCanaryPolicy"
    """`ClusterCanaryPolicy`."""


class SecretRef(Model):
    """A Secret by name."""

    name: str
    """Its name."""


class TemplateProvider(Model):
    """Who answers a MetricTemplate's query."""

    type: Literal["prometheus"] = "prometheus"
    """`prometheus`."""
    address: Address | None = None
    """URL of the server; the Canary's `metricsServer` unless given."""
    headers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Flagger's field, not used yet; `metricsServer` is asked with the headers in PROMETHEUS_HEADERS."""
    secret_ref: SecretRef | None = None
    """Flagger's field, not used yet; `metricsServer` is asked with the credentials in PROMETHEUS_* variables."""
    region: str | None = None
    """Flagger's field for CloudWatch."""
    insecure_skip_verify: bool = False
    """Flagger's field, not used yet; PROMETHEUS_CA_FILE says who vouches for `metricsServer`."""


class MetricTemplateSpec(Model):
    """A query to share."""

    provider: TemplateProvider = TemplateProvider()
    """Who answers."""
    query: str
    """PromQL with `{{ name }}`, `{{ namespace }}`, `{{ target }}`, `{{ interval }}`, `{{ variables.x }}`."""


class MetricTemplate(Model):
    """A query that canaries refer to by name."""

    api_version: str = API_VERSION
    """`canary-controller.dev/v1beta1`."""
    kind: Literal["MetricTemplate"] = "MetricTemplate"
    """`MetricTemplate`."""
    metadata: Metadata
    """Name and namespace."""
    spec: MetricTemplateSpec
    """The query."""
