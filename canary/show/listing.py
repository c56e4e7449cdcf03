"""The table of `canary list`: one row a Canary, as wide as what stands in it; the sentence gives way."""

from collections.abc import Sequence
from datetime import datetime

from canary.api.status import Status

from . import times
from .screen import PLAIN, Line, Screen, Span
from .summary import PHASES

HEADING = ("name", "phase", "weight", "canary", "since", "message")


def table(rows: Sequence[tuple[str, Status]], now: datetime, screen: Screen = PLAIN, wide: bool = False) -> list[str]:
    """Nothing without rows; `wide` cuts no sentence."""
    if not rows:
        return []
    cells = [_cells(name, status, now) for name, status in rows]
    widths = [max(len(row[column]) for row in (HEADING, *cells)) for column in range(len(HEADING) - 1)]
    lines: list[Line] = [(Span(_join(HEADING, widths), "dim"),)]
    for row, (_, status) in zip(cells, rows, strict=True):
        tone = PHASES.get(status.phase, "accent")
        lines.append(
            (Span(_join(row[:1], widths)), Span(_join(row[1:2], widths[1:]), tone), Span(_join(row[2:], widths[2:])))
        )
    return [screen.paint(line if wide else screen.clip(line)) for line in lines]


def _cells(name: str, status: Status, now: datetime) -> tuple[str, ...]:
    rollout, since = status.rollout, status.last_transition_time
    weight = f"{rollout.meant.weight}%" if rollout else "–"
    version = rollout.canary if rollout else status.stable
    return (
        name,
        status.phase.value,
        weight,
        str(version or "–"),
        times.lasting(now - since) if since else "–",
        status.message,
    )


def _join(row: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{cell:<{width}}  " if width else cell for cell, width in zip(row, (*widths, 0), strict=False))
