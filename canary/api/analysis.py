"""`spec.analysis`: Flagger's fields, and ours. All are optional here, because a policy may supply them;
`engine/policy_merge.py` resolves what is written into what a rollout pins.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, cast

from pydantic import Field, PlainValidator, WithJsonSchema

from .duration import Duration
from .judge import Judge
from .model import Model
from .names import Namespace, ObjectName
from .plan import Gate, Matches, Patience, Percent
from .webhooks import Webhook

LONGEST_QUERY = 8192
"""Characters of a query, before its words are filled in and after; `engine/validation/promql.py` says why."""
PromQL = Annotated[str, Field(max_length=LONGEST_QUERY)]
Variables = Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=50)]


class OnDrift(StrEnum):
    """What to do if another client changed the route."""

    HOLD = "hold"
    REASSERT = "reassert"
    ROLLBACK = "rollback"


class Capacity(StrEnum):
    """Whether an increase waits for enough available replicas."""

    REQUIRE = "require"
    IGNORE = "ignore"


MOST_REPLICAS = 10_000


def _canary_replicas(value: Any) -> int | str:
    counted = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_REPLICAS
    if counted or value in ("full", "matchWeight"):
        return cast("int | str", value)
    raise ValueError(f"{value!r} is no number of replicas: write full, matchWeight, or a number from 1")


CanaryReplicas = Annotated[
    int | str,
    PlainValidator(_canary_replicas),
    WithJsonSchema({
        "x-kubernetes-int-or-string": True, "minimum": 1, "maximum": MOST_REPLICAS, "maxLength": 11,
        "pattern": "^(full|matchWeight)$",
    }),
]  # fmt: skip
"""How many replicas the canary of a target with a primary has."""


class Reporter(StrEnum):
    """The proxy whose counters are read, if several proxies report a request (Istio)."""

    AUTO = "auto"
    """The nearest proxy to the pod that has series: destination, waypoint, source."""
    SOURCE = "source"
    DESTINATION = "destination"
    WAYPOINT = "waypoint"


class Range(Model):
    """The values that pass. Both bounds are inclusive, and either may be absent."""

    min: float | None = None
    """A lower value fails the check."""
    max: float | None = None
    """A higher value fails the check."""


class TemplateRef(Model):
    """A MetricTemplate by name."""

    name: ObjectName
    """Name of the MetricTemplate."""
    namespace: Namespace | None = None
    """Its namespace; default: that of the Canary."""

    @property
    def key(self) -> str:
        """`name`, or `namespace/name`: what tells the templates of one Canary apart."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class EventCounts(Model):
    """Counters of events, of which canary takes exact differences."""

    total: PromQL
    """All events: a counter such as `orders_total{app="{{ target }}"}`, or several with `+` and `-` between them."""
    bad: PromQL
    """The bad ones among them, in the same form."""


class Metric(Model):
    """One check of an evaluation: a builtin (`request-success-rate`, `request-duration`) or a query."""

    name: str
    """`request-success-rate` (per cent), `request-duration` (p99, milliseconds), or your own name."""
    interval: Duration | None = None
    """The window of the query; default 1m. It never begins before the start of the step."""
    threshold_range: Range | None = None
    """The range that passes."""
    threshold: float | None = None
    """Flagger's older form of a range: a minimum for `request-success-rate`, else a maximum."""
    query: PromQL | None = None
    """PromQL, with Flagger's template variables."""
    template_ref: TemplateRef | None = None
    """A MetricTemplate with the query."""
    template_variables: Variables = Field(default_factory=dict)
    """The values of `{{ variables.x }}` in the template."""
    dry_run: bool | None = None
    """Show the metric, and never count it."""
    failure_limit: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """How often the metric may be out of its range; once more rolls back. It then doesn't count for `threshold`."""
    consecutive_error_limit: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """How often in a row the metric may be unreadable; once more rolls back, without waiting for `onUnreachable`."""
    weight: Annotated[float, Field(ge=0.01, le=100)] | None = None
    """How much the metric's evidence counts beside that of others; default 1. For the judge `sequential`."""


class StepSpec(Model):
    """One entry of `steps`: a complete traffic state, and the conditions to end it."""

    weight: Percent = 0
    """Share of requests for the canary, in per cent."""
    mirror: Percent = 0
    """Share of requests that are copied to the canary, in per cent."""
    match: Matches = ()
    """Requests that go to the canary with any weight."""
    match_weight: Annotated[int, Field(ge=1, le=100)] | None = None
    """The canary's share of the requests that match, in per cent (Istio); default: all of them."""
    hold: Duration | None = None
    """The shortest time in this step; default 0s."""
    iterations: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """How many evaluations must pass; default 1."""
    gates: Annotated[tuple[Gate, ...], Field(max_length=10)] = ()
    """Gates that must be open to end the step."""


class ProviderRef(Model):
    """An AlertProvider by name."""

    name: str
    """Its name."""
    namespace: str | None = None
    """Its namespace; default: that of the Canary."""


class Alert(Model):
    """Receivers of alerts."""

    name: str
    """Its name in messages."""
    severity: Literal["info", "warn", "error"] = "info"
    """`info` sends everything, `warn` warnings and errors, `error` only errors."""
    provider_ref: ProviderRef
    """The AlertProvider that sends the alert."""

    @property
    def key(self) -> str:
        """Tells the alerts of one Canary apart, as messages remember them."""
        return f"{self.name}:{self.provider_ref.namespace or ''}/{self.provider_ref.name}"


CookieName = Annotated[str, Field(min_length=1, max_length=256)]
Attribute = Annotated[str, Field(max_length=1024)]


class AlertMatch(Model):
    """An alert of another system that rolls back a rollout."""

    alert: Annotated[str, Field(min_length=1, max_length=300)]
    """Its name: `alertname` of an Alertmanager, the rule of Falco."""
    labels: Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=50)] = Field(
        default_factory=dict
    )
    """Labels that it must have, with these values."""


class SessionAffinity(Model):
    """A user who reached the canary once stays there, by cookie, until the rollout is over."""

    cookie_name: CookieName
    """The cookie of users of the canary."""
    primary_cookie_name: CookieName | None = None
    """The cookie of users of the primary, who stay there for `interval`; default: none, the weights share out each of
    their requests."""
    max_age: Annotated[int, Field(ge=1, le=2**31 - 1)] = 86400
    """Lifetime of the canary's cookie in seconds."""
    domain: Attribute | None = None
    """The cookie's attribute of this name."""
    path: Attribute | None = None
    """The cookie's attribute of this name."""
    http_only: bool | None = None
    """The cookie's attribute of this name."""
    secure: bool | None = None
    """The cookie's attribute of this name."""
    same_site: Literal["Strict", "Lax", "None"] | None = None
    """The cookie's attribute of this name."""
    partitioned: bool | None = None
    """The cookie's attribute of this name."""


class Analysis(Model):
    """How traffic moves, and the metrics that judge it."""

    interval: Duration | None = None
    """Time between two evaluations; at least 1s."""
    threshold: Annotated[int, Field(le=1_000_000)] | None = None
    """Number of failed checks in the whole rollout that rolls back; 0 and less mean 1."""
    step_weight: Annotated[int, Field(ge=1, le=100)] | None = None
    """Increase of the weight after each passing evaluation."""
    max_weight: Annotated[int, Field(ge=1, le=100)] | None = None
    """Promote after an evaluation at this weight has passed; default 100."""
    step_weights: Annotated[tuple[Percent, ...], Field(max_length=100)] | None = None
    """The weights of the steps, increasing."""
    step_weight_promotion: Percent | None = None
    """Promote in increases of this size, one per interval; 0 means at once."""
    iterations: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Passing evaluations before promotion: blue/green, or A/B with `match`."""
    match: Matches | None = None
    """Requests that go to the canary while `iterations` last (A/B), or that the weights share out (Istio)."""
    mirror: bool | None = None
    """Copy requests to the canary: before the first weight, or while `iterations` last."""
    mirror_weight: Percent | None = None
    """Share of requests to copy, in per cent; default 100."""
    steps: Annotated[tuple[StepSpec, ...], Field(max_length=100)] | None = None
    """The steps in full, instead of one of the short forms above."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=50)] | None = None
    """The checks of each evaluation."""
    webhooks: Annotated[tuple[Webhook, ...], Field(max_length=50)] | None = None
    """HTTP calls that open gates, check the canary, ask for a rollback or are notifications."""
    alerts: Annotated[tuple[Alert, ...], Field(max_length=50)] | None = None
    """Receivers of alerts."""
    rollback_on: Annotated[tuple[AlertMatch, ...], Field(max_length=50)] | None = None
    """Alerts that roll a rollout back while they are reported to the controller's /hooks."""
    watch_after_promotion: Duration | None = None
    """How long `rollbackOn` also holds after a promotion: then an alert asks for the version before; default 0."""
    session_affinity: SessionAffinity | None = None
    """Keep users on the version that they reached first."""
    primary_ready_threshold: Percent | None = None
    """Share of a primary's replicas that must be available for an increase, and for the end of a promotion, in per
    cent; default: one for an increase, all for a promotion."""
    canary_ready_threshold: Percent | None = None
    """Share of the canary's replicas that must be available for an increase, in per cent, if the target has a
    primary; default: what `capacity` asks for."""
    canary_replicas: CanaryReplicas | None = None
    """Replicas of the canary, if the target has a primary: `full` (default), as many as the primary has;
    `matchWeight`, as many as each weight needs; or a number, which grows if a weight needs more."""
    judge: Judge | None = None
    """Who decides on the evidence of an evaluation, by name or with settings: `threshold` (default), `sequential`."""
    reporter: Reporter | None = None
    """Which proxy's counters the builtins read (Istio): `auto` (default), `source`, `destination` or `waypoint`."""
    min_requests: Annotated[int, Field(ge=0)] | None = None
    """A window with fewer requests to the canary isn't judged; default 0."""
    deadline: Duration | None = None
    """The longest time for a rollout, without pauses, gates and guards; then it is rolled back. Default 24h."""
    on_no_data: Patience | None = None
    """What to do if metrics have no value while requests can reach the canary; default: `rollback`, or `hold` with
    the judge `sequential`."""
    on_unreachable: Patience | None = None
    """What to do if metrics can't be read while requests can reach the canary. Before the first increase they must
    be readable in any case."""
    settle: Duration | None = None
    """How long after a change of traffic evidence starts to count; default: two scrapes."""
    scrape_interval: Duration | None = None
    """How often counters are scraped; default: 15s for Prometheus, 1s for Envoy."""
    unready_grace: Duration | None = None
    """How long the canary may have fewer replicas than its weight needs; default 15s."""
    capacity: Capacity | None = None
    """`require` (default): increase only if enough replicas are available; `ignore`: increase anyway."""
    drain: Duration | None = None
    """How long a version without weight continues to run; default 30s."""
    on_drift: OnDrift | None = None
    """What to do if another client changes the route: `hold` (default), `reassert` or `rollback`."""

    def written(self) -> dict[str, Any]:
        """The fields that the author wrote, by Python name."""
        return {name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}
