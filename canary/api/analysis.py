"""`spec.analysis`: Flagger's fields, and ours. All are optional here, because a policy may supply them;
`engine/policy.py` resolves what is written into what a rollout pins.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from .duration import Duration
from .model import Model
from .plan import Answer, Gate, Matches, Percent


class OnDrift(StrEnum):
    """What to do when the route was changed by somebody else."""

    HOLD = "hold"
    REASSERT = "reassert"
    ROLLBACK = "rollback"


class Capacity(StrEnum):
    """Whether a raise waits for enough available replicas."""

    REQUIRE = "require"
    IGNORE = "ignore"


class Reporter(StrEnum):
    """Whose word about a request counts, where several proxies report it (Istio)."""

    AUTO = "auto"
    """Whoever stands nearest to the pod and has series: the destination's proxy, the waypoint, the source's."""
    SOURCE = "source"
    DESTINATION = "destination"
    WAYPOINT = "waypoint"


class Range(Model):
    """The values that pass; both bounds are inclusive, and either may be absent."""

    min: float | None = None
    """A lower value fails the check."""
    max: float | None = None
    """A higher value fails the check."""


class TemplateRef(Model):
    """A MetricTemplate by name."""

    name: str
    """Name of the MetricTemplate."""
    namespace: str | None = None
    """Its namespace; the Canary's unless given."""

    @property
    def key(self) -> str:
        """`name`, or `namespace/name`: what tells the templates of one Canary apart."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Metric(Model):
    """One check of a look: a builtin (`request-success-rate`, `request-duration`) or a query."""

    name: str
    """`request-success-rate` (per cent), `request-duration` (p99, milliseconds), or a name of your own."""
    interval: Duration | None = None
    """The window of the query, 1m unless given; cut at the start of the step."""
    threshold_range: Range | None = None
    """What passes."""
    threshold: float | None = None
    """Flagger's older form: a minimum for `request-success-rate`, else a maximum."""
    query: str | None = None
    """PromQL, with Flagger's template functions."""
    template_ref: TemplateRef | None = None
    """A MetricTemplate that holds the query."""
    template_variables: dict[str, str] = Field(default_factory=dict)
    """What `{{ variables.x }}` stands for in the template."""


class StepSpec(Model):
    """One entry of `steps`: a complete traffic state, and what it takes to leave it."""

    weight: Percent = 0
    """Share of requests for the canary, in per cent; absent means 0."""
    mirror: Percent = 0
    """Share of requests copied to the canary, in per cent."""
    match: Matches = ()
    """Requests that go to the canary whatever the weight."""
    hold: Duration | None = None
    """How long to stay at least; 0s unless given."""
    looks: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """How many looks must pass; 1 unless given."""
    gates: Annotated[tuple[Gate, ...], Field(max_length=10)] = ()
    """What must be open to leave the step."""


class Patience(Model):
    """How long to bear something, and what follows."""

    after: Duration | None = None
    """How long; the larger of 5m and threshold × interval unless given."""
    then: Answer = Answer.HOLD
    """What follows: `hold` (until `analysis.deadline`), `rollback` or `promote` (looks without data pass)."""


class Webhook(Model):
    """A hook in Flagger's form."""

    type: str = "rollout"
    """Flagger's type, such as `confirm-rollout` or `post-rollout`."""
    name: str
    """What messages call it."""
    url: str
    """Where the payload is posted."""
    timeout: Duration | None = None
    """10s unless given."""
    retries: Annotated[int, Field(ge=0)] = 0
    """How often to try again."""
    disable_tls: bool = Field(default=False, alias="disableTLS")
    """Skip the verification of the server's certificate."""
    mute_alert: bool = False
    """No alert for this hook."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Sent along."""


class ProviderRef(Model):
    """An AlertProvider by name."""

    name: str
    """Its name."""
    namespace: str | None = None
    """Its namespace; the Canary's unless given."""


class Alert(Model):
    """Who is told."""

    name: str
    """What messages call it."""
    severity: Literal["info", "warn", "error"] = "info"
    """`info` tells all, `warn` warnings and errors, `error` errors only."""
    provider_ref: ProviderRef
    """The AlertProvider that delivers."""


class SessionAffinity(Model):
    """A user who met the canary once stays there, by cookie."""

    cookie_name: str
    """The cookie of users of the canary."""
    primary_cookie_name: str | None = None
    """The cookie of users of the stable version."""
    max_age: int = 86400
    """Seconds that the cookie lives."""
    domain: str | None = None
    """The cookie's attribute of this name."""
    path: str | None = None
    """The cookie's attribute of this name."""
    http_only: bool | None = None
    """The cookie's attribute of this name."""
    secure: bool | None = None
    """The cookie's attribute of this name."""
    same_site: str | None = None
    """The cookie's attribute of this name."""
    partitioned: bool | None = None
    """The cookie's attribute of this name."""


class Analysis(Model):
    """How traffic moves and what it is judged by."""

    interval: Duration | None = None
    """Time between two looks; at least 1s."""
    threshold: Annotated[int, Field(le=1_000_000)] | None = None
    """Failed checks, counted over the whole rollout, that roll back; 0 and less mean 1."""
    step_weight: Annotated[int, Field(ge=1, le=100)] | None = None
    """Raise by this much after each passing look."""
    max_weight: Annotated[int, Field(ge=1, le=100)] | None = None
    """Promote after this weight has passed; 100 unless given."""
    step_weights: Annotated[tuple[Percent, ...], Field(max_length=100)] | None = None
    """The weights to go through, rising."""
    step_weight_promotion: Percent | None = None
    """Promote in raises of this much, one an interval; 0 means one jump."""
    iterations: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Passing looks before promotion: blue/green, or A/B with `match`."""
    match: Matches | None = None
    """Requests that go to the canary while `iterations` last (A/B)."""
    mirror: bool | None = None
    """Copy requests to the canary: before the first weight, or while `iterations` last."""
    mirror_weight: Percent | None = None
    """Share of requests to copy, in per cent; 100 unless given."""
    steps: Annotated[tuple[StepSpec, ...], Field(max_length=100)] | None = None
    """The steps in full, instead of one of the short forms above."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=50)] | None = None
    """The checks of each look."""
    webhooks: Annotated[tuple[Webhook, ...], Field(max_length=50)] | None = None
    """Hooks in Flagger's form."""
    alerts: Annotated[tuple[Alert, ...], Field(max_length=50)] | None = None
    """Who is told."""
    session_affinity: SessionAffinity | None = None
    """Keep users on the version that they met."""
    primary_ready_threshold: Percent | None = None
    """Flagger's share of stable replicas that must be ready; read, and superseded by `capacity`."""
    canary_ready_threshold: Percent | None = None
    """Flagger's share of canary replicas that must be ready; read, and superseded by `capacity`."""
    judge: Literal["threshold"] | None = None
    """Who judges a look; `threshold` unless given."""
    reporter: Reporter | None = None
    """Which proxy's counters the builtins read (Istio): `auto` (default), `source`, `destination` or `waypoint`."""
    min_requests: Annotated[int, Field(ge=0)] | None = None
    """Requests that the canary must have served in a window before it is judged; 0 unless given."""
    deadline: Duration | None = None
    """The longest a rollout may take, pauses, gates and guards aside, before it is rolled back; 24h unless given."""
    on_no_data: Patience | None = None
    """What to do when metrics have no value."""
    on_unreachable: Patience | None = None
    """What to do when metrics can't be read."""
    settle: Duration | None = None
    """Evidence counts this long after new traffic is in place; two scrapes unless given."""
    scrape_interval: Duration | None = None
    """How often counters are read at their source; 15s for Prometheus and 1s for Envoy unless given."""
    unready_grace: Duration | None = None
    """How long the canary may have fewer replicas than its weight needs; 15s unless given."""
    capacity: Capacity | None = None
    """`require` (default): raise only when enough replicas are available; `ignore`: raise all the same."""
    drain: Duration | None = None
    """How long a version without weight is left running; 30s unless given."""
    on_drift: OnDrift | None = None
    """What to do when somebody else changed the route: `hold` (default), `reassert` or `rollback`."""

    def written(self) -> dict[str, Any]:
        """The fields that the author wrote, by Python name."""
        return {name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}
