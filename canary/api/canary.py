"""The Canary resource: what is to move (`targetRef`, `version`), how it is judged (`analysis`), and guards, which
`engine/guards.py` asks. Then what Canaries refer to: CanaryPolicy, MetricTemplate and AlertProvider."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from .analysis import Analysis, EventCounts, PromQL
from .model import Model
from .names import ObjectName
from .providers import PROVIDERS, REGION, ProviderType
from .service import AutoscalerRef, Service
from .status import Status

LONGEST_EXPRESSION = 2048
"""Characters; within them nothing takes the compiler more than 10 MiB or 0.1 s."""
Expression = Annotated[str, Field(min_length=1, max_length=LONGEST_EXPRESSION)]


class Guard(Model):
    """A condition that blocks increases until it is true. It never blocks a rollback."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Its name in status and messages."""
    expression: Expression
    """CEL over `now`, `canary`, `step` and `rollout`: true if traffic may increase; at most 2048 characters."""
    message: Annotated[str, Field(max_length=256)] = ""
    """The message while it blocks; default: made from the name."""


Guards = Annotated[tuple[Guard, ...], Field(max_length=16)]
"""Guards of one Canary or one policy."""


API_VERSION = "canary-controller.dev/v1beta1"
Address = Annotated[str, Field(max_length=2048)]
Name = Annotated[str, Field(min_length=1, max_length=1024)]
"""Not empty; what else it must be depends on what it names."""


class Metadata(Model):
    """Metadata of a Kubernetes object; a file needs only `name`."""

    name: str
    """The object's name."""
    namespace: str = "default"
    """Its namespace."""
    uid: str = ""
    """Unique id, set by the API server."""
    generation: int = 0
    """Increased by the API server with each change of the spec."""
    creation_timestamp: datetime | None = None
    """Time of creation, set by the API server."""
    deletion_timestamp: datetime | None = None
    """Time of the deletion, if the object is being deleted."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the object."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the object."""


class TargetRef(Model):
    """The target."""

    api_version: str | None = None
    """API version of the kind: apps/v1, v1 of a Service, or networking.istio.io/v1, which is also served as v1beta1
    and v1alpha3."""
    kind: Name
    """`Deployment`, `DaemonSet` or `Service`, released through a primary as in Flagger; `VirtualService` for versions
    that run side by side; `EnvoyRoute` for a route configuration of a standalone Envoy."""
    name: Name
    """Its name, or `name.namespace`; for an EnvoyRoute the name of the route configuration."""


class EnvoyProxy(Model):
    """A standalone Envoy."""

    admin: Address
    """URL of the admin interface, such as http://127.0.0.1:9901."""
    routes: Annotated[str, Field(json_schema_extra={"pattern": r"\S"})]
    """The file from which Envoy reads its route configuration (RDS), relative to the manifest."""
    log: str | None = None
    """Envoy's log (`--log-path`), relative to the manifest; only this file says why Envoy refuses a route file."""


class PolicyRef(Model):
    """A policy with analysis and guards. The Canary's own fields have priority; the guards of both apply."""

    name: ObjectName
    """Its name; standard, cautious and fast come with canary."""
    kind: Literal["CanaryPolicy", "ClusterCanaryPolicy"] = "CanaryPolicy"
    """Its kind."""


class CanarySpec(Model):
    """The desired version, and how to roll it out."""

    target_ref: TargetRef
    """The target."""
    version: Annotated[str, Field(max_length=1024)] | None = None
    """The desired version: a subset or a host of a VirtualService, a cluster of an EnvoyRoute. A target that
    has a primary has none."""
    stable: Name | None = None
    """The version that serves today; needed only if several versions have weight at the start."""
    revision: str = ""
    """For an EnvoyRoute, the build of the version: a tag, a digest, a commit."""
    host: Name | None = None
    """The host that moves; needed only if the target has several hosts."""
    routes: tuple[Name, ...] = ()
    """If set, only these named routes move."""
    virtual_services: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    """VirtualServices that move together with the target, as `name` or `name.namespace`."""
    envoy: EnvoyProxy | None = None
    """The Envoy of an EnvoyRoute."""
    policy_ref: PolicyRef | None = None
    """A policy with analysis and guards."""
    analysis: Analysis | None = None
    """How traffic moves, and the metrics that judge it."""
    canary_analysis: Analysis | None = None
    """Flagger's older name of `analysis`; it supplies fields that `analysis` lacks."""
    guards: Guards = ()
    """Conditions that block increases until they are true. Those of the policy also apply."""
    suspend: bool = False
    """Start no rollout and increase nothing; rollbacks still happen."""
    skip_analysis: bool = False
    """Promote without an analysis, when the canary is available."""
    provider: Annotated[str, Field(max_length=253)] | None = None
    """The metrics that the builtins read: `istio` or `envoy`; default: those of the router."""
    metrics_server: Address | None = None
    """URL of the Prometheus; default: the controller's --metrics-server."""
    progress_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    """Flagger's time limit for the canary to become ready, in seconds; default 600."""
    revert_on_deletion: bool = False
    """If the Canary is deleted, give the target with a primary back, and remove the primary and its routes."""
    autoscaler_ref: AutoscalerRef | None = None
    """The scaler of a Deployment, of which the primary gets a copy."""
    ingress_ref: dict[str, Any] | None = None
    """Flagger's field, for ingress controllers; only `{{ ingress }}` in queries reads its name."""
    route_ref: dict[str, Any] | None = None
    """Flagger's field, for APISIX; only `{{ route }}` in queries reads its name."""
    upstream_ref: dict[str, Any] | None = None
    """Flagger's field, for Gloo, without effect."""
    service: Service | None = None
    """The Services and routes of a target that is released through a primary."""

    @property
    def apex(self) -> str:
        """The Service that clients of the target call."""
        return (self.service.name if self.service else None) or self.target_ref.name


class Canary(Model):
    """One service whose traffic moves in steps to a new version."""

    api_version: str = API_VERSION
    """`canary-controller.dev/v1beta1`."""
    kind: Literal["Canary"] = "Canary"
    """`Canary`."""
    metadata: Metadata
    """Name and namespace."""
    spec: CanarySpec
    """The desired state."""
    status: Status | None = None
    """The present state; only canary writes it."""


class CanaryPolicySpec(Model):
    """Analysis and guards for several Canaries."""

    analysis: Analysis = Analysis()
    """Used by each Canary that refers to the policy, field by field; the strategy is used as a whole."""
    guards: Guards = ()
    """Added to the Canary's own guards; a Canary can't remove them."""


class CanaryPolicy(Model):
    """Analysis and guards for several Canaries."""

    api_version: str = API_VERSION
    """`canary-controller.dev/v1beta1`."""
    kind: Literal["CanaryPolicy", "ClusterCanaryPolicy"] = "CanaryPolicy"
    """`CanaryPolicy`."""
    metadata: Metadata
    """Name and namespace."""
    spec: CanaryPolicySpec
    """The analysis and the guards."""


class ClusterCanaryPolicy(CanaryPolicy):
    """Analysis and guards for the Canaries of all namespaces."""

    kind: Literal["CanaryPolicy", "ClusterCanaryPolicy"] = "ClusterCanaryPolicy"
    """`ClusterCanaryPolicy`."""


class SecretRef(Model):
    """A Secret by name."""

    name: ObjectName
    """Its name."""


class TemplateProvider(Model):
    """The server for a MetricTemplate's query."""

    type: ProviderType = "prometheus"
    """Its type, such as `prometheus`; see docs/metrics.md."""
    address: Address | None = None
    """URL of the server; default: the Canary's `metricsServer`, or the usual address of the type."""
    headers: Annotated[dict[str, Annotated[tuple[str, ...], Field(max_length=20)]], Field(max_length=20)] = Field(
        default_factory=dict
    )
    """HTTP headers of each request, each with its values, such as the tenant in `X-Scope-OrgID`."""
    secret_ref: SecretRef | None = None
    """A Secret of the template's namespace, with the credentials."""
    region: Annotated[str, Field(json_schema_extra={"pattern": REGION, "maxLength": 63})] | None = None
    """The region of CloudWatch."""
    insecure_skip_verify: bool = False
    """Don't verify the server's certificate."""

    @property
    def server(self) -> str | None:
        """The address that is asked; None for the Canary's own Prometheus, and for the API server."""
        facts = PROVIDERS[self.type]
        found = self.address or facts.address.replace("REGION", self.region or "")
        return found.replace(*facts.renamed, 1) if facts.renamed[0] else found or None


class MetricTemplateSpec(Model):
    """A query, or counters, for several Canaries."""

    provider: TemplateProvider = TemplateProvider()
    """The server."""
    query: PromQL | None = None
    """PromQL, or the query of another type, with `{{ name }}`, `{{ namespace }}`, `{{ target }}`, `{{ interval }}`,
    `{{ variables.x }}`."""
    counts: EventCounts | None = None
    """Instead of a query: counters in a Prometheus. The metric's value is the share of good events, in per cent."""


class MetricTemplate(Model):
    """A query that Canaries refer to by name."""

    api_version: str = API_VERSION
    """`canary-controller.dev/v1beta1`."""
    kind: Literal["MetricTemplate"] = "MetricTemplate"
    """`MetricTemplate`."""
    metadata: Metadata
    """Name and namespace."""
    spec: MetricTemplateSpec
    """The query."""


DEFAULT_TEMPLATE = "default"
"""The template of an AlertProvider for reasons that have none of their own."""
AlertTemplate = Annotated[str, Field(max_length=1024)]


class AlertProviderSpec(Model):
    """The receiver of alerts."""

    type: Literal["slack", "msteams", "discord", "rocket", "gchat", "apprise"]
    """`slack`, `msteams`, `discord`, `rocket` or `gchat` as in Flagger; `apprise` for others by apprise URL."""
    channel: str | None = None
    """Channel of a chat."""
    username: str | None = None
    """Name of the sender in a chat; default: canary."""
    address: Address | None = None
    """URL of the webhook, or apprise URL; a URL with a token belongs in a Secret."""
    secret_ref: SecretRef | None = None
    """A Secret in the namespace of the AlertProvider, with the key `address`, and `token` for a bot of Slack."""
    proxy: Address | None = None
    """URL of an HTTP proxy."""
    templates: Annotated[dict[str, AlertTemplate], Field(max_length=50)] = Field(default_factory=dict)
    """Texts in place of the message, by reason or `default`, with words such as `{{ name }}` and `{{ message }}`."""


class AlertProvider(Model):
    """A receiver of alerts that Canaries refer to by name."""

    api_version: str = API_VERSION
    """`canary-controller.dev/v1beta1`."""
    kind: Literal["AlertProvider"] = "AlertProvider"
    """`AlertProvider`."""
    metadata: Metadata
    """Name and namespace."""
    spec: AlertProviderSpec
    """The receiver."""
