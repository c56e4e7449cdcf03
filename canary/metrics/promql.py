"""Where providers keep the counters of builtins, how PromQL is written, and templates with their words filled in.

`batching.py` decides what is asked together, and `answers.py` reads the rows that come back.

Counts are differences of counters, exact and on windows that tile, instead of `rate()` or `increase()`: those
extrapolate, and don't see what a series counted before its first sample (a new pod's failures, the first 503).
The form is argued for in docs/metrics.md, part by part.

What a new series counted takes `up` to know: one series for each target of a cluster, read an hour back for each part
and window. So the first question leaves that out, and `NEW` marks the rows for which it must be asked again.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from canary.api.analysis import Reporter
from canary.engine.did_you_mean import did_you_mean
from canary.engine.errors import Invalid
from canary.engine.observed import Query, Shape, Subject
from canary.engine.query_templates import render

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
    """Counted by response code as well, by any sender; known by the host that they were sent to."""
    NATIVE = "requests by duration, in native histograms"
    """Asked for where there are no buckets to be had for TIMES."""


@dataclass(frozen=True)
class Table:
    """Where a provider keeps the counters, and the labels that distinguish them.

    One without `host` counts what reached no pod among all others.
    """

    metrics: Mapping[Part, str]
    workload: str
    codes: tuple[str, ...]
    failed: Callable[[Mapping[str, str]], bool]
    """Whether requests with these labels count as failed."""
    lacks: Callable[[Mapping[str, str]], str]
    """The label that is missing to judge requests with these labels; empty if none is."""
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
        beside = {Part.CODES: self.codes, Part.TIMES: ("le",)}
        return (*whose, self.workload, *beside.get(part, ()))

    def metric(self, part: Part) -> str:
        """The name of the part's counters; a native histogram's is that of its buckets without their suffix."""
        return self.metrics[Part.TIMES].removesuffix("_bucket") if part is Part.NATIVE else self.metrics[part]


def _failed_in_istio(labels: Mapping[str, str]) -> bool:
    """5xx, 0 (the connection went away before there was a response), or a gRPC status that means the same."""
    code = labels.get("response_code", "")
    return code.startswith("5") or code == "0" or labels.get("grpc_response_status", "") in SERVER_ERRORS


def _lacks_in_istio(labels: Mapping[str, str]) -> str:
    """Envoy derives a missing gRPC status from the response code, so that only requests without a response have none:
    https://github.com/envoyproxy/envoy/blob/main/source/common/grpc/common.cc, getGrpcStatus.
    """
    if not labels.get("response_code", "")[:1].isdigit():
        return "response_code"
    status = labels.get("grpc_response_status", "")
    called = labels.get("request_protocol") == "grpc" and not _failed_in_istio(labels)
    return "grpc_response_status" if called and not status.isdigit() else ""


def _failed_in_envoy(labels: Mapping[str, str]) -> bool:
    return labels.get("envoy_response_code_class") == "5"


def _lacks_in_envoy(labels: Mapping[str, str]) -> str:
    known = labels.get("envoy_response_code_class", "")[:1].isdigit()
    return "" if known else "envoy_response_code_class"


PROVIDERS: Mapping[str, Table] = {
    # https://istio.io/latest/docs/reference/config/metrics/
    "istio": Table(
        {
            Part.CODES: "istio_requests_total",
            Part.TIMES: "istio_request_duration_milliseconds_bucket",
            Part.STRANDED: "istio_requests_total",
        },
        workload="destination_workload",
        codes=("request_protocol", "response_code", "grpc_response_status"),
        failed=_failed_in_istio,
        lacks=_lacks_in_istio,
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
        lacks=_lacks_in_envoy,
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
    return filled(query, query.text or "")


def filled(query: Query, text: str) -> str:
    """A template with the query's words filled in. Raises Invalid for an unknown word."""
    names = dict(query.names)
    names |= {"target": query.subject.workload, "interval": duration(query.window)}
    names |= {"namespace": query.subject.namespace} if query.subject.namespace else {}
    return render(text, names)


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


NEW = -math.inf
"""The value of a row to which new series belong, where they weren't judged."""
START, END = "native start", "native end"
"""What stands in `le` of the rows that have native histograms: as they were at the window's start, and at its end."""


def builtin(
    dialect: Dialect, wanted: Iterable[Part], subjects: Iterable[Subject], window: timedelta, *, new: bool = True
) -> str:
    """One expression with the rows of all parts for all subjects: exact differences over the window.

    Unless `new` series are judged, rows that have any are `NEW`.
    """
    subjects, table = tuple(subjects), dialect.table
    arrived, stranded = _matchers(table, subjects), _stranded(table, subjects)
    selected = {part: _selection(table, part, stranded if part is Part.STRANDED else arrived) for part in wanted}
    return " or ".join(
        native(one, _selection(table, Part.TIMES, arrived), window, dialect.lookback)
        if part is Part.NATIVE
        else _marked(part, _grown(one, window, dialect.lookback, new=new))
        for part, one in selected.items()
    )


def difference(selector: str, window: timedelta, lookback: timedelta, *, new: bool) -> str:
    """The same for any counters: one row, the sum over all series of a selector."""
    return _grown(Selection(selector, selector, "sum", joined=""), window, lookback, new=new)


def _marked(part: Part, text: str) -> str:
    """The rows of buckets, and `le="none"` on those that have no `le`: they would look like rows by code.

    The matcher `le!=""` would leave them out as well, but it reads the index of all histograms of the server.
    """
    return _with_le(text, "none") if part is Part.TIMES else text


def _with_le(text: str, le: str) -> str:
    """The rows, those that have no `le` with this one."""
    return f'label_replace({text}, "le", "{le}", "le", "")'


def together(windows: Iterable[tuple[timedelta, str]]) -> str:
    """One expression for those of several windows, whose rows then bear the window that they are for."""
    return " or ".join(f'label_replace({text}, "{WINDOW}", "{duration(one)}", "", "")' for one, text in windows)


@dataclass(frozen=True)
class Selection:
    """Counters, and how their differences are added up."""

    x: str
    """The selector."""
    whole: str
    """The selector of those that show whether a process was restarted; for a histogram its count."""
    by: str
    """The aggregation."""
    joined: str = " ignoring (le)"
    """How a series of `x` finds its `whole`."""


def _grown(one: Selection, window: timedelta, lookback: timedelta, *, new: bool) -> str:
    return (growth if new else known)(one, window, lookback)


def growth(one: Selection, window: timedelta, lookback: timedelta) -> str:
    """By how much the selected counters grew in the window, added up by the part's labels.

    A series without a sample in the window has no share. From the last sample in the window is taken what stood
    at its start; `whole` is what that is decided on (for a histogram its count, as buckets are reset together):

    - before: the last sample before the window; nothing of it if the counter was reset since
    - began: 0 for a new series, if its job was watched before the window, and its target wasn't there in vain.
      A job is watched when one of its targets was scraped three times: then each was scraped once, even if the
      look-back begins between two of them. In vain is a target that is listed as long as any, and never answered
    - later: 0 for a new series that the first scrape of its target in the window didn't have yet
    - alone: 0 for a new series whose job has no `up` at all, if others of the selection were there before
    - else the lowest sample in the window: a Prometheus that begins to watch can't know when a counter grew
    """
    start_known = _start_known(one, window, lookback)
    first = f"min_over_time({one.x}[{duration(window)}]) unless{one.joined} ({start_known})"
    return _less(one, window, lookback, first)


def native(one: Selection, classic: Selection, window: timedelta, lookback: timedelta) -> str:
    """The sums of native histograms at the window's end, and those at its start: `native.py` takes the differences.

    The start of a series is as in `growth`, but for the last line, as PromQL has no lowest histogram: a new series
    that isn't known to begin with 0 starts from its last sample in the window, so nothing of it counts. The same
    holds for one that had `classic` buckets before the window: it began when these were converted.
    Both sums are of the same series, so an answer without the start of some can't count what they had before.
    A reset is what Prometheus calls one: it compares each sample with the one before. A reset between the window's
    start and its end is one that the look-back with the window has, and the look-back alone hasn't.
    """
    i, back, before = duration(window), duration(lookback), _before(one, window, lookback)
    last = f"last_over_time({one.x}[{i}])"
    whole = f"resets({one.x}[{duration(lookback + window)}]) == resets({one.x}[{back}] offset {i})"
    converted = _before(classic, window, lookback)
    start_known = f"({_start_known(one, window, lookback)}) unless ignoring (le) {converted}"
    first = f"{last} unless ({start_known} or {before})"
    start = f"{one.by} (({before} and ({whole}) and {last}) or ({first}) or {last} * 0)"
    return f"{_with_le(f'{one.by} ({last})', END)} or {_with_le(start, START)}"


def _start_known(one: Selection, window: timedelta, lookback: timedelta) -> str:
    """The series of which something is known about the window's start: what they had counted, or that it was 0."""
    whole, before = one.whole, _before(one, window, lookback)
    i, back = duration(window), duration(lookback)
    now = f"last_over_time({whole}[{i}])"
    listed = f"count_over_time(up[{back}] offset {i})"
    watched = f"max by (job) ({listed})"
    ever = f"{listed} >= on (job) group_left () ({watched} - 1)"
    in_vain = f"(max_over_time(up[{back}] offset {i}) == 0) and on (job, instance) ({ever})"
    began = f"({now} unless on (job, instance) ({in_vain})) and on (job) ({watched} >= 3)"
    scrapes = f"min by (job, instance) (sum_over_time(up[{i}]))"
    later = f"count_over_time({whole}[{i}]) < on (job, instance) group_left () {scrapes}"
    alone = f"({now} and on () count({before})) unless on (job) up"
    return f"{before} or ({began}) or {later} or ({alone})"


def known(one: Selection, window: timedelta, lookback: timedelta) -> str:
    """`growth` of all series that were there before; rows that have others are `NEW`."""
    before = _before(one, window, lookback)
    new = f"(min_over_time({one.x}[{duration(window)}]) unless{one.joined} {before}) + Inf"
    return _less(one, window, lookback, new)


def _selection(table: Table, part: Part, selected: str) -> Selection:
    metric, by = table.metric(part), f"sum by ({', '.join(table.names(part))})"
    counters = f"{metric}{{{selected}}}"
    if part is Part.TIMES:
        return Selection(counters, f'{metric}{{{selected}, le="+Inf"}}', by)
    return Selection(counters, counters, by)


def _before(one: Selection, window: timedelta, lookback: timedelta) -> str:
    return f"last_over_time({one.whole}[{duration(lookback)}] offset {duration(window)})"


def _less(one: Selection, window: timedelta, lookback: timedelta, first: str) -> str:
    """The sums at the window's end, less those at its start: of series seen before it, and `first` of new ones."""
    i, before = duration(window), _before(one, window, lookback)
    kept = f"(min_over_time({one.whole}[{i}]) >= bool {before}) * (resets({one.whole}[{i}]) == bool 0)"
    several = " group_left ()" if one.joined else ""
    stood = f"last_over_time({one.x}[{duration(lookback)}] offset {i}) *{one.joined}{several} ({kept})"
    last = f"{one.by} (last_over_time({one.x}[{i}]))"
    return f"({last} - ({one.by} ({stood} or ({first})) or {last} * 0))"


def _stranded(table: Table, subjects: tuple[Subject, ...]) -> str:
    """To the hosts of the subjects, and sent to no pod at all, or to one of theirs that couldn't be connected to."""
    known = [subject for subject in subjects if subject.host]
    senders = {side for subject in known for side in sides(subject.reporter)} & set(SENDERS)
    flags = quoted(f"(.+,)?({'|'.join(STRANDED)})(,.+)?")
    return ", ".join(
        (
            f"{table.reporter}=~{any_of(senders)}",
            f"{table.host}=~{any_of(subject.host for subject in known)}",
            f"{table.workload}=~{any_of([NOWHERE, *(subject.workload for subject in known)])}",
            f"{table.flags}=~{flags}",
        )
    )


def _matchers(table: Table, subjects: tuple[Subject, ...]) -> str:
    matchers = []
    if table.reporter is not None:
        believed = (side for subject in subjects for side in sides(subject.reporter))
        matchers.append(f"{table.reporter}=~{any_of(believed)}")
    if table.namespace is not None and all(subject.namespace for subject in subjects):
        matchers.append(f"{table.namespace}=~{any_of(subject.namespace for subject in subjects)}")
    matchers.append(f"{table.workload}=~{any_of(subject.workload for subject in subjects)}")
    return ", ".join(matchers)
