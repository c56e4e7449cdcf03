"""What an answer of Prometheus means: bytes → result → rows → samples, or a Missing that says what is wrong. Pure.

`promql.py` made the question, `session.py` fetched the bytes. The format is that of
https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json

from canary.api.analysis import Reporter
from canary.engine.observed import Counts, Kind, Missing, Query, Sample, Shape, Subject, Value

from .histogram import quantile, slower
from .promql import NOWHERE, Part, Table, sides

_WORDS = 300
"""How many characters of the server's words are passed on."""
_READ = 8192
"""How many bytes of a body that isn't JSON are looked at for them."""


@dataclass(frozen=True)
class Row:
    """One element of a vector."""

    labels: Mapping[str, str]
    value: float

    def part(self, table: Table) -> Part:
        """What it was asked for as, by the labels that it was grouped by."""
        if table.host in self.labels:
            return Part.STRANDED
        return Part.TIMES if "le" in self.labels else Part.CODES


@dataclass(frozen=True)
class Tally:
    """What was counted of one subject in one window."""

    total: int = 0
    bad: int = 0
    buckets: Mapping[float, int] = field(default_factory=dict)
    """Requests that took at most so many milliseconds, by edge."""

    unattributed: int = 0
    """Requests beside these that reached no pod, and were meant for nobody knows whom."""

    @property
    def seen(self) -> int:
        """Requests, from whichever part was asked for."""
        return max(self.total, self.buckets.get(math.inf, 0))


def result(status: int, body: bytes, scrubbed: Callable[[str], str]) -> Any | Missing:
    """The `data.result` of an answer that is complete. The server's words are passed on `scrubbed`."""
    try:
        document = from_json(body)
    except ValueError:
        document = None
    words = _words(document, body, scrubbed)
    if status != 200:
        return refusal(status, document.get("errorType") if isinstance(document, dict) else None, words)
    match document:
        case {"status": "success", "data": {"result": found}}:
            return _partial(document, scrubbed) or found
        case {"status": "error"}:
            return Missing(Kind.RUBBISH, f"HTTP 200 with an error: {words}")
        case _:
            return Missing(Kind.RUBBISH, f"HTTP 200 with {words}")


def refusal(status: int, error: object, words: str) -> Missing:
    """What an HTTP status other than 200 means; `error` is Prometheus' errorType."""
    said = f"HTTP {status}: {words}" if words else f"HTTP {status}"
    if error in ("timeout", "canceled") or status in (408, 504):
        return Missing(Kind.TIMED_OUT, said)
    match status:
        case 400 | 413 | 414 | 422:
            return Missing(Kind.INVALID, words or said)
        case 401 | 403 | 407:
            return Missing(Kind.DENIED, said)
        case 429:
            return Missing(Kind.UNAVAILABLE, said)
        case _:
            return Missing(Kind.UNAVAILABLE if status >= 500 else Kind.RUBBISH, said)


def rows(found: object) -> tuple[Row, ...] | Missing:
    """The rows of a vector."""
    if not isinstance(found, list):
        return Missing(Kind.RUBBISH, "no list of rows")
    read = [_row(element) for element in found]
    if None in read:
        return Missing(Kind.RUBBISH, "rows that aren't a vector's")
    return tuple(row for row in read if row is not None)


def one_number(found: object) -> Sample:
    """The answer to a query of the user's: a scalar or a vector of one row."""
    number = _number(found)
    if number is None:
        vector = rows(found)
        if isinstance(vector, Missing):
            return Missing(Kind.INVALID, "something else where one number was due")
        if not vector:
            return Missing(Kind.EMPTY, "the query has no result")
        if len(vector) > 1:
            return Missing(Kind.INVALID, f"{len(vector)} series where one number was due: {_some(vector)}")
        number = vector[0].value
    if math.isnan(number):
        return Missing(Kind.NAN, "0/0, as a ratio is where there was no traffic")
    return Value(number) if math.isfinite(number) else Missing(Kind.NAN, f"{number:+}")


def tally(table: Table, seen: Iterable[Row]) -> Tally | Missing:
    """Adds up the rows of one subject and one reporter."""
    total, bad, buckets = 0, 0, dict[float, int]()
    for row in seen:
        if not math.isfinite(row.value):
            return Missing(Kind.NAN, f"{row.value} requests")
        if row.value < 0 or not row.value.is_integer():
            return Missing(Kind.RUBBISH, f"{row.value} requests, where a counter holds whole ones")
        count, edge = int(row.value), _float(row.labels.get("le", ""))
        if edge is not None:
            buckets[edge] = buckets.get(edge, 0) + count
        else:
            total += count
            bad += count if table.failed(row.labels) else 0
    return Tally(total, bad, buckets)


def believed(table: Table, seen: Sequence[Row], query: Query) -> Tally | Missing:
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
    return _sum(tallies[nearest] if nearest else Tally(), lost)


def _by_side(table: Table, query: Query, rows: Iterable[Row]) -> dict[Reporter, list[Row]]:
    """Rows by who reports them, of those who are believed, the nearest to the pod first."""
    found = list(rows)
    each = {side: [row for row in found if row.labels.get(table.reporter or "") == side] for side in _sides(query)}
    return {side: own for side, own in each.items() if own}


def _sides(query: Query) -> tuple[Reporter, ...]:
    return sides(query.subject.reporter)


def _lost(table: Table, stranded: Iterable[Row], subject: Subject, *, counted: bool) -> Tally | Missing:
    """What reached no pod: the subject's own, and how much is nobody's.

    What was sent to a known workload is `counted` already where its sender is believed about all else.
    """
    named = {NOWHERE: list[Row](), subject.workload: list[Row]()}
    for row in stranded:
        named.get(row.labels.get(table.workload, ""), []).append(row)
    own = [] if counted else named[subject.workload]
    nowhere = tally(table, named[NOWHERE])
    if subject.alone or isinstance(nowhere, Missing):
        return tally(table, [*own, *named[NOWHERE]])
    mine = tally(table, own)
    return mine if isinstance(mine, Missing) else replace(mine, unattributed=nowhere.total)


def _sum(one: Tally | Missing, other: Tally | Missing) -> Tally | Missing:
    if isinstance(one, Missing) or isinstance(other, Missing):
        return one if isinstance(one, Missing) else other
    total, bad = one.total + other.total, one.bad + other.bad
    return Tally(total, bad, one.buckets, other.unattributed)


def sample(query: Query, table: Table, asked: Sequence[Part], seen: Sequence[Row]) -> Sample:
    """The answer to a builtin, from the rows of its subject."""
    whose = "/".join(word for word in (query.subject.namespace, query.subject.workload) if word)
    counted = believed(table, seen, query)
    if isinstance(counted, Missing):
        return counted
    left = counted.unattributed
    beside = f"; {left} requests to {query.subject.host} reached no pod" if left else ""
    there = {row.part(table) for row in seen} | {Part.STRANDED}
    for part in asked:
        if part not in there and (Part.CODES in there or not counted.total):
            cut = bool(table.cut_at) and table.cut_at in query.subject.workload
            hint = f"; names are cut at {table.cut_at!r} in these metrics" if cut else beside
            return Missing(Kind.EMPTY, f"no series {table.metrics[part]} of {whose} in the window{hint}")
    if query.shape is Shape.COUNTS:
        return Counts(counted.total, counted.bad, slower(counted.buckets, query.edges), left)
    if not counted.seen:
        return Missing(Kind.EMPTY, f"no request to {whose} in the window{beside}")
    if Part.TIMES in asked:
        return Value(quantile(0.99, counted.buckets), left)
    return Value(100 * (counted.total - counted.bad) / counted.total, left)


def _row(element: object) -> Row | None:
    match element:
        case {"metric": dict(labels), "value": [_, str(text)]} if all(
            isinstance(value, str) for value in labels.values()
        ):
            value = _float(text)
            return None if value is None else Row(labels, value)
        case _:
            return None


def _number(found: object) -> float | None:
    match found:
        case [int() | float(), str(text)]:
            return _float(text)
        case _:
            return None


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _partial(document: Mapping[str, Any], scrubbed: Callable[[str], str]) -> Missing | None:
    """Thanos warns when a store didn't answer; VictoriaMetrics says isPartial. Mere hints are no loss."""
    warnings = document.get("warnings")
    given = [str(one) for one in warnings] if isinstance(warnings, list) else []
    told = [one for one in given if not one.startswith("PromQL info:")]
    if told or document.get("isPartial") is True:
        return Missing(Kind.PARTIAL, _line(scrubbed("; ".join(told))) or "the server says that parts are missing")
    return None


def _words(document: object, body: bytes, scrubbed: Callable[[str], str]) -> str:
    """The server's own words on one line: an error's text, else how the body begins."""
    if isinstance(document, dict) and "error" in document:
        return _line(scrubbed(str(document["error"])))
    begin = _line(scrubbed(body[:_READ].decode(errors="replace")))
    return begin[:80] if begin else "an empty body"


def _line(text: str) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= _WORDS else f"{text[:_WORDS]}…"


def _some(vector: Sequence[Row]) -> str:
    shown = ["{" + ", ".join(f'{name}="{row.labels[name]}"' for name in sorted(row.labels)) + "}" for row in vector]
    return _line(", ".join(shown[:3]) + (", …" if len(shown) > 3 else ""))
