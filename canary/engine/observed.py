"""What one tick saw. A read that failed is a `Missing` in its place: never an exception, never a zero.

`rollout/gather.py` fills these; `situation.py` folds them together with spec and status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from canary.api.action import CanaryAction
from canary.api.analysis import Reporter
from canary.api.plan import Traffic
from canary.api.status import Status, Version


class Kind(StrEnum):
    """Why something is missing."""

    EMPTY = "no data"
    """Asked and answered: there is no such series, or no request in the window."""
    NAN = "not a number"
    NOT_YET = "not enough history yet"
    """The source has not watched for the whole window."""
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
        return self not in (Kind.EMPTY, Kind.NAN, Kind.NOT_YET, Kind.ABSENT)

    @property
    def passing(self) -> bool:
        """True where nothing was learned only because the way there is cut: it comes back by itself."""
        return self in (Kind.REFUSED, Kind.TIMED_OUT, Kind.UNAVAILABLE, Kind.RUBBISH, Kind.PARTIAL)


GONE = frozenset({Kind.ABSENT, Kind.DENIED})
"""What doesn't come back unless somebody brings it."""


@dataclass(frozen=True)
class Missing:
    """In place of something that could not be read."""

    kind: Kind
    detail: str = ""
    """For a person; never holds a secret."""

    def __str__(self) -> str:
        told = self.detail and self.detail != self.kind.value
        return f"{self.kind.value} ({self.detail})" if told else self.kind.value


@dataclass(frozen=True)
class Subject:
    """Whose requests: a workload in Istio's metrics, a cluster in Envoy's."""

    workload: str
    namespace: str = ""
    host: str = ""
    """The service that its requests are sent to, by its full name; empty where metrics know none."""
    alone: bool = False
    """Whether requests to the host that reached no pod were meant for it; else nobody knows for whom."""
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
    """

    metric: str
    window: timedelta
    subject: Subject
    shape: Shape = Shape.VALUE
    text: str | None = None
    server: str | None = None
    names: tuple[tuple[str, str], ...] = ()
    """What the template's functions stand for: (name, value), `variables.x` among them."""
    edges: tuple[float, ...] = ()
    """For counts: also count the requests slower than each of these, in milliseconds."""


@dataclass(frozen=True)
class Value:
    """One number: per cent for request-success-rate, milliseconds for request-duration."""

    value: float
    unattributed: int = 0
    """Requests to the subject's host that reached no pod, and were meant for nobody knows whom: not in the value."""


@dataclass(frozen=True)
class Counts:
    """Whole requests in a window: exact differences of counters, resets taken into account."""

    total: int
    bad: int
    slower: tuple[tuple[float, int], ...] = ()
    """(edge in milliseconds, requests slower than it)."""
    unattributed: int = 0
    """As in Value: not in the counts."""


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
    """Versions that requests can be sent to at all; None where that can't be told."""
    unmoved: tuple[str, ...] = ()
    """Routes that reach the canary without us (single users and the like)."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """The service behind each of the pair, by its full name, as metrics know it; empty where they know none."""
    rejected: str | None = None
    """The proxy's words, where it refused what was written last and still serves what it had."""

    @property
    def standings(self) -> tuple[Traffic, ...]:
        """The states in which the routes stand, as far as they are states at all."""
        return self.partly if self.traffic is None else (self.traffic,)


@dataclass(frozen=True)
class WorkloadSeen:
    """What runs behind a version."""

    name: str
    replicas: int
    """Wanted replicas."""
    available: int
    """Replicas that can answer, of the pinned revision."""
    revision: str = ""
    others: int = 0
    """Pods of another revision that still serve in this version."""
    stuck: str | None = None
    """Why it will not get ready by itself, such as ProgressDeadlineExceeded."""


@dataclass(frozen=True)
class Observed:
    """Everything that one tick saw. What the phase doesn't need is left at its default."""

    wanted: Version | Missing = field(default_factory=lambda: Missing(Kind.NOT_YET, "not asked"))
    """The version that shall serve, with the revision that is behind it right now."""
    route: RouteSeen | Missing = field(default_factory=lambda: Missing(Kind.NOT_YET, "not asked"))
    stable: WorkloadSeen | Missing = field(default_factory=lambda: Missing(Kind.NOT_YET, "not asked"))
    canary: WorkloadSeen | Missing = field(default_factory=lambda: Missing(Kind.NOT_YET, "not asked"))
    samples: Mapping[Query, Sample] = field(default_factory=dict)
    actions: tuple[CanaryAction, ...] = ()
    fresh: bool = False
    """No earlier tick of this process has seen the route."""


@dataclass(frozen=True)
class Stored:
    """A status, and what a later save must find unchanged."""

    status: Status
    version: str
