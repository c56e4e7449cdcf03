"""PromQL for the builtins: by how much counters grew, told apart by what they are of. Pure.

Counts are differences of counters, exact and on windows that tile, instead of `rate()` or `increase()`: those
extrapolate, and don't see what a series counted before its first sample (a new pod's failures, the first 503).
The form is argued for in docs/metrics.md, part by part.

What a new series counted takes `up` to know: one series for each target of a cluster, read an hour back for each part
and window. So the first question leaves that out, and `NEW` marks the rows for which it must be asked again.
"""

import math
from collections.abc import Iterable
from datetime import timedelta

from canary.engine.observed import Subject

from .promql import (
    LOOKBACK,
    NOWHERE,
    SENDERS,
    STRANDED,
    WINDOW,
    Dialect,
    Part,
    Table,
    any_of,
    duration,
    quoted,
    sides,
)

NEW = -math.inf
"""The value of a row to which new series belong, where they weren't judged."""


def builtin(
    dialect: Dialect, wanted: Iterable[Part], subjects: Iterable[Subject], window: timedelta, *, new: bool = True
) -> str:
    """One expression with the rows of all parts for all subjects: exact differences over the window.

    Unless `new` series are judged, rows that have any are `NEW`.
    """
    subjects, table, grown = tuple(subjects), dialect.table, growth if new else known
    arrived, stranded = _matchers(table, subjects), _stranded(table, subjects)
    return " or ".join(
        grown(table, part, stranded if part is Part.STRANDED else arrived, window, dialect.lookback)
        for part in wanted
    )


def together(windows: Iterable[tuple[timedelta, str]]) -> str:
    """One expression for those of several windows, whose rows then bear the window that they are for."""
    return " or ".join(f'label_replace({text}, "{WINDOW}", "{duration(one)}", "", "")' for one, text in windows)


def growth(table: Table, part: Part, selected: str, window: timedelta, lookback: timedelta = LOOKBACK) -> str:
    """By how much the selected counters grew in the window, added up by the part's labels.

    A series without a sample in the window has no share. From the last sample in the window is taken what stood
    at its start; `whole` is what that is decided on (for a histogram its count, as buckets are reset together):

    - before: the last sample before the window; nothing of it if the counter was reset since
    - began: 0 for a new series, if its job was watched before the window, and its target wasn't there in vain
    - later: 0 for a new series that the first scrape of its target in the window didn't have yet
    - alone: 0 for a new series whose job has no `up` at all, if others of the selection were there before
    - else the lowest sample in the window: a Prometheus that begins to watch can't know when a counter grew
    """
    x, whole, before = _selectors(table, part, selected, window, lookback)
    i, far, back = duration(window), duration(window + lookback), duration(lookback)
    now = f"last_over_time({whole}[{i}])"
    in_vain = f"(max_over_time(up[{back}] offset {i}) == 0) and on (job, instance) (up offset {far})"
    began = f"({now} unless on (job, instance) ({in_vain})) and on (job) (up offset {i})"
    scrapes = f"min by (job, instance) (sum_over_time(up[{i}]))"
    later = f"count_over_time({whole}[{i}]) < on (job, instance) group_left () {scrapes}"
    alone = f"({now} and on () count({before})) unless on (job) up"
    first = f"min_over_time({x}[{i}]) unless ignoring (le) ({before} or ({began}) or {later} or ({alone}))"
    return _less(table, part, (x, whole, before), (i, back), first)


def known(table: Table, part: Part, selected: str, window: timedelta, lookback: timedelta = LOOKBACK) -> str:
    """`growth` of all series that were there before; rows that have others are `NEW`, whatever else they count."""
    x, whole, before = _selectors(table, part, selected, window, lookback)
    i, back = duration(window), duration(lookback)
    new = f"(min_over_time({x}[{i}]) unless ignoring (le) {before}) + Inf"
    return _less(table, part, (x, whole, before), (i, back), new)


def _selectors(
    table: Table, part: Part, selected: str, window: timedelta, lookback: timedelta
) -> tuple[str, str, str]:
    metric = table.metrics[part]
    whole = f'{metric}{{{selected}, le="+Inf"}}' if part is Part.TIMES else f"{metric}{{{selected}}}"
    before = f"last_over_time({whole}[{duration(lookback)}] offset {duration(window)})"
    return f"{metric}{{{selected}}}", whole, before


def _less(table: Table, part: Part, selectors: tuple[str, str, str], spans: tuple[str, str], first: str) -> str:
    """The sums at the window's end, less those at its start: of series seen before it, and `first` of new ones."""
    (x, whole, before), (i, back) = selectors, spans
    kept = f"(min_over_time({whole}[{i}]) >= bool {before}) * (resets({whole}[{i}]) == bool 0)"
    stood = f"last_over_time({x}[{back}] offset {i}) * ignoring (le) group_left () ({kept})"
    by = f"sum by ({', '.join(table.names(part))})"
    last = f"{by} (last_over_time({x}[{i}]))"
    return f"({last} - ({by} ({stood} or ({first})) or {last} * 0))"


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
