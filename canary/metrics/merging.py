"""What is asked together: queries → as few requests as possible, and halves of a request that was too much. Pure.

Builtins of one server and one window make one request, whatever their subjects and parts; the regular expressions
in it select more than was asked (namespaces × workloads), and `Batch.share` picks each subject's own rows.
`prometheus.py` sends the requests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from canary.engine.errors import Invalid
from canary.engine.observed import Kind, Missing, Query, Shape, Subject

from .answers import Row
from .promql import Dialect, Part, Table, builtin, custom, duration, parts

LARGEST = 500
"""Subjects in one request: about 100 KB of PromQL for each part."""


@dataclass(frozen=True)
class Cell:
    """The least that can be asked of a builtin: one part of one subject."""

    server: str
    window: timedelta
    subject: Subject
    part: Part


@dataclass(frozen=True)
class Batch:
    """Builtins that are asked in one request. Their subjects all have a namespace, or none has."""

    server: str
    window: timedelta
    parts: tuple[Part, ...]
    subjects: tuple[Subject, ...]

    def text(self, dialect: Dialect) -> str:
        """The PromQL."""
        return builtin(dialect, self.parts, self.subjects, self.window)

    def cells(self) -> list[Cell]:
        """All that the answer covers."""
        return [Cell(self.server, self.window, subject, part) for subject in self.subjects for part in self.parts]

    def halves(self) -> "tuple[Batch, Batch] | None":
        """Two requests for the same; None where nothing is left to divide. Parts are divided first."""
        if len(self.parts) > 1:
            return replace(self, parts=self.parts[:1]), replace(self, parts=self.parts[1:])
        if len(self.subjects) > 1:
            middle = len(self.subjects) // 2
            left, right = self.subjects[:middle], self.subjects[middle:]
            return replace(self, subjects=left), replace(self, subjects=right)
        return None

    def share(self, table: Table, rows: Iterable[Row]) -> dict[Cell, tuple[Row, ...]]:
        """Each cell's own rows."""
        shares: dict[Cell, list[Row]] = {cell: [] for cell in self.cells()}
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
                shares[Cell(self.server, self.window, subject, part)].append(row)
        return {cell: tuple(own) for cell, own in shares.items()}


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
                made.cells[query] = tuple(Cell(server, query.window, query.subject, part) for part in asked)
        except Invalid as error:
            made.refused[query] = Missing(Kind.INVALID, str(error))
    made.batches = _batches([cell for cells in made.cells.values() for cell in cells], largest)
    return made


def _batches(cells: Sequence[Cell], largest: int) -> list[Batch]:
    groups: dict[tuple[str, timedelta, bool], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.server, cell.window, bool(cell.subject.namespace)), []).append(cell)
    batches = []
    for (server, window, _), group in groups.items():
        wanted = {cell.part for cell in group}
        ordered = tuple(part for part in Part if part in wanted)
        subjects = tuple(sorted({cell.subject for cell in group}, key=lambda one: (one.namespace, one.workload)))
        batches += [
            Batch(server, window, ordered, subjects[start : start + largest])
            for start in range(0, len(subjects), largest)
        ]
    return batches
