"""What one reconcile saw. A read that failed is a `Missing` in its place: never an exception, never a zero.

`rollout/reconcile.py` fills these; `situation.py` folds them together with spec and status.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from operator import itemgetter
from typing import Any

from canary.api.action import CanaryAction
from canary.api.analysis import Reporter
from canary.api.pinned import PinnedProvider
from canary.api.plan import Traffic
from canary.api.status import Status, Unmoved, Version
from canary.api.webhooks import HookRequest


class Cause(StrEnum):
    """Why something is missing."""

    EMPTY = "no data"
    """Asked and answered: there is no such series, or no request in the window."""
    NAN = "not a number"
    NOT_YET = "not known yet"
    """The source has not watched for the whole window, or has not seen the last change."""
    REFUSED = "connection refused"
    TIMED_OUT = "timed out"
    UNAVAILABLE = "unavailable"
    """The server answered 5xx."""
    DENIED = "access denied"
    RUBBISH = "not an answer"
    """HTML where JSON was due, or a shape that isn't the server's."""
    PARTIAL = "partial answer"
    INVALID = "refused the question"
    """The server understood the request, and says that the query is wrong or too large."""
    ABSENT = "not there"
    """The object itself doesn't exist."""

    @property
    def unreachable(self) -> bool:
        """True when nothing trustworthy was learned, false when the answer was that there is nothing."""
        return self not in (Cause.EMPTY, Cause.NAN, Cause.NOT_YET, Cause.ABSENT)

    @property
    def passing(self) -> bool:
        """True where nothing was learned only because the way there is cut: it comes back by itself."""
        return self in (Cause.REFUSED, Cause.TIMED_OUT, Cause.UNAVAILABLE, Cause.RUBBISH, Cause.PARTIAL)


GONE = frozenset({Cause.ABSENT, Cause.DENIED})
"""Causes that don't end without a user."""


@dataclass(frozen=True)
class Missing:
    """In place of something that could not be read."""

    cause: Cause
    detail: str = ""
    """For a person; never holds a secret."""

    def __str__(self) -> str:
        more = self.detail and self.detail != self.cause.value
        return f"{self.cause.value} ({self.detail})" if more else self.cause.value


@dataclass(frozen=True)
class Subject:
    """Whose requests: a workload in Istio's metrics, a cluster in Envoy's."""

    workload: str
    namespace: str = ""
    host: str = ""
    """The service that its requests are sent to, by its full name; empty where metrics know none."""
    alone: bool = False
    """Whether requests to the host that reached no pod count for it; else they count for no version."""
    reporter: Reporter = Reporter.AUTO
    """Whose counters are believed."""


class Shape(StrEnum):
    """What a query's answer looks like."""

    VALUE = "value"
    """One number."""
    COUNTS = "counts"
    """Whole requests, on windows that tile."""


@dataclass(frozen=True)
class Query:
    """A question to a source of metrics; PromQL is made of it in `canary/metrics`.

    `text` is None for a builtin, which `metric` then names; else a PromQL template.

    For counts, windows tile where each begins at the end of the one before: then every request is in one of them.
    After a Missing the next window begins where that one did, and nothing is lost.
    """

    metric: str
    window: timedelta
    subject: Subject
    shape: Shape = Shape.VALUE
    text: str | None = None
    bad: str | None = None
    """For counts of a template: the counters of bad events, as `text` has those of all; no function around them."""
    server: str | None = None
    provider: PinnedProvider | None = None
    """Who answers, if not a Prometheus without credentials of a template."""
    names: tuple[tuple[str, str], ...] = ()
    """What the template's functions stand for: (name, value), `variables.x` among them."""
    edges: tuple[float, ...] = ()
    """For counts: also count the requests slower than each of these, in milliseconds. Where the durations are
    missing the answer is a Missing, so a query without edges belongs beside it; what both need is read once."""


@dataclass(frozen=True)
class Value:
    """One number: per cent for request-success-rate, milliseconds for request-duration."""

    value: float
    unattributed: int = 0
    """Requests to the subject's host that reached no pod and count for no version: not in the value."""


@dataclass(frozen=True)
class Counts:
    """Whole requests in a window: exact differences of counters, resets taken into account.

    Without a request it is zeros; where nothing was scraped it is no Counts but a Missing.
    """

    total: int
    bad: int
    """At most `total`."""
    slower: tuple[tuple[float, int], ...] = ()
    """(edge in milliseconds, requests slower than it), at edges that the histogram has, rising. A histogram that
    lacks an asked edge has its two neighbours here, or all, as a native one: ask `slower_than`, `surely_slower` and
    `possibly_slower`. Canary and stable may have different histograms, and so different edges."""
    unattributed: int = 0
    """As in Value: not in the counts."""
    timed: int = 0
    """Requests with a known duration, of which `slower` are some; 0 unless edges were asked. Not always `total`:
    Envoy counts a request earlier than its duration, and one that reached no pod has none."""
    native: bool = field(default=False, compare=False)
    """Whether edges without a request near them are left out of `slower`, as native histograms do it."""
    snapshots: tuple[datetime, datetime] | None = field(default=None, compare=False)
    """When the source was read at the window's start and at its end. Counts of two subjects with the same snapshots
    are of the same moments. None where a source, such as Prometheus, reads its subjects at moments of their own."""

    def surely_slower(self, edge: float) -> int:
        """At least so many took longer than `edge` ms: those beyond the next edge up, none beyond the highest."""
        above = bisect_left(self.slower, edge, key=itemgetter(0))
        return self.slower[above][1] if above < len(self.slower) else 0

    def possibly_slower(self, edge: float) -> int:
        """At most so many took longer than `edge` ms: those beyond the next edge down, all below the lowest."""
        above = bisect_right(self.slower, edge, key=itemgetter(0))
        return self.slower[above - 1][1] if above else self.timed

    def slower_than(self, edge: float) -> int | None:
        """How many took longer than `edge` ms, where that is known: at an edge that the histogram has, and between
        two edges that no request is between."""
        least, most = self.surely_slower(edge), self.possibly_slower(edge)
        return least if least == most else None

    def coarser(self, other: "Counts") -> bool:
        """Whether one of the other's edges is inside of a bucket of this one that has requests."""
        edges = [edge for edge, _ in other.slower]
        return any(
            beyond > rest and bisect_right(edges, lower) < bisect_left(edges, upper)
            for (lower, beyond), (upper, rest) in pairwise(self.slower)
        )


Sample = Value | Counts | Missing


@dataclass(frozen=True)
class RouteSeen:
    """The route as the proxy has loaded it, not as a file or an object says it should be."""

    token: str
    """The precondition of a write: what was read must still be there."""
    shares: Mapping[str, float]
    """Per cent of requests by version, of those that name no single users; the pair's and third ones."""
    traffic: Traffic | None
    """Relative to the pair that was asked about; None where the routes disagree among each other,
    or where neither of the pair carries weight."""
    described: str = ""
    """The state in words, where `traffic` is None."""
    partly: tuple[Traffic, ...] = ()
    """Where the routes disagree, and each is in a state that could have been asked for: those states. A write
    that reached some of them only looks like this."""
    destinations: frozenset[str] | None = None
    """Versions that requests can be sent to at all; None if that isn't known."""
    unmoved: tuple[Unmoved, ...] = ()
    """What reaches one of the pair, or all versions, and isn't ours to move: routes for single users, routes outside
    of the scope, a user's mirrors; and third versions' shares."""
    mixed: bool = False
    """Whether routes to other services stand among `unmoved`, because stable isn't known and versions are hosts or
    clusters."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """The service behind each of the pair, by its full name, as metrics know it; empty where they know none."""
    rejected: str | None = None
    """The proxy's words, where it refused what was written last and still serves what it had."""

    @property
    def leads_away(self) -> bool:
        """Whether neither of the pair has a route at all."""
        return self.traffic is None and not self.shares

    @property
    def standings(self) -> tuple[Traffic, ...]:
        """The states in which the routes stand, as far as they are states at all."""
        return self.partly if self.traffic is None else (self.traffic,)


@dataclass(frozen=True)
class PodsRefused:
    """Kubernetes refuses to make a workload's pods: a quota, an admission policy, a service account that is gone."""

    since: datetime
    """By the cluster's clock."""
    why: str


@dataclass(frozen=True)
class WorkloadSeen:
    """What runs behind a version."""

    name: str
    replicas: int
    """Desired replicas."""
    available: int
    """Replicas that can answer, of the pinned revision."""
    revision: str = ""
    others: int = 0
    """Pods of another revision that still serve in this version."""
    stuck: str | None = None
    """Why it will not get ready by itself, such as ProgressDeadlineExceeded."""
    refused: PodsRefused | None = None
    """Kubernetes may count no deadline while it makes no pod, so how long this lasts decides as well."""
    images: tuple[str, ...] = ()
    """Container images of its newest revision."""
    silent: bool = False
    """Its controller never says that it is stuck."""
    nodes: bool = False
    """It has a replica on each of its nodes; their number is not chosen here."""
    diverted: str = ""
    """The Service of clients, where it doesn't select these pods any more."""
    unjudged: str = ""
    """Its newest build, where the revision names another one."""

    @property
    def explanation(self) -> str:
        """Why it isn't ready, as far as Kubernetes says so."""
        return self.stuck or (f"its pods are refused: {self.refused.why}" if self.refused else "")


@dataclass(frozen=True)
class PrimarySeen:
    """What is there of a target's primary, its Services and its routes."""

    revision: str
    """The target's revision whose template the primary has; empty where there is no primary."""
    missing: tuple[str, ...] = ()
    """Objects that are missing or not as they must be, such as `Service podinfo-canary`."""
    wrong: str = ""
    """Why it can't be made, in a sentence."""
    ours: tuple[str, ...] = ()
    """Objects that canary made or adopted for it, as far as they are still there."""
    returned: bool = False
    """Nothing routes to the primary any more, or there is no target to return to."""
    build: str = ""
    """The target's build whose pods the canary's Service selects; empty where it selects those of any."""


@dataclass(frozen=True)
class HookCall:
    """One call of a hook, to be made once however often it is asked for."""

    id: str
    """What tells the calls of one Canary apart, also across a restart."""
    request: HookRequest = field(compare=False)
    payload: Mapping[str, Any] = field(compare=False)
    """What is posted, as JSON."""
    urgent: frozenset[bool] = field(default=frozenset(), compare=False)
    """Answers that a reconcile should see at once: passed, not passed, or both. Others wait for the next one."""
    decides: bool = field(default=False, compare=False)
    """Whether the answer is the decision of a policy, in JSON, rather than a status code."""


@dataclass(frozen=True)
class HookAnswer:
    """What a call led to."""

    passed: bool
    detail: str = ""
    """The status code, or why there was none; never holds a secret."""


@dataclass(frozen=True)
class Observed:
    """Everything that one reconcile saw. What the phase doesn't need is left at its default."""

    desired_version: Version | Missing = field(default_factory=lambda: Missing(Cause.NOT_YET, "not asked"))
    """The desired version, with its present revision."""
    route: RouteSeen | Missing = field(default_factory=lambda: Missing(Cause.NOT_YET, "not asked"))
    stable_workload: WorkloadSeen | Missing = field(default_factory=lambda: Missing(Cause.NOT_YET, "not asked"))
    canary_workload: WorkloadSeen | Missing = field(default_factory=lambda: Missing(Cause.NOT_YET, "not asked"))
    samples: Mapping[Query, Sample] = field(default_factory=dict)
    actions: tuple[CanaryAction, ...] = ()
    fresh: bool = False
    """No earlier reconcile of this process has seen the route."""
    primary: PrimarySeen | Missing = field(default_factory=lambda: Missing(Cause.NOT_YET, "not asked"))
    hooks: Mapping[str, HookAnswer] = field(default_factory=dict)
    """Answers of hooks, by the id of the call; what isn't answered yet is not in it."""


@dataclass(frozen=True)
class Stored:
    """A status, and what a later save must find unchanged."""

    status: Status
    version: str
    at: datetime | None = field(default=None, compare=False)
    """When it was saved, where the store can tell."""
