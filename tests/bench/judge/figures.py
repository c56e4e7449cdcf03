"""What the page says of the rollouts: shares, means and medians with 95% intervals, and comparisons by pairs."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from canary.characteristics.arrays import Bools, Floats
from canary.characteristics.intervals import Z95, wilson
from canary.characteristics.rollouts import PROMOTED, ROLLED_BACK, RUNNING

from .contestants import FLAGGER, OURS
from .scenarios import Scenario
from .simulate import Found, Outcomes


@dataclass(frozen=True)
class Figure:
    """A value and its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """One contestant in one scenario. Shares are 0 to 1, times seconds."""

    rolled_back: Figure
    promoted: Figure
    undecided: float
    rollback_seconds: Figure | None
    """Median of those rolled back; None if less than one in twenty was."""
    promotion_seconds: Figure | None
    harmed: Figure
    """Mean of requests harmed, an hour after a promotion included."""


@dataclass(frozen=True)
class Row:
    """One scenario."""

    name: str
    bad: bool
    clustered: bool
    silent: bool
    rps: float
    rollouts: int
    cells: Mapping[str, Cell]
    """By contestant."""
    harm_ratio: Figure | None
    """The judge's mean harm, in units of Flagger's; None for a healthy canary."""
    more_promoted: Mapping[str, Figure]
    """By competitor: how many more of a bad canary's rollouts the judge promotes; below 0 for fewer."""


def row_of(scenario: Scenario, found: Found) -> Row:
    """Sums up."""
    ours = found[OURS]
    others = {name: one for name, one in found.items() if name != OURS}
    return Row(
        scenario.name,
        scenario.bad,
        scenario.clustered,
        scenario.silent,
        scenario.service.rps,
        len(ours.outcome),
        {name: _cell(one) for name, one in found.items()},
        ratio(ours.harmed, found[FLAGGER].harmed) if scenario.bad else None,
        {name: _more(ours, one) for name, one in others.items()} if scenario.bad else {},
    )


def _cell(found: Outcomes) -> Cell:
    return Cell(
        share(found.outcome == ROLLED_BACK),
        share(found.outcome == PROMOTED),
        float(np.mean(found.outcome == RUNNING)),
        median(found.ended[found.outcome == ROLLED_BACK], len(found.ended)),
        median(found.ended[found.outcome == PROMOTED], len(found.ended)),
        mean(found.harmed),
    )


def share(hits: Bools) -> Figure:
    """Wilson's interval."""
    count, trials = int(hits.sum()), len(hits)
    low, high = wilson(count, trials)
    return Figure(count / trials, low, high)


def mean(values: Floats) -> Figure:
    """The normal interval, for there are hundreds of values."""
    middle, half = float(values.mean()), Z95 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Figure(middle, middle - half, middle + half)


def median(values: Floats, trials: int) -> Figure | None:
    """The interval is between two order statistics (David and Nagaraja, Order Statistics, 2003, 7.1)."""
    count = len(values)
    if count < max(trials / 20, 2):
        return None
    ordered, half = np.sort(values), Z95 * math.sqrt(count) / 2
    low, high = max(math.floor(count / 2 - half), 0), min(math.ceil(count / 2 + half), count - 1)
    return Figure(float(np.median(values)), float(ordered[low]), float(ordered[high]))


def ratio(ours: Floats, theirs: Floats) -> Figure | None:
    """Of two means over the same rollouts; the interval by the delta method. None where theirs is 0."""
    base = float(theirs.mean())
    if base <= 0:
        return None
    value = float(ours.mean()) / base
    half = mean(ours - value * theirs)
    return Figure(value, value + half.low / base, value + half.high / base)


def _more(ours: Outcomes, theirs: Outcomes) -> Figure:
    """By pairs, as both had the same requests."""
    return mean((ours.outcome == PROMOTED).astype(float) - (theirs.outcome == PROMOTED))


def wire(row: Row) -> dict[str, Any]:
    """As JSON keeps it, with five digits."""
    rounded: dict[str, Any] = _rounded(asdict(row))
    return rounded


def _rounded(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _rounded(one) for name, one in found.items()}
    return float(f"{found:.5g}") if isinstance(found, float) else found


def read(kept: Mapping[str, Any]) -> Row:
    """What `wire` wrote."""
    cells = {name: Cell(**{key: _figure(value) for key, value in one.items()}) for name, one in kept["cells"].items()}
    more = {name: Figure(**one) for name, one in kept["more_promoted"].items()}
    known = {**kept, "cells": cells, "more_promoted": more, "harm_ratio": _figure(kept["harm_ratio"])}
    return Row(**known)


def _figure(found: Any) -> Any:
    return Figure(**found) if isinstance(found, dict) else found
