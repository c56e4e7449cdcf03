"""The tables of `canary list`, of rollouts that are over and of kept revisions.

Columns are as wide as what stands in them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from canary.api.revision import PromotedRevision
from canary.api.status import Outcome, Phase, RolloutSummary, Status

from . import times
from .terminal import PLAIN, Line, Screen, Span, Tone

LIST_HEADING = ("namespace", "name", "by", "phase", "weight", "canary", "since", "message")
LIST_TONED = LIST_HEADING.index("phase")
PHASES: dict[Phase, Tone] = {Phase.SUCCEEDED: "good", Phase.INITIALIZED: "good", Phase.FAILED: "bad"}


@dataclass(frozen=True)
class ListRow:
    """A Canary object, or a run's target."""

    namespace: str
    name: str
    by: str
    """Who moves it: `controller` or `run`; `nobody` is shown where no process is at work."""
    status: Status
    away: str = ""
    """Since when no process is at work on its rollout, and how it goes on; empty while one is, and at rest."""


def phase_of(status: Status) -> tuple[str, Tone]:
    """The phase; `Stalled` in place of an earlier success, where what is asked for now can't be had."""
    stalled = any(one.type == "Stalled" and one.status == "True" for one in status.conditions)
    if status.rollout is None and stalled and status.phase is not Phase.FAILED:
        return "Stalled", "bad"
    return status.phase.value, PHASES.get(status.phase, "accent")


def list_table(
    rows: Sequence[ListRow], now: datetime, screen: Screen = PLAIN, wide: bool = False, everywhere: bool = False
) -> list[str]:
    """Nothing without rows; `wide` cuts no sentence, `everywhere` tells namespaces."""
    skip = 0 if everywhere else 1
    heading, cells = LIST_HEADING[skip:], [_list_cells(row, now)[skip:] for row in rows]
    lines = _columns(heading, cells, LIST_TONED - skip, [phase_of(row.status)[1] for row in rows])
    return [screen.paint(line if wide else screen.clip(line)) for line in lines]


def _list_cells(row: ListRow, now: datetime) -> tuple[str, ...]:
    status = row.status
    rollout, since = status.rollout, status.last_transition_time
    weight = f"{rollout.desired.weight}%" if rollout else "–"
    version = rollout.canary_version if rollout else status.stable
    return (
        row.namespace,
        row.name,
        "none" if row.away else row.by,
        phase_of(status)[0],
        weight,
        str(version or "–"),
        times.lasting(now - since) if since else "–",
        f"{row.away}; {status.message}" if row.away else status.message,
    )


TONES: dict[Outcome, Tone] = {
    Outcome.PROMOTED: "good",
    Outcome.ROLLED_BACK: "bad",
    Outcome.REJECTED: "bad",
}
HEADING = ("#", "canary", "outcome", "reached", "took", "ended", "reason")
REVISIONS = ("revision", "name", "promoted", "serves", "images")
WHOLE = ("#", "versions", "started", "took", "outcome", "reached", "reason")


def history_table(history: Sequence[RolloutSummary], now: datetime, screen: Screen, wide: bool = False) -> list[Line]:
    """Nothing without history; `wide` tells the whole sentence instead of the reason's code."""
    cells = [_cells(one, now, screen, wide) for one in history]
    table = _columns(HEADING, cells, HEADING.index("outcome"), _tones(history))
    return [(), *table] if table else []


def history_lines(
    history: Sequence[RolloutSummary], now: datetime, screen: Screen = PLAIN, wide: bool = False
) -> list[str]:
    """`canary history`: the same with what served before and when each began; `wide` may be wider than the screen."""
    cells = [_whole(one, now, screen, wide) for one in history]
    table = _columns(WHOLE, cells, WHOLE.index("outcome"), _tones(history))
    return [screen.paint(line if wide else screen.clip(line)) for line in table]


def revision_lines(
    kept: Sequence[PromotedRevision], now: datetime, screen: Screen = PLAIN, wide: bool = False
) -> list[str]:
    """The revisions that can be gone back to; nothing without any."""
    cells = [_revision(one, now, screen) for one in kept]
    tones: list[Tone] = ["good" if one.serving else "" for one in kept]
    table = _columns(REVISIONS, cells, REVISIONS.index("serves"), tones)
    return [screen.paint(line if wide else screen.clip(line)) for line in table]


def _revision(one: PromotedRevision, now: datetime, screen: Screen) -> tuple[str, ...]:
    at = times.moment(one.promoted, now, screen.zone) if one.promoted else "–"
    return str(one.number), one.revision, at, "yes" if one.serving else "", ", ".join(one.images)


def _whole(one: RolloutSummary, now: datetime, screen: Screen, wide: bool) -> tuple[str, ...]:
    versions = f"{one.stable} {screen.signs.arrow} {one.canary}"
    number, _, outcome, reached, took, _, reason = _cells(one, now, screen, wide)
    return number, versions, times.moment(one.started, now, screen.zone), took, outcome, reached, reason


def _tones(history: Sequence[RolloutSummary]) -> list[Tone]:
    return [TONES.get(one.outcome, "") for one in history]


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


def _columns(heading: Sequence[str], rows: Sequence[Sequence[str]], toned: int, tones: Sequence[Tone]) -> list[Line]:
    """The heading and the rows, in each of which the cell `toned` has a tone; nothing without rows."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in (heading, *rows)) for column in range(len(heading) - 1)]
    lines: list[Line] = [(Span(_join(heading, widths), "dim"),)]
    for row, tone in zip(rows, tones, strict=True):
        before, at, after = (
            _join(row[start:end], widths[start:])
            for start, end in ((0, toned), (toned, toned + 1), (toned + 1, None))
        )
        lines.append((Span(before), Span(at, tone), Span(after)))
    return lines


def _join(row: Iterable[str], widths: Iterable[int]) -> str:
    """Cells, each with a gap after it; the table's last column has no width."""
    return "".join(f"{cell:<{width}}  " if width else cell for cell, width in zip(row, (*widths, 0), strict=False))
