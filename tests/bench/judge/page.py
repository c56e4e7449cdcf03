"""docs/judge.md, from the results of a run. The page has no figure of its own."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .bars import Bar, bars
from .contestants import CONTESTANTS
from .figures import Cell, Figure, Row
from .results import Results
from .validity import RATES, Validity

TEMPLATE = Path(__file__).with_name("page.md")
"""The words of the page."""


def page(results: Results) -> str:
    """The whole page."""
    rows, found = results.rows, list(bars(results.rows, results.valid))
    counts = sorted({one.rollouts for one in rows})
    said = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} (bad) or {counts[-1]:,} (healthy)"
    return TEMPLATE.read_text("utf-8").format(
        minutes=max(round(results.seconds / 60), 1),
        promises="\n".join(_promises(found)),
        rollouts=said,
        interval=results.interval,
        healthy="\n".join(_healthy([one for one in rows if not one.bad])),
        bad="\n".join(_bad([one for one in rows if one.bad])),
        validity="\n".join(_validity(results.valid)),
        losses="\n".join(_losses(found)),
    )


def _promises(found: Sequence[Bar]) -> Iterator[str]:
    yield "| Aim | Found | Reached |"
    yield "|---|---|---|"
    for one in found:
        kept = "yes" if not one.missed else f"not in {len(one.missed)}, [see below](#where-it-loses)"
        yield f"| {one.promise} | {one.found} | {kept} |"


def _losses(found: Sequence[Bar]) -> Iterator[str]:
    if all(not one.missed for one in found):
        yield "Every aim above is reached in every scenario."
    for one in found:
        if one.missed:
            yield f"- **{one.promise}.** Not in: {'; '.join(one.missed)}."


def _healthy(rows: Sequence[Row]) -> Iterator[str]:
    yield "## Healthy canaries\n"
    yield "Rolled back, of all rollouts (the upper end of the interval in brackets):\n"
    yield from _table(rows, lambda cell: f"{_percent(cell.rolled_back.value)} ({_percent(cell.rolled_back.high)})")
    yield "\nPromoted after (undecided rollouts in brackets):\n"
    yield from _table(rows, _promotion)


def _promotion(cell: Cell) -> str:
    undecided = f" ({_percent(cell.undecided)})" if cell.undecided else ""
    return _time(cell.promotion_seconds) + undecided


def _bad(rows: Sequence[Row]) -> Iterator[str]:
    yield "## Bad canaries\n"
    yield "![Harmed requests by scenario and judge](judge.svg)\n"
    yield "Harmed requests:\n"
    yield from _table(rows, lambda cell: _range(cell.harmed), ("of Flagger's 60 s × 5", _of_flagger))
    yield "\nPromoted, which is a missed regression (undecided rollouts in brackets):\n"
    yield from _table(rows, _promoted)
    yield "\nRolled back after:\n"
    yield from _table(rows, lambda cell: _time(cell.rollback_seconds))


def _promoted(cell: Cell) -> str:
    undecided = f" ({_percent(cell.undecided)})" if cell.undecided else ""
    return f"{_percent(cell.promoted.value)}{undecided}"


def _of_flagger(row: Row) -> str:
    found = row.harm_ratio
    return "–" if found is None else f"{found.value:.2f} ({found.low:.2f}–{found.high:.2f})"


def _table(
    rows: Sequence[Row], cell: Callable[[Cell], str], more: tuple[str, Callable[[Row], str]] | None = None
) -> Iterator[str]:
    """A row for each scenario, a column for each judge, and perhaps one more."""
    names = [*CONTESTANTS, *([more[0]] if more else [])]
    yield "| Scenario | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for row in rows:
        cells = [cell(row.cells[name]) for name in CONTESTANTS] + ([more[1](row)] if more else [])
        yield f"| {row.name} | " + " | ".join(cells) + " |"


def _validity(found: Sequence[Validity]) -> Iterator[str]:
    yield "## How often evidence is wrong\n"
    yield f"Evidence is looked at 240 times, in {found[0].rollouts:,} simulated rollouts where the null hypothesis is"
    yield "exactly true. It may reach its bar of 100 in 1% of them; the upper end of the interval is in brackets.\n"
    yield "| Base error rate | " + " | ".join(f"{100 * one:g}%" for one in RATES) + " |"
    yield "|---" * (len(RATES) + 1) + "|"
    for form in dict.fromkeys(one.form for one in found):
        cells = [one for one in found if one.form == form]
        shown = (f"{100 * one.crossed / one.rollouts:.2f}% ({100 * one.interval[1]:.2f}%)" for one in cells)
        yield f"| {form} | " + " | ".join(shown) + " |"


def _percent(part: float) -> str:
    shown = 100 * part
    return f"{shown:.1f}%".replace(".0%", "%") if 0 < shown < 10 or 99 < shown < 100 else f"{shown:.0f}%"


def _time(found: Figure | None) -> str:
    return "–" if found is None else f"{found.value:.0f} s"


def _range(found: Figure) -> str:
    return f"{_number(found.value)} ({_number(max(found.low, 0))}–{_number(found.high)})"


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
