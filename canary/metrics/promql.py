"""Where providers keep the counters of builtins, how PromQL is written, and templates with their words filled in.

`growth.py` writes the builtins' expressions, `merging.py` decides what is asked together, and `answers.py` reads the
rows that come back.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from canary.api.analysis import Reporter
from canary.engine.errors import Invalid
from canary.engine.nearest import did_you_mean
from canary.engine.observed import Query, Shape
from canary.engine.templates import render

LOOKBACK = timedelta(hours=1)
"""How far before a window the last sample of a series is looked for. A target that was down for longer is new."""
SIDES = (Reporter.DESTINATION, Reporter.WAYPOINT, Reporter.SOURCE)
"""Who reports a request, in the order in which `auto` believes them: who stands nearest to the pod comes first."""
SENDERS = SIDES[1:]
"""Who reports requests that reached no pod, in the same order."""
NOWHERE = "unknown"
"""What Istio calls the workload of a request that was sent to no pod."""
WINDOW = "canary_window"
"""The label that tells apart rows of several windows; rows have no others but those that they are grouped by."""
MILLISECOND = timedelta(milliseconds=1)
"""The least that PromQL tells apart."""
STRANDED = ("DF", "FI", "NC", "NR", "UF", "UH", "UO")
"""Envoy's response flags of requests that reached no pod: no address, aborted by a fault, no cluster, no route,
no connection, no healthy endpoint, circuit breaker open. `UF,URX` is one as well."""
SERVER_ERRORS = frozenset(("2", "4", "12", "13", "14", "15"))
"""gRPC codes that are HTTP 5xx in gRPC's own mapping (and Envoy's): UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED,
INTERNAL, UNAVAILABLE, DATA_LOSS. NOT_FOUND and its like are 4xx there, and no failures."""

_SUCCESS, _DURATION, _REQUESTS = "request-success-rate", "request-duration", "requests"
_META = frozenset(r"\.+*?()|[]{}^$")


class Part(StrEnum):
    """The two families of counters that builtins are made of."""

    CODES = "requests by response code"
    TIMES = "requests by duration"
    STRANDED = "requests that reached no pod"
    """Counted by response code as well, by whoever sent them; known by the host that they were sent to."""


@dataclass(frozen=True)
class Table:
    """Where a provider keeps the counters, and by which labels they are told apart.

    One without `host` counts what reached no pod among all others.
    """

    metrics: Mapping[Part, str]
    workload: str
    codes: tuple[str, ...]
    failed: Callable[[Mapping[str, str]], bool]
    """Whether requests with these labels count as failed."""
    namespace: str | None = None
    reporter: str | None = None
    host: str | None = None
    flags: str | None = None
    """Envoy's response flags."""
    cut_at: str = ""
    """Where the provider's own metrics end a workload's name."""

    def names(self, part: Part) -> tuple[str, ...]:
        """The labels that rows of this part are grouped by. Only rows of the stranded have a host."""
        if part is Part.STRANDED:
            return (self.reporter or "", self.host or "", self.workload, *self.codes)
        whose = [label for label in (self.reporter, self.namespace) if label is not None]
        return (*whose, self.workload, *(self.codes if part is Part.CODES else ("le",)))


def _failed_in_istio(labels: Mapping[str, str]) -> bool:
    """5xx, 0 (the connection went away before there was a response), or a gRPC status that means the same."""
    code = labels.get("response_code", "")
    return code.startswith("5") or code == "0" or labels.get("grpc_response_status", "") in SERVER_ERRORS


def _failed_in_envoy(labels: Mapping[str, str]) -> bool:
    return labels.get("envoy_response_code_class") == "5"


PROVIDERS: Mapping[str, Table] = {
    # https://istio.io/latest/docs/reference/config/metrics/
    "istio": Table(
        {
            Part.CODES: "istio_requests_total",
            Part.TIMES: "istio_request_duration_milliseconds_bucket",
            Part.STRANDED: "istio_requests_total",
        },
        workload="destination_workload",
        codes=("response_code", "grpc_response_status"),
        failed=_failed_in_istio,
        namespace="destination_workload_namespace",
        reporter="reporter",
        host="destination_service",
        flags="response_flags",
    ),
    # https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats
    # upstream_rq_xx holds all requests once; external.* and internal.* say the same again, by origin.
    "envoy": Table(
        {Part.CODES: "envoy_cluster_upstream_rq_xx", Part.TIMES: "envoy_cluster_upstream_rq_time_bucket"},
        workload="envoy_cluster_name",
        codes=("envoy_response_code_class",),
        failed=_failed_in_envoy,
        cut_at=".",  # a cluster `v2.blue` is envoy_cluster_blue_upstream_rq_xx{envoy_cluster_name="v2"}
    ),
}


@dataclass(frozen=True)
class Dialect:
    """How builtins are asked for: whose metrics, and how far back a series' last sample is looked for."""

    provider: str = "istio"
    lookback: timedelta = LOOKBACK

    def __post_init__(self) -> None:
        if self.provider not in PROVIDERS:
            hint = did_you_mean(self.provider, PROVIDERS) or f"; there are {', '.join(PROVIDERS)}"
            raise Invalid(f"{self.provider!r} is no provider of metrics{hint}")

    @property
    def table(self) -> Table:
        """The provider's counters."""
        return PROVIDERS[self.provider]


def sides(reporter: Reporter) -> tuple[Reporter, ...]:
    """Who is believed, one after the other."""
    return SIDES if reporter is Reporter.AUTO else (reporter,)


def parts(query: Query, table: Table) -> tuple[Part, ...]:
    """What a builtin is made of. Raises Invalid for a name that isn't a builtin's."""
    if query.metric not in (_SUCCESS, _DURATION, _REQUESTS):
        hint = did_you_mean(query.metric, (_SUCCESS, _DURATION))
        raise Invalid(f"{query.metric!r} is no builtin and has no query{hint}")
    if query.shape is Shape.VALUE and query.metric == _DURATION:
        return (Part.TIMES,)
    times = (Part.TIMES,) if query.edges and query.shape is Shape.COUNTS else ()
    senders = set(sides(query.subject.reporter)) & set(SENDERS)
    stranded = (Part.STRANDED,) if table.host and query.subject.host and senders else ()
    return (Part.CODES, *times, *stranded)


def custom(query: Query) -> str:
    """The template of a query with its words filled in. Raises Invalid for an unknown word."""
    names = dict(query.names)
    names |= {"target": query.subject.workload, "interval": duration(query.window)}
    names |= {"namespace": query.subject.namespace} if query.subject.namespace else {}
    return render(query.text or "", names)


def duration(window: timedelta) -> str:
    """`1m`, `1h30m`, `5s500ms`: as Go writes durations, but in whole units, as PromQL wants them.

    Raises Invalid for less than a millisecond.
    """
    rest = window // MILLISECOND
    if rest <= 0:
        raise Invalid("the window is empty")
    written = ""
    for unit, length in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, length)
        written += f"{count}{unit}" if count else ""
    return written


def any_of(names: Iterable[str]) -> str:
    """A quoted regular expression that matches exactly these names.

    Neither re.escape nor one backslash would do: PromQL's strings take backslashes for themselves.
    """
    escaped = ("".join(f"\\{char}" if char in _META else char for char in name) for name in sorted(set(names)))
    return quoted("|".join(escaped))


def quoted(text: str) -> str:
    """A string literal of PromQL."""
    return '"' + text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'
