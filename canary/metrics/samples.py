"""A source of evidence in a file: requests of each version in windows that tile, as CSV or JSON.

docs/backtest.md describes the format. `histogram.py` reckons with the requests that were slower than an edge.
"""

import csv
import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from canary import files
from canary.engine.errors import Invalid
from canary.engine.formats import utc
from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Value
from canary.ports import Metrics

from .histogram import quantile, slower

MOST = 200_000
"""Rows of one file."""
WHOLE = 2**53
"""Requests of one row: a larger count isn't exact, neither in Prometheus nor in JSON."""
SLOWER = "slower_"
"""A column of a CSV file begins so; the edge in milliseconds follows."""
FIELDS = ("time", "version", "total", "bad")


@dataclass(frozen=True)
class SampleRow:
    """The requests of one version since its row before."""

    at: datetime
    version: str
    total: int
    bad: int
    slower: Mapping[float, int]
    """Requests that took longer than so many milliseconds, by edge."""


class Samples(Metrics):
    """Adds up the rows that end in a window."""

    def __init__(self, rows: Iterable[SampleRow]) -> None:
        """Raises Invalid for two rows of one version at one time."""
        self._rows: dict[str, list[SampleRow]] = {}
        for row in sorted(rows, key=lambda one: one.at):
            own = self._rows.setdefault(row.version, [])
            if own and own[-1].at == row.at:
                raise Invalid(f"there are two rows of {row.version} at {row.at.isoformat()}")
            own.append(row)
        self._times = {version: [row.at for row in own] for version, own in self._rows.items()}

    @property
    def versions(self) -> tuple[str, ...]:
        """All that have rows."""
        return tuple(sorted(self._rows))

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the beginning of the first row, which is taken to be as long as the second, to the last row's end."""
        times = sorted({at for own in self._times.values() for at in own})
        return times[0] - (times[1] - times[0] if len(times) > 1 else timedelta()), times[-1]

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """See the port. Builtins only; a row belongs to the window in which it ends."""
        return {query: self._answer(query, at) for query in queries}

    def _answer(self, query: Query, at: datetime) -> Sample:
        if query.text is not None:
            return Missing(Cause.INVALID, "a file of samples answers no query")
        rows = self._within(query.subject.workload, at, query)
        if not rows:
            return Missing(Cause.EMPTY, f"no row of {query.subject.workload} in the window")
        total, bad, buckets = sum(row.total for row in rows), sum(row.bad for row in rows), _buckets(rows)
        timed = len(buckets) > 1
        if not timed and (query.edges or query.metric == "request-duration"):
            return Missing(Cause.EMPTY, f"the rows of {query.subject.workload} don't say what was slower")
        if query.shape is Shape.COUNTS:
            edges = query.edges
            return Counts(total, bad, slower(buckets, edges), timed=total) if edges else Counts(total, bad)
        if not total:
            return Missing(Cause.EMPTY, f"no request to {query.subject.workload} in the window")
        if query.metric == "request-success-rate":
            return Value(100 * (total - bad) / total)
        if query.metric == "request-duration":
            return Value(quantile(0.99, buckets))
        return Missing(Cause.INVALID, f"a file of samples has no {query.metric}")

    def _within(self, version: str, at: datetime, query: Query) -> Sequence[SampleRow]:
        times = self._times.get(version, [])
        return self._rows.get(version, [])[bisect_right(times, at - query.window) : bisect_right(times, at)]


def _buckets(rows: Sequence[SampleRow]) -> Mapping[float, int]:
    """Requests at most that slow, by the edges that all rows have."""
    total = sum(row.total for row in rows)
    edges = set.intersection(*(set(row.slower) for row in rows))
    return {edge: total - sum(row.slower[edge] for row in rows) for edge in edges} | {math.inf: total}


def read_samples(path: Path) -> Samples:
    """A file `NAME.csv` or `NAME.json`. Raises Invalid with the row that is wrong."""
    try:
        text = files.read(path).data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Invalid(f"{path}: {why}") from error
    try:
        found = _from_json(text) if path.suffix == ".json" else _from_csv(text)
        if not found:
            raise Invalid("it has no rows")
        if len(found) > MOST:
            raise Invalid(f"it has {len(found)} rows, more than {MOST}")
        return Samples(_row(number, one) for number, one in found)
    except Invalid as error:
        raise Invalid(f"{path}: {error}") from None


def _from_csv(text: str) -> list[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(StringIO(text))
    columns = reader.fieldnames or ()
    if lacks := [name for name in FIELDS if name not in columns]:
        raise Invalid(f"the first line lacks the column {lacks[0]}; it has {', '.join(columns) or 'none'}")
    if strange := [name for name in columns if name not in FIELDS and not name.startswith(SLOWER)]:
        raise Invalid(f"the column {strange[0]} is unknown; there are {', '.join(FIELDS)} and {SLOWER}MILLISECONDS")
    edges = {name: name.removeprefix(SLOWER) for name in columns if name.startswith(SLOWER)}
    try:
        return [
            (f"line {reader.line_num}", {**row, "slower": {edge: row[name] for name, edge in edges.items()}})
            for row in reader
        ]
    except csv.Error as error:
        raise Invalid(f"line {reader.line_num}: {error}") from error


def _from_json(text: str) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"it is not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Invalid("it is not a list of objects")
    for number, one in enumerate(found, 1):
        if strange := [name for name in one if name not in (*FIELDS, "slower")]:
            raise Invalid(f"row {number}: {strange[0]} is unknown; there are {', '.join(FIELDS)} and slower")
    return [(f"row {number}", one) for number, one in enumerate(found, 1)]


def _row(where: str, found: Mapping[str, Any]) -> SampleRow:
    slower_than = found.get("slower") or {}
    if not isinstance(slower_than, dict):
        raise Invalid(f"{where}: slower is not an object of edges in milliseconds")
    if None in found:
        raise Invalid(f"{where}: there are more cells than columns")
    total = _count(where, "total", found.get("total"))
    row = SampleRow(
        at=_time(where, found.get("time")),
        version=str(found.get("version") or "").strip(),
        total=total,
        bad=_count(where, "bad", found.get("bad"), total),
        slower={_edge(where, edge): _count(where, "slower", one, total) for edge, one in slower_than.items()},
    )
    if not row.version:
        raise Invalid(f"{where}: version is missing")
    for low, high in pairwise(sorted(row.slower)):
        if row.slower[high] > row.slower[low]:
            raise Invalid(f"{where}: more requests were slower than {high:g} ms than slower than {low:g} ms")
    return row


def _count(where: str, name: str, found: object, most: int | None = None) -> int:
    """Of requests; at most the total, which is known to be no larger than what Prometheus can tell."""
    if found is None:
        raise Invalid(f"{where}: {name} is missing")
    try:
        if isinstance(found, bool | float):
            raise ValueError
        number = int(found)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise Invalid(f"{where}: {name} is {found!r}, which is not a number of requests") from None
    if number < 0:
        raise Invalid(f"{where}: {name} is {number}, less than 0")
    if number > (WHOLE if most is None else most):
        raise Invalid(f"{where}: {name} is {number}, more than {'2^53' if most is None else 'total'}")
    return int(number)


def _edge(where: str, text: str) -> float:
    try:
        edge = float(text)
    except ValueError:
        edge = math.nan
    if not 0 < edge < math.inf:
        raise Invalid(f"{where}: {text!r} is not an edge in milliseconds")
    return edge


def _time(where: str, found: object) -> datetime:
    """In ISO 8601, UTC unless it says so, or in seconds since 1970."""
    try:
        if isinstance(found, int | float) and not isinstance(found, bool):
            return utc(datetime.fromtimestamp(found, UTC))
        text = str(found or "").strip()
        if text.replace(".", "", 1).isdigit():
            return utc(datetime.fromtimestamp(float(text), UTC))
        return utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError, OSError):
        raise Invalid(f"{where}: time is {found!r}, not a time such as 2030-12-24T15:00Z") from None
