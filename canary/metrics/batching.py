"""What is asked together: queries → as few requests as possible, and halves of a request that was too much. Pure.

Builtins of one server make one request for up to `WINDOWS` windows, with any subjects and parts; rows bear the
window that they are for. What has new series is asked a second time (`promql.py` says why). The regular expressions
select more than was asked (namespaces × workloads), and `share` picks each subject's own rows. `prometheus.py` sends
the requests.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby

from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Missing, Query, Shape, Subject

from .answers import SeriesRow
from .event_counts import EventCounters
from .promql import (
    NEW,
    NOWHERE,
    WINDOW,
    Dialect,
    Part,
    Table,
    builtin,
    custom,
    duration,
    parts,
    together,
)

LARGEST = 500
"""Subjects in one request, those of each window counted: about 100 KB of PromQL for each part."""

WINDOWS = 20
"""Windows in one request: more than the twelve of a minute at 5 s. Until prometheus#14816 (2.42 is older) each node
of an expression makes all later ones slower, so that one request for 60 windows takes almost twice the work of three
for 20; fewer gain little."""

NATIVES = 50
"""Subjects with native histograms in one request: their rows are long."""

_UNREADABLE = Missing(Cause.RUBBISH, "a series with a label that isn't text")


@dataclass(frozen=True)
class Cell:
    """The least that can be asked of a builtin: one part of one subject."""

    server: str
    window: timedelta
    """In whole milliseconds, as it is asked."""
    subject: Subject
    part: Part

    @property
    def native(self) -> "Cell":
        """The native histograms beside buckets."""
        return replace(self, part=Part.NATIVE) if self.part is Part.TIMES else self


@dataclass(frozen=True)
class Slice:
    """What is asked over one window. The subjects all have a namespace, or none has."""

    window: timedelta
    parts: tuple[Part, ...]
    subjects: tuple[Subject, ...]

    def halves(self) -> "tuple[Slice, Slice] | None":
        """Two of them for the same; None where nothing is left to divide. Parts are divided first."""
        if len(self.parts) > 1:
            return replace(self, parts=self.parts[:1]), replace(self, parts=self.parts[1:])
        if len(self.subjects) > 1:
            middle = len(self.subjects) // 2
            left, right = self.subjects[:middle], self.subjects[middle:]
            return replace(self, subjects=left), replace(self, subjects=right)
        return None

    def share(self, table: Table, rows: Iterable[SeriesRow]) -> Iterator[tuple[Subject, Part, SeriesRow]]:
        """The subject of each row of this window; rows without one are left out.

        A row with labels that can't be read goes to each subject whose row it may be by those that can: it spoils
        the evidence of the workload that it names, and that of all workloads if their label is what can't be read.
        """
        spaced = table.namespace is not None and bool(self.subjects[0].namespace)
        known: dict[tuple[str, ...], list[Subject]] = {}
        for subject in self.subjects:
            known.setdefault((subject.namespace if spaced else "", subject.workload), []).append(subject)
            known.setdefault((subject.host,), []).append(subject)
        for row in rows:
            part = row.part(table)
            if row.unreadable:
                yield from ((one, part, row) for one in self.subjects if _may_be_of(one, table, row, spaced=spaced))
                continue
            namespace = row.labels.get(table.namespace or "", "") if spaced else ""
            workload, host = (row.labels.get(label or "", "") for label in (table.workload, table.host))
            for subject in known.get((host,) if part is Part.STRANDED else (namespace, workload), ()):
                yield subject, part, row


def _may_be_of(subject: Subject, table: Table, row: SeriesRow, *, spaced: bool) -> bool:
    """Whether a row is this subject's, as far as its labels can be read."""
    if table.host and row.part(table) is Part.STRANDED:
        return row.may_have(table.host, subject.host) and row.may_have(table.workload, subject.workload, NOWHERE)
    named = not spaced or row.may_have(table.namespace or "", subject.namespace)
    return named and row.may_have(table.workload, subject.workload)


@dataclass(frozen=True)
class Batch:
    """Builtins that are asked in one request: one slice for each window."""

    server: str
    slices: tuple[Slice, ...]
    new: bool = False
    """Whether new series are judged."""

    @property
    def native(self) -> bool:
        """Whether it asks for native histograms, and then for nothing else."""
        return all(one.parts == (Part.NATIVE,) for one in self.slices)

    def text(self, dialect: Dialect) -> str:
        """The PromQL. Where there is one window only, rows don't say which."""
        texts = [
            (one.window, builtin(dialect, one.parts, one.subjects, one.window, new=self.new)) for one in self.slices
        ]
        return together(texts) if len(texts) > 1 else texts[0][1]

    def cells(self) -> list[Cell]:
        """All that the answer covers."""
        return [
            Cell(self.server, one.window, subject, part)
            for one in self.slices
            for subject in one.subjects
            for part in one.parts
        ]

    def halves(self) -> "tuple[Batch, Batch] | None":
        """Two requests for the same; None where nothing is left to divide. Windows are divided first."""
        if len(self.slices) > 1:
            middle = len(self.slices) // 2
            return replace(self, slices=self.slices[:middle]), replace(self, slices=self.slices[middle:])
        halves = self.slices[0].halves()
        return halves and (replace(self, slices=halves[:1]), replace(self, slices=halves[1:]))

    def share(self, table: Table, rows: Iterable[SeriesRow]) -> dict[Cell, tuple[SeriesRow, ...] | Missing]:
        """Each cell's own rows; Missing if one of them can't be read. Rows of other parts answer nothing."""
        shares: dict[Cell, list[SeriesRow]] = {cell: [] for cell in self.cells()}
        by_window: dict[str | None, list[SeriesRow]] = {}
        for row in rows:
            window = None if WINDOW in row.unreadable else row.labels.get(WINDOW, "")
            by_window.setdefault(window, []).append(row)
        for one in self.slices:
            name = duration(one.window) if len(self.slices) > 1 else ""
            own = (*by_window.get(name, ()), *by_window.get(None, ()))
            for subject, part, row in one.share(table, own):
                if (own_rows := shares.get(Cell(self.server, one.window, subject, part))) is not None:
                    own_rows.append(row)
        return {
            cell: _UNREADABLE if any(row.unreadable for row in its) else tuple(its) for cell, its in shares.items()
        }

    def again(self, shares: Mapping[Cell, Iterable[SeriesRow] | Missing]) -> "Iterator[Batch]":
        """What must be asked with new series judged, and native histograms where there are requests and no buckets.

        Apart from each other, so that histograms that can't be read hide no error.
        """
        if self.new:
            return
        idle = {(cell.window, cell.subject) for cell, own in shares.items() if cell.part is Part.CODES and own == ()}
        readable = [(cell, own) for cell, own in shares.items() if not isinstance(own, Missing)]
        cells = [cell for cell, own in readable if any(row.value == NEW for row in own)]
        untimed = [cell for cell, own in readable if cell.part is Part.TIMES and not own]
        natives = [cell.native for cell in untimed if (cell.window, cell.subject) not in idle]
        for group, largest in ((cells, LARGEST), (natives, NATIVES)):
            yield from (Batch(self.server, slices, new=True) for slices in _slices(group, largest))


@dataclass(frozen=True)
class MergedQuestion:
    """A query of the user's, ready to be asked."""

    server: str
    text: str
    events: EventCounters | None = None
    """What it asks for, where that is counts."""


@dataclass
class MergedPlan:
    """The requests to make, and which of them answer which query."""

    batches: list[Batch] = field(default_factory=list)
    cells: dict[Query, tuple[Cell, ...]] = field(default_factory=dict)
    questions: dict[Query, MergedQuestion] = field(default_factory=dict)
    refused: dict[Query, Missing] = field(default_factory=dict)
    """Queries that can't be asked at all."""


def whole(moment: datetime) -> datetime:
    """The moment in whole milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def tiled(window: timedelta, at: datetime) -> timedelta:
    """The window before `at` in whole milliseconds: those of windows that tile do so as well."""
    return whole(at) - whole(at - window)


def plan(queries: Iterable[Query], home: str | None, table: Table, at: datetime) -> MergedPlan:
    """The requests for these queries at that time; `home` is the server of those that name none."""
    made = MergedPlan()
    for query in queries:
        server = query.server.rstrip("/") if query.server else home
        try:
            if server is None:
                raise Invalid("there is no Prometheus to ask; metricsServer names one")
            window = tiled(query.window, at)
            duration(window)
            if query.shape is Shape.COUNTS and query.text is not None:
                events = EventCounters.of(query, window)
                made.questions[query] = MergedQuestion(server, events.text(new=False), events)
            elif query.text is not None:
                made.questions[query] = MergedQuestion(server, custom(query))
            else:
                asked = parts(query, table)
                made.cells[query] = tuple(Cell(server, window, query.subject, part) for part in asked)
        except Invalid as error:
            made.refused[query] = Missing(Cause.INVALID, str(error))
    made.batches = _batches([cell for cells in made.cells.values() for cell in cells])
    return made


def _batches(cells: Sequence[Cell]) -> list[Batch]:
    groups: dict[tuple[str, bool], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.server, bool(cell.subject.namespace)), []).append(cell)
    return [Batch(server, slices) for (server, _), group in groups.items() for slices in _slices(group, LARGEST)]


def _slices(cells: Sequence[Cell], largest: int) -> Iterator[tuple[Slice, ...]]:
    """All that is asked of one server, in as many requests as it takes."""
    wanted: dict[timedelta, set[Part]] = {}
    for cell in cells:
        wanted.setdefault(cell.window, set()).add(cell.part)
    asked = {(cell.window, cell.subject) for cell in cells}
    ordered = sorted(asked, key=lambda one: (one[0], one[1].namespace, one[1].workload))
    by_window = [tuple(own) for _, own in groupby(ordered, key=lambda one: one[0])]
    for first in range(0, len(by_window), WINDOWS):
        pairs = [pair for own in by_window[first : first + WINDOWS] for pair in own]
        for start in range(0, len(pairs), largest):
            yield tuple(
                Slice(window, tuple(part for part in Part if part in wanted[window]), tuple(one for _, one in own))
                for window, own in groupby(pairs[start : start + largest], key=lambda one: one[0])
            )
