"""What an answer of Prometheus means: bytes → result → rows → samples, or a Missing that says what is wrong. Pure.

`promql.py` made the question, `session.py` fetched the bytes. The format is that of
https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from canary.api.analysis import Reporter
from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject, Value

from .histogram import edge, largest, quantile, slower, untold, whole
from .limits import LEAST, Bounds, Excess, RefusedAnswer
from .native import UNREADABLE, NativeHistogram, grown
from .promql import END, NOWHERE, START, Part, Table, sides

_WORDS = 300
"""How many characters of the server's words are passed on."""
_READ = 8192
"""How many characters of a text are looked at for them."""
_FEW = 3
ANYTIME = datetime(1970, 1, 1, tzinfo=UTC)
"""For answers that aren't held against a time."""
FAR = 60.0
"""Seconds between the time that was asked for and that of an answer to it; a server answers for exactly that time."""
_HINT = re.compile(r"PromQL info:|PromQL warning: conflicting counter resets during histogram ")
"""Warnings that nothing is missing. The second is of sums that only rate() would take for one histogram."""
_DROPPED = re.compile(r"PromQL warning: (vector contains |encountered a mix of )")
"""Warnings that some groups have no row, since their series can't be added up."""
_TYPES = ("matrix", "vector", "scalar", "string")


@dataclass(frozen=True)
class SeriesRow:
    """One element of a vector."""

    labels: Mapping[str, str]
    value: float
    """NaN for what isn't one number."""
    unreadable: frozenset[str] = frozenset()
    """More labels, with values that aren't text."""
    histogram: NativeHistogram | Missing = UNREADABLE

    def part(self, table: Table) -> Part:
        """What it was asked for as, by the labels that it was grouped by."""
        if table.host in self.labels or table.host in self.unreadable:
            return Part.STRANDED
        if self.labels.get("le") in (START, END):
            return Part.NATIVE
        return Part.TIMES if "le" in self.labels or "le" in self.unreadable else Part.CODES

    def may_have(self, label: str, *values: str) -> bool:
        """Whether the label has one of these values, as far as it can be read."""
        return label in self.unreadable or self.labels.get(label, "") in values


@dataclass(frozen=True)
class RequestTally:
    """What was counted of one subject in one window."""

    total: int = 0
    bad: int = 0
    buckets: Mapping[float, int] = field(default_factory=dict)
    """Requests that took at most so many milliseconds, by edge."""
    native: bool = False
    """Whether the buckets are those of native histograms."""
    unlabelled: Mapping[str, int] = field(default_factory=dict)
    """Requests that can't be judged, by the label that they lack; they are in the total."""

    unattributed: int = 0
    """More requests that reached no pod and count for no version."""

    @property
    def seen(self) -> int:
        """Requests, from whichever part was asked for."""
        return max(self.total, largest(self.buckets))


@dataclass(frozen=True)
class Asked:
    """What an answer is held against."""

    at: datetime
    scrubbed: Callable[[str], str]
    """A text of the server's without secrets."""
    bounds: Bounds = LEAST
    types: tuple[str, ...] = ("vector",)
    """Prometheus' resultType."""
    quoted: bool = False
    """Whether a page that isn't Prometheus' may be shown to the user who named the address."""
    dropped: list[str] | None = None
    """Where warnings of missing rows are put, if who asks sees which they are; else they spoil the answer."""


def result(status: int, body: bytes, asked: Asked) -> Any | Missing:
    """The `data.result` of an answer that is complete."""
    if refused := asked.bounds.refusal(body):
        return refused
    try:
        document = from_json(body)
    except ValueError:
        document = None
    if status != 200:
        error = document.get("errorType") if isinstance(document, dict) else None
        return refusal(status, error, words(document, body, asked))
    match document:
        case {"status": "success", "data": {"resultType": str(kind), "result": found}}:
            return _partial(document, asked) or _foreign(kind, found, asked) or found
        case {"status": "error"}:
            return Missing(Cause.RUBBISH, f"HTTP 200 with an error: {words(document, body, asked)}")
        case _:
            return Missing(Cause.RUBBISH, f"HTTP 200 with {words(document, body, asked)}")


def _foreign(kind: str, found: object, asked: Asked) -> RefusedAnswer | None:
    """Why this answers another question; None if it answers ours."""
    if kind not in asked.types:
        known = kind if kind in _TYPES else "something else"
        return RefusedAnswer(Cause.INVALID, f"{known} where {' or '.join(asked.types)} was due", Excess.TYPE)
    listed = found if isinstance(found, list) else []
    rows = [one for one in listed if isinstance(one, dict)]
    values = [one.get("value", one.get("histogram")) for one in rows] if kind == "vector" else [found]
    due = asked.at.timestamp()
    for value in values:
        match value:
            case [int() | float() as dated, _] if not due - FAR <= dated <= due + FAR:
                return RefusedAnswer(Cause.RUBBISH, "an answer for another time than the one asked for", Excess.DATE)
    return None


def refusal(status: int, error: object, words: str) -> Missing:
    """What an HTTP status other than 200 means; `error` is Prometheus' errorType."""
    said = f"HTTP {status}: {words}" if words else f"HTTP {status}"
    if error in ("timeout", "canceled") or status in (408, 504):
        return Missing(Cause.TIMED_OUT, said)
    match status:
        case 400 | 413 | 414 | 422:
            return Missing(Cause.INVALID, words or said)
        case 401 | 403 | 407:
            return Missing(Cause.DENIED, said)
        case 429:
            return Missing(Cause.UNAVAILABLE, said)
        case _:
            return Missing(Cause.UNAVAILABLE if status >= 500 else Cause.RUBBISH, said)


def rows(found: object) -> tuple[SeriesRow, ...] | Missing:
    """The rows of a vector. If one has no labels at all, it could be any workload's, so the whole answer is none.

    A row with some labels that aren't text stays a row: `batching.py` finds the workloads whose row it may be.
    """
    if not isinstance(found, list):
        return Missing(Cause.RUBBISH, "no list of rows")
    read = [_row(element) for element in found]
    if None in read:
        return Missing(Cause.RUBBISH, "rows that aren't a vector's")
    return tuple(row for row in read if row is not None)


def one_number(found: object, scrubbed: Callable[[str], str]) -> Sample:
    """The answer to a query of the user's: a scalar or a vector of one row."""
    number = _number(found)
    if number is None:
        vector = rows(found)
        if isinstance(vector, Missing):
            return Missing(Cause.INVALID, "something else where one number was due")
        if not vector:
            return Missing(Cause.EMPTY, "the query has no result")
        if any(row.unreadable for row in vector):
            return Missing(Cause.INVALID, "a series with a label that isn't text")
        if len(vector) > 1:
            return Missing(Cause.INVALID, f"{len(vector)} series where one number was due: {_some(vector, scrubbed)}")
        number = _number(found[0].get("value")) if isinstance(found, list) else None
    if number is None:
        return Missing(Cause.INVALID, "something else where one number was due")
    if math.isnan(number):
        return Missing(Cause.NAN, "0/0, as a ratio is where there was no traffic")
    return Value(number) if math.isfinite(number) else Missing(Cause.NAN, f"{number:+}")


def tally(table: Table, seen: Iterable[SeriesRow]) -> RequestTally | Missing:
    """Adds up the rows of one subject and one reporter. A bucket with an edge that is none says nothing.

    Native histograms tell of durations where there are no buckets.
    """
    total, bad, buckets, unlabelled = 0, 0, dict[float, int](), dict[str, int]()
    natives = list[SeriesRow]()
    for row in seen:
        if row.part(table) is Part.NATIVE:
            natives.append(row)
            continue
        timed = row.part(table) is Part.TIMES
        upper = edge(row.labels["le"]) if timed else None
        if timed and upper is None:
            continue
        count = whole(row.value)
        if isinstance(count, Missing):
            return count
        if upper is not None:
            buckets[upper] = buckets.get(upper, 0) + count
            continue
        total += count
        bad += count if table.failed(row.labels) else 0
        if count and (label := table.lacks(row.labels)):
            unlabelled[label] = unlabelled.get(label, 0) + count
    native = {} if buckets or not natives else _native(natives)
    if isinstance(native, Missing):
        return native
    return RequestTally(total, bad, buckets or native, bool(native), unlabelled)


def _native(rows: Iterable[SeriesRow]) -> Mapping[float, int] | Missing:
    """What native histograms counted. A group that is there at one side only would count since its pods began."""
    found: dict[str, dict[frozenset[tuple[str, str]], NativeHistogram]] = {START: {}, END: {}}
    for row in rows:
        if isinstance(row.histogram, Missing):
            return row.histogram
        group = frozenset((name, label) for name, label in row.labels.items() if name != "le")
        found[row.labels["le"]][group] = row.histogram
    if found[START].keys() != found[END].keys():
        return Missing(Cause.PARTIAL, "native histograms at the window's start and none at its end, or the reverse")
    end, start = (NativeHistogram.added(found[side].values()) for side in (END, START))
    return grown(end, start)


def believed(table: Table, seen: Sequence[SeriesRow], query: Query) -> RequestTally | Missing:
    """The tally of the destination's proxy, else of the waypoint, else of the source's: the first that has one.

    A value also turns to the next where there are series but no request. Counts don't: the two are scraped at
    different moments, and a request that both report in different windows would be counted twice.
    To it is added what reached no pod, as its sender reports it.
    """
    if table.reporter is None:
        return tally(table, seen)
    arrived = _by_side(table, query, (row for row in seen if row.part(table) is not Part.STRANDED))
    stranded = _by_side(table, query, (row for row in seen if row.part(table) is Part.STRANDED))
    tallies = {side: tally(table, rows) for side, rows in arrived.items()}
    nearest = next(iter(tallies), None)
    if query.shape is Shape.VALUE:
        nearest = next((one for one, its in tallies.items() if isinstance(its, Missing) or its.seen), nearest)
    sender = next(iter(stranded), None)
    lost = _lost(table, stranded.get(sender, ()) if sender else (), query.subject, counted=sender is nearest)
    return _sum(tallies[nearest] if nearest else RequestTally(), lost)


def _by_side(table: Table, query: Query, rows: Iterable[SeriesRow]) -> dict[Reporter, list[SeriesRow]]:
    """Rows by who reports them, of those who are believed, the nearest to the pod first."""
    found, label = list(rows), table.reporter or ""
    each = {side: [row for row in found if row.labels.get(label) == side] for side in sides(query.subject.reporter)}
    return {side: own for side, own in each.items() if own}


def _lost(table: Table, stranded: Iterable[SeriesRow], subject: Subject, *, counted: bool) -> RequestTally | Missing:
    """What reached no pod: the subject's own, and the number that counts for no version.

    What was sent to a known workload is `counted` already where its sender is believed about all else.
    """
    named = {NOWHERE: list[SeriesRow](), subject.workload: list[SeriesRow]()}
    for row in stranded:
        named.get(row.labels.get(table.workload, ""), []).append(row)
    own = [] if counted else named[subject.workload]
    nowhere = tally(table, named[NOWHERE])
    if subject.alone or isinstance(nowhere, Missing):
        return tally(table, [*own, *named[NOWHERE]])
    mine = tally(table, own)
    return mine if isinstance(mine, Missing) else replace(mine, unattributed=nowhere.total)


def _sum(one: RequestTally | Missing, other: RequestTally | Missing) -> RequestTally | Missing:
    if isinstance(one, Missing) or isinstance(other, Missing):
        return one if isinstance(one, Missing) else other
    total, bad = one.total + other.total, one.bad + other.bad
    labels = one.unlabelled.keys() | other.unlabelled.keys()
    unlabelled = {label: one.unlabelled.get(label, 0) + other.unlabelled.get(label, 0) for label in sorted(labels)}
    return replace(one, total=total, bad=bad, unlabelled=unlabelled, unattributed=other.unattributed)


def sample(query: Query, table: Table, asked: Sequence[Part], seen: Sequence[SeriesRow]) -> Sample:
    """The answer to a builtin, from the rows of its subject."""
    whose = "/".join(word for word in (query.subject.namespace, query.subject.workload) if word)
    counted = believed(table, seen, query)
    if isinstance(counted, Missing):
        return counted
    left = counted.unattributed
    beside = f"; {left} requests to {query.subject.host} reached no pod" if left else ""
    there = {row.part(table) for row in seen} | {Part.STRANDED}
    there |= {Part.TIMES} if Part.NATIVE in there else set()
    for part in asked:
        if part not in there and (Part.CODES in there or not counted.total):
            cut = bool(table.cut_at) and table.cut_at in query.subject.workload
            hint = f"; names are cut at {table.cut_at!r} in these metrics" if cut else beside
            return Missing(Cause.EMPTY, f"no series {table.metrics[part]} of {whose} in the window{hint}")
    if why := _unjudged(table, asked, counted):
        return Missing(Cause.EMPTY, f"of {whose}, {why}")
    if query.shape is Shape.COUNTS:
        timed = largest(counted.buckets) if query.edges else 0
        edges = (*query.edges, *counted.buckets) if counted.native and query.edges else query.edges
        return Counts(counted.total, counted.bad, slower(counted.buckets, edges), left, timed, counted.native)
    if not counted.seen:
        return Missing(Cause.EMPTY, f"no request to {whose} in the window{beside}")
    if Part.TIMES in asked:
        return Value(quantile(0.99, counted.buckets), left)
    return Value(100 * (counted.total - counted.bad) / counted.total, left)


def _unjudged(table: Table, asked: Sequence[Part], counted: RequestTally) -> str:
    """Why what was counted says neither how many requests failed nor how long they took; empty if it does."""
    for label, count in counted.unlabelled.items():
        return f"{count} requests in {table.metrics[Part.CODES]} lack the label {label}"
    why = untold(counted.buckets) if Part.TIMES in asked and (counted.seen or not counted.native) else ""
    return why and f"{table.metric(Part.NATIVE if counted.native else Part.TIMES)} has {why}"


def _row(element: object) -> SeriesRow | None:
    match element:
        case {"metric": dict(labels), **rest}:
            value = _number(rest.get("value"))
            texts = {label: text for label, text in labels.items() if isinstance(text, str)}
            unreadable = frozenset(labels.keys() - texts.keys())
            native = NativeHistogram.read(rest.get("histogram"))
            return SeriesRow(texts, math.nan if value is None else value, unreadable, native)
        case _:
            return None


def _number(found: object) -> float | None:
    match found:
        case [int() | float(), str(text)]:
            with suppress(ValueError):
                return float(text)
    return None


def _partial(document: Mapping[str, Any], asked: Asked) -> Missing | None:
    """Thanos warns when a store didn't answer; VictoriaMetrics says isPartial. Mere hints are no loss."""
    warnings = document.get("warnings")
    given = [str(one) for one in warnings] if isinstance(warnings, list) else []
    given = [one for one in given if not _HINT.match(one)]
    if asked.dropped is not None:
        dropped = [one for one in given if _DROPPED.match(one)][:_FEW]
        asked.dropped.extend(line(beginning(one, asked.scrubbed)) for one in dropped)
        given = [one for one in given if not _DROPPED.match(one)]
    serious = [beginning(one, asked.scrubbed) for one in given[:_FEW]]
    if serious or document.get("isPartial") is True:
        return Missing(Cause.PARTIAL, line("; ".join(serious)) or "the server says that parts are missing")
    return None


def words(document: object, body: bytes, asked: Asked) -> str:
    """Prometheus' own words on one line; of any other page its kind only.

    Otherwise a user who may name an address and read the status could read the first line of any reachable page.
    """
    match document:
        case {"status": "error", "error": str(words)}:
            return line(beginning(words, asked.scrubbed))
    text = line(beginning(body[: 4 * _READ + 4].decode(errors="replace"), asked.scrubbed))
    kind = _kind(document, text)
    return f"{kind} that begins with {text[:80]}" if text and asked.quoted else kind


def _kind(document: object, text: str) -> str:
    """What sort of page this is."""
    if not text:
        return "an empty body"
    if document is not None:
        return "JSON that isn't Prometheus'"
    page = text[:200].lower().lstrip("\ufeff ").startswith(("<!doctype html", "<html", "<head", "<body"))
    return "an HTML page" if page else "a page that isn't JSON"


def beginning(text: str, scrubbed: Callable[[str], str]) -> str:
    """The beginning of a text without secrets; the word in which it is cut may be a part of one."""
    found = scrubbed(text[:_READ])
    return found if len(text) <= _READ else " ".join(found.split()[:-1])


def line(text: str) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= _WORDS else f"{text[:_WORDS]}…"


def _some(vector: Sequence[SeriesRow], scrubbed: Callable[[str], str]) -> str:
    labels = [", ".join(f'{name}="{row.labels[name]}"' for name in sorted(row.labels)) for row in vector[:_FEW]]
    shown = ", ".join(f"{{{beginning(one, scrubbed)}}}" for one in labels)
    return line(shown + (", …" if len(vector) > _FEW else ""))
