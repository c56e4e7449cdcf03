"""The table of rollouts that are over, newest first; columns are as wide as what stands in them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from canary.api.status import Outcome, RolloutSummary

from . import times
from .screen import PLAIN, Line, Screen, Span, Tone

TONES: dict[Outcome, Tone] = {
    Outcome.PROMOTED: "good",
    Outcome.ROLLED_BACK: "bad",
    Outcome.REJECTED: "bad",
}
HEADING = ("#", "canary", "outcome", "reached", "took", "ended", "reason")
WHOLE = ("#", "versions", "started", "took", "outcome", "reached", "reason")


def table(history: Sequence[RolloutSummary], now: datetime, screen: Screen, wide: bool = False) -> list[Line]:
    """Nothing without history; `wide` tells the whole sentence instead of the reason's code."""
    if not history:
        return []
    cells = [_cells(one, now, screen, wide) for one in history]
    widths = [max(len(row[column]) for row in (HEADING, *cells)) for column in range(len(HEADING) - 1)]
    heading: Line = (Span(_join(HEADING, widths), "dim"),)
    rows = [_row(row, widths, one.outcome) for row, one in zip(cells, history, strict=True)]
    return [(), heading, *rows]


def lines(history: Sequence[RolloutSummary], now: datetime, screen: Screen = PLAIN, wide: bool = False) -> list[str]:
    """`canary history`: the same with what served before and when each began; `wide` may be wider than the screen."""
    if not history:
        return []
    cells = [_whole(one, now, screen, wide) for one in history]
    widths = [max(len(row[column]) for row in (WHOLE, *cells)) for column in range(len(WHOLE) - 1)]
    table: list[Line] = [(Span(_join(WHOLE, widths), "dim"),)]
    for row, one in zip(cells, history, strict=True):
        parts = (_join(row[:4], widths), _join(row[4:5], widths[4:]), _join(row[5:], widths[5:]))
        table.append((Span(parts[0]), Span(parts[1], TONES.get(one.outcome, "")), Span(parts[2])))
    return [screen.paint(line if wide else screen.clip(line)) for line in table]


def _whole(one: RolloutSummary, now: datetime, screen: Screen, wide: bool) -> tuple[str, ...]:
    versions = f"{one.stable} {screen.signs.arrow} {one.canary}"
    number, _, outcome, reached, took, _, reason = _cells(one, now, screen, wide)
    return number, versions, times.moment(one.started, now, screen.zone), took, outcome, reached, reason


def _row(cells: Sequence[str], widths: Sequence[int], outcome: Outcome) -> Line:
    return (
        Span(_join(cells[:2], widths)),
        Span(_join(cells[2:3], widths[2:]), TONES.get(outcome, "")),
        Span(_join(cells[3:], widths[3:])),
    )


def _cells(one: RolloutSummary, now: datetime, screen: Screen, wide: bool) -> tuple[str, ...]:
    return (
        str(one.number),
        str(one.canary),
        one.outcome.value,
        f"{one.weight}%",
        times.lasting(one.ended - one.started),
        times.moment(one.ended, now, screen.zone),
        one.message if wide else one.reason,
    )


def _join(row: Iterable[str], widths: Iterable[int]) -> str:
    """Cells, each with a gap after it; the table's last column has no width."""
    return "".join(f"{cell:<{width}}  " if width else cell for cell, width in zip(row, (*widths, 0), strict=False))
