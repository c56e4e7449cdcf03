"""What the judge is to show, and whether it does: each bar as a sentence with its figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .contestants import FLAGGER, OURS
from .figures import Row
from .validity import Validity

FALSE, CLUSTERED, HALF, LONGER, LEAST_RPS = 0.01, 0.02, 0.5, 1.25, 5.0
CALM = "as stable,"
"""Begins the name of a healthy scenario without any disturbance."""


@dataclass(frozen=True)
class Bar:
    """One promise."""

    promise: str
    found: str
    missed: tuple[str, ...]
    """Where it isn't kept."""


def bars(rows: Sequence[Row], valid: Sequence[Validity]) -> Iterator[Bar]:
    """In the order of the page."""
    healthy = [one for one in rows if not one.bad and not one.silent]
    yield _false("without clusters", [one for one in healthy if not one.clustered], FALSE)
    yield _false("with clustered errors", [one for one in healthy if one.clustered], CLUSTERED)
    silent = [one for one in rows if one.silent]
    yield Bar(
        "No rollback without data",
        "; ".join(f"{one.cells[OURS].rolled_back.value:.0%} of {one.rollouts}" for one in silent),
        tuple(one.name for one in silent if one.cells[OURS].rolled_back.value > 0),
    )
    busy = [one for one in rows if one.bad and one.rps >= LEAST_RPS]
    yield _harm(busy)
    yield _promoted([one for one in rows if one.bad])
    yield _time([one for one in rows if one.name.startswith(CALM) and one.rps >= LEAST_RPS])
    worst = max(valid, key=lambda one: one.crossed / one.rollouts)
    yield Bar(
        "Evidence reaches its bar wrongly in at most 1%, in 240 evaluations (upper end of the 95% interval)",
        f"at worst {worst.crossed} of {worst.rollouts}, at most {100 * worst.interval[1]:.2f}%",
        tuple(f"{one.form}, {100 * one.rate:g}%" for one in valid if one.interval[1] > FALSE),
    )


def _false(what: str, rows: Sequence[Row], most: float) -> Bar:
    highest = max(rows, key=lambda one: one.cells[OURS].rolled_back.high)
    found = highest.cells[OURS].rolled_back
    return Bar(
        f"False rollbacks {what}: at most {100 * most:g}% (upper end of the 95% interval)",
        f"at worst {100 * found.value:.2f}%, at most {100 * found.high:.2f}% ({highest.name})",
        tuple(one.name for one in rows if one.cells[OURS].rolled_back.high > most),
    )


def _harm(rows: Sequence[Row]) -> Bar:
    known = [(one, one.harm_ratio.value) for one in rows if one.harm_ratio is not None]
    total, theirs = (sum(row.cells[name].harmed.value for row, _ in known) for name in (OURS, FLAGGER))
    return Bar(
        "Mean harm at most half of Flagger's with 60 s × 5, from 5 rps on",
        f"{100 * total / theirs:.0f}% of Flagger's summed over these scenarios; at most half in"
        f" {sum(value <= HALF for _, value in known)} of {len(known)}",
        tuple(f"{row.name} ({value:.2f})" for row, value in known if value > HALF),
    )


def _promoted(rows: Sequence[Row]) -> Bar:
    missed = []
    for row in rows:
        worse = {name: one for name, one in row.more_promoted.items() if one.value > 0}
        if worse:
            name = max(worse, key=lambda one: worse[one].value)
            ours, theirs = row.cells[OURS].promoted.value, row.cells[name].promoted.value
            sure = "" if worse[name].low > 0 else ", within chance"
            missed.append(f"{row.name} ({100 * ours:.1f}%, {name} {100 * theirs:.1f}%{sure})")
    return Bar(
        "No more bad promotions than any competitor in any scenario",
        f"not more in {len(rows) - len(missed)} of {len(rows)}",
        tuple(missed),
    )


def _time(rows: Sequence[Row]) -> Bar:
    times = []
    for row in rows:
        ours, theirs = (row.cells[name].promotion_seconds for name in (OURS, FLAGGER))
        if ours is not None and theirs is not None:
            times.append((row, ours.value / theirs.value))
    return Bar(
        "A healthy canary is promoted in at most 1.25 × Flagger's time (median), from 5 rps on",
        ", ".join(f"{value:.2f} × at {row.rps:g} rps" for row, value in times),
        tuple(f"{row.name} ({value:.2f})" for row, value in times if value > LONGER),
    )
