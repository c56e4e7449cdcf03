"""The rules of one rollout, as its start has pinned them. `engine/policy.py` resolves them from what is written."""

from datetime import timedelta

from pydantic import Field

from .analysis import Capacity, OnDrift, Range, Reporter
from .duration import Duration
from .model import Model
from .plan import Answer


class MetricPolicy(Model):
    """One resolved check."""

    name: str
    """Name of the metric."""
    window: Duration
    """How far back a look reads."""
    range: Range = Range()
    """What passes."""
    query: str | None = None
    """PromQL template; absent for a builtin."""
    server: str | None = None
    """URL of the server that answers, where it isn't the usual one."""
    variables: dict[str, str] = Field(default_factory=dict)
    """What `{{ variables.x }}` stands for."""


class Limit(Model):
    """How long to bear something, resolved."""

    after: Duration
    """How long."""
    then: Answer = Answer.HOLD
    """What follows."""


class Policy(Model):
    """The rules of one rollout, resolved at its start and pinned: later edits are for the next rollout."""

    judge: str = "threshold"
    """Who judges."""
    interval: Duration = timedelta(minutes=1)
    """Time between looks."""
    threshold: int = 1
    """Failed checks that roll back."""
    metrics: tuple[MetricPolicy, ...] = ()
    """The checks of each look."""
    reporter: Reporter = Reporter.AUTO
    """Which proxy's counters the builtins read."""
    min_requests: int = 0
    """Requests in a window below which it isn't judged."""
    on_no_data: Limit = Limit(after=timedelta(minutes=5))
    """When metrics have no value."""
    on_unreachable: Limit = Limit(after=timedelta(minutes=5))
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
    drain: Duration = timedelta(seconds=30)
    """How long a version without weight is left running."""
    on_drift: OnDrift = OnDrift.HOLD
    """What to do about foreign edits."""
