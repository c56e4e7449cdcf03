"""The table of `canary list`: one row a Canary, as wide as what stands in it; the sentence gives way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from canary.api.status import Status

from . import times
from .screen import PLAIN, Line, Screen, Span
from .summary import PHASES

HEADING = ("namespace", "name", "by", "phase", "weight", "canary", "since", "message")
TONED = HEADING.index("phase")


@dataclass(frozen=True)
class Row:
    """A Canary object, or a run's target."""

    namespace: str
    name: str
    by: str
    """Who moves it: `controller` or `run`."""
    status: Status


def table(
    rows: Sequence[Row], now: datetime, screen: Screen = PLAIN, wide: bool = False, everywhere: bool = False
) -> list[str]:
    """Nothing without rows; `wide` cuts no sentence, `everywhere` tells namespaces."""
    if not rows:
        return []
    skip = 0 if everywhere else 1
    heading, cells = HEADING[skip:], [_cells(row, now)[skip:] for row in rows]
    widths = [max(len(row[column]) for row in (heading, *cells)) for column in range(len(heading) - 1)]
    lines: list[Line] = [(Span(_join(heading, widths), "dim"),)]
    for row, of in zip(cells, rows, strict=True):
        at, tone = TONED - skip, PHASES.get(of.status.phase, "accent")
        parts = (
            _join(row[:at], widths),
            _join(row[at : at + 1], widths[at:]),
            _join(row[at + 1 :], widths[at + 1 :]),
        )
        lines.append((Span(parts[0]), Span(parts[1], tone), Span(parts[2])))
    return [screen.paint(line if wide else screen.clip(line)) for line in lines]


def _cells(row: Row, now: datetime) -> tuple[str, ...]:
    status = row.status
    rollout, since = status.rollout, status.last_transition_time
    weight = f"{rollout.meant.weight}%" if rollout else "–"
    version = rollout.canary if rollout else status.stable
    return (
        row.namespace,
        row.name,
        row.by,
        status.phase.value,
        weight,
        str(version or "–"),
        times.lasting(now - since) if since else "–",
        status.message,
    )


def _join(row: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{cell:<{width}}  " if width else cell for cell, width in zip(row, (*widths, 0), strict=False))
