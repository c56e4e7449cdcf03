"""The rules of one rollout, pinned at its start. `engine/policy_merge.py` resolves them from what is written."""

from datetime import timedelta

from pydantic import Field

from .analysis import Capacity, EventCounts, OnDrift, Range, Reporter
from .duration import Duration
from .model import Model
from .plan import Affinity, Answer
from .webhooks import Webhook


class PinnedProvider(Model):
    """Who answers a query, if not the Canary's own Prometheus without credentials of the template.

    The values of headers aren't here, because they may be credentials: they are read from the template.
    """

    type: str = "prometheus"
    """Type of the provider."""
    namespace: str = ""
    """Namespace of the template and of its Secret; empty for that of the Canary."""
    template: str = ""
    """Name of the MetricTemplate."""
    secret: str = ""
    """Name of its Secret; empty for none."""
    region: str = ""
    """Region of CloudWatch."""
    insecure: bool = False
    """Whether the server's certificate isn't verified."""


class MetricPolicy(Model):
    """One resolved check."""

    name: str
    """Name of the metric."""
    window: Duration
    """How far back an evaluation reads."""
    range: Range = Range()
    """The range that passes."""
    query: str | None = None
    """PromQL template; absent for a builtin."""
    counts: EventCounts | None = None
    """Counters instead of a query; absent for a builtin."""
    server: str | None = None
    """URL of the server that answers, where it isn't the usual one."""
    provider: PinnedProvider | None = None
    """What else is needed to ask it."""
    variables: dict[str, str] = Field(default_factory=dict)
    """What `{{ variables.x }}` stands for."""
    dry_run: bool | None = None
    """Whether it is only shown."""
    failure_limit: int | None = None
    """How often it may fail, if it is counted by itself."""
    consecutive_error_limit: int | None = None
    """How often in a row it may be unreadable."""
    weight: float | None = None
    """How much its evidence counts beside that of others, if not 1."""

    @property
    def own(self) -> bool:
        """Whether a query or counters of the user's own are asked for, and no builtin."""
        return self.query is not None or self.counts is not None


class Limit(Model):
    """How long to bear something, resolved."""

    after: Duration
    """How long."""
    then: Answer = Answer.ROLLBACK
    """What follows."""


class SequentialPolicy(Model):
    """Settings of the judge `sequential`, resolved."""

    false_rollback_rate: float = 0.01
    """The chance of a false rollback, 0 to 1."""
    min_effect: float = 1.5
    """From this ratio of error rates on, the canary is worse."""
    success_rate: float | None = None
    """The objective, in per cent."""
    quantile: float = 99.0
    """The share of requests that is to be answered within `slowest`, in per cent."""
    slowest: float | None = None
    """The objective of latency in milliseconds."""
    warmup: Duration = timedelta(minutes=1)
    """How long latency doesn't count at first."""
    on_inconclusive: Limit = Limit(after=timedelta(hours=1), then=Answer.HOLD)
    """When a step gets no verdict."""


class Policy(Model):
    """The rules of one rollout, resolved at its start and pinned: later edits are for the next rollout."""

    judge: str = "threshold"
    """Who judges."""
    sequential: SequentialPolicy | None = None
    """The settings of the judge `sequential`; absent for another."""
    interval: Duration = timedelta(minutes=1)
    """Time between evaluations."""
    threshold: int = 1
    """Failed checks that roll back."""
    metrics: tuple[MetricPolicy, ...] = ()
    """The checks of each evaluation."""
    reporter: Reporter = Reporter.AUTO
    """Which proxy's counters the builtins read."""
    min_requests: int = 0
    """Requests in a window below which it isn't judged."""
    on_no_data: Limit = Limit(after=timedelta(minutes=15))
    """When metrics have no value."""
    on_unreachable: Limit = Limit(after=timedelta(minutes=15))
    """When metrics can't be read."""
    deadline: Duration = timedelta(hours=24)
    """The longest a rollout may take."""
    ready_deadline: Duration = timedelta(minutes=10)
    """The longest that step 0 may wait for the canary to become available."""
    settle: Duration = timedelta(seconds=30)
    """How long new traffic settles."""
    scrape_interval: Duration = timedelta(seconds=15)
    """How often counters are read."""
    lag: Duration = timedelta()
    """How far behind the clock evidence is complete."""
    unready_grace: Duration = timedelta(seconds=15)
    """How long the canary may be short of replicas."""
    capacity: Capacity = Capacity.REQUIRE
    """Whether raises wait for replicas."""
    canary_replicas: str = "full"
    """Replicas of the canary of a target with a primary: `full`, `matchWeight` or a number."""
    canary_ready: int | None = None
    """Per cent of these that an increase needs beside those of its weight."""
    primary_ready: int | None = None
    """Per cent of the primary's replicas that an increase and a promotion need."""
    drain: Duration = timedelta(seconds=30)
    """How long a version without weight is left running."""
    on_drift: OnDrift = OnDrift.HOLD
    """What to do about foreign edits."""
    affinity: Affinity | None = None
    """Cookies that keep users on the version that they met; each rollout gives them a value."""
    webhooks: tuple[Webhook, ...] = ()
    """Hooks that gate, check or roll back."""
