"""What is asked together: queries → as few requests as possible, and halves of a request that was too much. Pure.

Builtins of one server make one request for up to `WINDOWS` windows, whatever their subjects and parts; rows bear the
window that they are for. What has new series is asked a second time (`growth.py` says why). The regular expressions
select more than was asked (namespaces × workloads), and `share` picks each subject's own rows. `prometheus.py` sends
the requests.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby

from canary.engine.errors import Invalid
from canary.engine.observed import Kind, Missing, Query, Shape, Subject

from .answers import Row
from .growth import NEW, builtin, together
from .promql import MILLISECOND, WINDOW, Dialect, Part, Table, custom, duration, parts

LARGEST = 500
"""Subjects in one request, those of each window counted: about 100 KB of PromQL for each part."""

WINDOWS = 20
"""Windows in one request: more than the twelve of a minute at 5 s. Until prometheus#14816 (2.42 is older) each node
of an expression makes all later ones slower, so that one request for 60 windows takes almost twice the work of three
for 20; fewer gain little."""


@dataclass(frozen=True)
class Cell:
    """The least that can be asked of a builtin: one part of one subject."""

    server: str
    window: timedelta
    """In whole milliseconds, as it is asked."""
    subject: Subject
    part: Part


@dataclass(frozen=True)
class Slice:
    """What is asked over one window. The subjects all have a namespace, or none has."""

    window: timedelta
    parts: tuple[Part, ...]
    subjects: tuple[Subject, ...]

    def text(self, dialect: Dialect, *, new: bool) -> str:
        """The PromQL."""
        return builtin(dialect, self.parts, self.subjects, self.window, new=new)

    def cells(self, server: str) -> list[Cell]:
        """All that the answer covers."""
        return [Cell(server, self.window, subject, part) for subject in self.subjects for part in self.parts]

    def halves(self) -> "tuple[Slice, Slice] | None":
        """Two of them for the same; None where nothing is left to divide. Parts are divided first."""
        if len(self.parts) > 1:
            return replace(self, parts=self.parts[:1]), replace(self, parts=self.parts[1:])
        if len(self.subjects) > 1:
            middle = len(self.subjects) // 2
            left, right = self.subjects[:middle], self.subjects[middle:]
            return replace(self, subjects=left), replace(self, subjects=right)
        return None

    def share(self, table: Table, rows: Iterable[Row]) -> Iterator[tuple[Subject, Part, Row]]:
        """Whose each of this window's rows is; nobody's are left out."""
        spaced = table.namespace is not None and bool(self.subjects[0].namespace)
        known: dict[tuple[str, ...], list[Subject]] = {}
        for subject in self.subjects:
            known.setdefault((subject.namespace if spaced else "", subject.workload), []).append(subject)
            known.setdefault((subject.host,), []).append(subject)
        for row in rows:
            part = row.part(table)
            namespace = row.labels.get(table.namespace or "", "") if spaced else ""
            workload, host = (row.labels.get(label or "", "") for label in (table.workload, table.host))
            for subject in known.get((host,) if part is Part.STRANDED else (namespace, workload), ()):
                yield subject, part, row


@dataclass(frozen=True)
class Batch:
    """Builtins that are asked in one request: one slice for each window."""

    server: str
    slices: tuple[Slice, ...]
    new: bool = False
    """Whether new series are judged."""

    def text(self, dialect: Dialect) -> str:
        """The PromQL. Where there is one window only, rows don't say which."""
        if len(self.slices) == 1:
            return self.slices[0].text(dialect, new=self.new)
        return together((one.window, one.text(dialect, new=self.new)) for one in self.slices)

    def cells(self) -> list[Cell]:
        """All that the answer covers."""
        return [cell for one in self.slices for cell in one.cells(self.server)]

    def halves(self) -> "tuple[Batch, Batch] | None":
        """Two requests for the same; None where nothing is left to divide. Windows are divided first."""
        if len(self.slices) > 1:
            middle = len(self.slices) // 2
            return replace(self, slices=self.slices[:middle]), replace(self, slices=self.slices[middle:])
        halves = self.slices[0].halves()
        return halves and (replace(self, slices=halves[:1]), replace(self, slices=halves[1:]))

    def share(self, table: Table, rows: Iterable[Row]) -> dict[Cell, tuple[Row, ...]]:
        """Each cell's own rows."""
        shares: dict[Cell, list[Row]] = {cell: [] for cell in self.cells()}
        by_window: dict[str, list[Row]] = {}
        for row in rows:
            by_window.setdefault(row.labels.get(WINDOW, ""), []).append(row)
        for one in self.slices:
            own = by_window.get(duration(one.window) if len(self.slices) > 1 else "", ())
            for subject, part, row in one.share(table, own):
                shares[Cell(self.server, one.window, subject, part)].append(row)
        return {cell: tuple(its) for cell, its in shares.items()}

    def again(self, shares: Mapping[Cell, Iterable[Row]]) -> "Batch | None":
        """What must be asked with new series judged; None where there are none."""
        cells = [cell for cell, own in shares.items() if any(row.value == NEW for row in own)]
        return Batch(self.server, next(_slices(cells, len(cells))), new=True) if cells and not self.new else None


@dataclass(frozen=True)
class Question:
    """A query of the user's, ready to be asked."""

    server: str
    text: str


@dataclass
class Plan:
    """The requests to make, and which of them answer which query."""

    batches: list[Batch] = field(default_factory=list)
    cells: dict[Query, tuple[Cell, ...]] = field(default_factory=dict)
    questions: dict[Query, Question] = field(default_factory=dict)
    refused: dict[Query, Missing] = field(default_factory=dict)
    """Queries that can't be asked at all."""


def plan(queries: Iterable[Query], home: str | None, table: Table, largest: int = LARGEST) -> Plan:
    """The requests for these queries; `home` is the server of those that name none."""
    made = Plan()
    for query in queries:
        server = query.server.rstrip("/") if query.server else home
        try:
            if server is None:
                raise Invalid("there is no Prometheus to ask; metricsServer names one")
            duration(query.window)
            if query.text is not None:
                if query.shape is not Shape.VALUE:
                    raise Invalid("a query gives one number; only builtins give counts")
                made.questions[query] = Question(server, custom(query))
            else:
                asked = parts(query, table)
                window = query.window // MILLISECOND * MILLISECOND
                made.cells[query] = tuple(Cell(server, window, query.subject, part) for part in asked)
        except Invalid as error:
            made.refused[query] = Missing(Kind.INVALID, str(error))
    made.batches = _batches([cell for cells in made.cells.values() for cell in cells], largest)
    return made


def _batches(cells: Sequence[Cell], largest: int) -> list[Batch]:
    groups: dict[tuple[str, bool], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.server, bool(cell.subject.namespace)), []).append(cell)
    return [Batch(server, slices) for (server, _), group in groups.items() for slices in _slices(group, largest)]


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
