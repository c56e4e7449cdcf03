"""What `canary policy report` shows: a table, JSON, or a plot of how good and bad canaries fare."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from canary.characteristics.intervals import wilson
from canary.characteristics.plan import LOAD, MATCHED
from canary.characteristics.report import Row, Simulation

from . import svg, times
from .terminal import Line, Screen, Span, Tone

HEADING = ("canary", "rollback", "after", "promoted", "after", "open", "harmed", "+1h")
"""Short, so that a terminal of 80 columns has room for the table."""
SHOWN = 6
"""Steps of the plan that are shown."""
HELD = 0.5
"""Undecided more often than this is said."""
WIDTH, HEIGHT, LEFT, TOP = 340.0, 220.0, 56.0, 56.0


def wire(simulation: Simulation, rows: Sequence[Row]) -> dict[str, Any]:
    """For programs."""
    traffic = simulation.traffic
    return {
        "canary": simulation.spec.manifest.metadata.name,
        "judge": simulation.judge,
        "rps": traffic.rps,
        "errorRate": traffic.errors,
        "seed": simulation.seed,
        "horizonSeconds": simulation.horizon,
        "passing": assumed(simulation),
        "notJudged": unjudged(simulation),
        "rows": [row.wire() for row in rows],
    }


def assumed(simulation: Simulation) -> list[str]:
    """Metrics that pass in each simulated evaluation."""
    own = [one for one in simulation.policy.metrics if one.own]
    left_out = unjudged(simulation)
    return [one.name for one in own if one.name not in left_out]


def unjudged(simulation: Simulation) -> list[str]:
    """Metrics that the judge leaves out: `sequential` takes those that count events."""
    if simulation.policy.sequential is None:
        return []
    return [one.name for one in simulation.policy.metrics if one.query is not None and one.counts is None]


def lines(simulation: Simulation, rows: Sequence[Row], screen: Screen) -> Iterator[str]:
    """For people."""
    yield screen.paint(_title(simulation))
    said = f"{_steps(simulation, screen)}; {rows[0].rollouts} simulated rollouts in each row, seed {simulation.seed}"
    yield screen.paint((Span(said, "dim"),))
    yield ""
    cells = [_cells(row, screen) for row in rows]
    widths = [max(len(one[column]) for one in (HEADING, *cells)) for column in range(len(HEADING))]
    yield screen.paint((Span(_joined(HEADING, widths), "dim"),))
    for row, texts in zip(rows, cells, strict=True):
        yield screen.paint((Span(_joined(texts, widths), _tone(row)),))
    yield ""
    yield from (screen.paint((Span(one),)) for one in _sentences(simulation, rows))


def _title(simulation: Simulation) -> Line:
    name, traffic = simulation.spec.manifest.metadata.name, simulation.traffic
    said = f"  judge {simulation.judge}, {traffic.rps:g} requests/s, {_percent(traffic.errors)} errors"
    return Span(name, "strong"), Span(said)


def _steps(simulation: Simulation, screen: Screen) -> str:
    weights = f" {screen.signs.arrow} ".join(f"{one.weight}%" for one in simulation.stages[:SHOWN])
    return f"{weights} {screen.signs.more}" if len(simulation.stages) > SHOWN else weights


def _cells(row: Row, screen: Screen) -> tuple[str, ...]:
    undecided = row.rollouts - row.rolled_back - row.promoted
    name = row.regression.name.replace(" of requests", " are")
    return (
        name if screen.unicode else name.replace("×", "x"),
        _part(row.rolled_back, row.rollouts),
        _after(row.rollback_seconds, screen.signs.none),
        _part(row.promoted, row.rollouts),
        _after(row.promotion_seconds, screen.signs.none),
        _part(undecided, row.rollouts),
        _number(row.harmed_until),
        _number(row.harmed),
    )


def _tone(row: Row) -> Tone:
    wrong = row.rolled_back if row.regression.healthy else row.promoted
    share = wrong / row.rollouts
    return "good" if share <= 0.01 else "warn" if share <= 0.5 else "bad"


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = f"{cells[0]:<{widths[0]}}"
    return "  ".join((first, *(f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True))))


def _sentences(simulation: Simulation, rows: Sequence[Row]) -> Iterator[str]:
    healthy = rows[0]
    low, high = (_percent(one) for one in wilson(healthy.rolled_back, healthy.rollouts))
    yield f"A canary as good as stable is rolled back in {low} to {high} of the rollouts (95% interval)."
    if healthy.rollouts - healthy.rolled_back - healthy.promoted > HELD * healthy.rollouts:
        yield f"Most are not decided within {times.lasting(timedelta(seconds=simulation.horizon))} at this traffic."
    yield "open: not decided at the end of the simulation. harmed: requests that fail or"
    yield "are slow because they met the canary; +1h: with an hour after a promotion. Both"
    yield "are means. Times are medians, from the first request to the canary."
    if simulation.slowest is None:
        yield "The analysis doesn't judge latency: a canary that is only slow is promoted."
    if own := assumed(simulation):
        yield f"Your own metrics pass in each evaluation, here {', '.join(own)}."
    if own := unjudged(simulation):
        yield f"The judge {simulation.judge} doesn't judge queries that count no events, here {', '.join(own)}."
    if simulation.loaded:
        yield f"Webhooks are taken to send {LOAD}% of all requests to the canary where no user does."
    if any(step.traffic.match for step in simulation.spec.plan.steps):
        yield f"Requests that match are taken to be {MATCHED}% of all."


def _part(hits: int, trials: int) -> str:
    return _percent(hits / trials)


def _percent(share: float) -> str:
    """With a place more near both ends: 0.2%, 12%, 99.8%."""
    shown = 100 * share
    return f"{shown:.1f}".removesuffix(".0") + "%" if shown < 10 or shown > 99 else f"{shown:.0f}%"


def _after(seconds: float | None, none: str = "") -> str:
    return none if seconds is None else times.lasting(timedelta(seconds=seconds))


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def drawn(simulation: Simulation, rows: Sequence[Row]) -> str:
    """SVG with two curves over the canary's true error rate: the chance of a rollback, and the median time to it."""
    known = [row for row in rows if row.regression.errors]
    traffic = simulation.traffic
    title = f"{simulation.spec.manifest.metadata.name}: judge {simulation.judge}, {traffic.rps:g} requests/s"
    shapes = [svg.text((LEFT, 22), title, style="title")]
    shapes += _panel(known, 0, "chance of a rollback, with 95% interval", _chance, lambda value: f"{value:.0f}%")
    late = [row for row in known if row.rollback_seconds is not None and row.rolled_back > row.rollouts / 20]
    shapes += _panel(late, 1, "median time to rollback", _seconds, _after)
    return svg.document(2 * (WIDTH + LEFT) + 40, TOP + HEIGHT + 64, title, shapes)


def _chance(row: Row) -> tuple[float, float, float]:
    low, high = wilson(row.rolled_back, row.rollouts)
    return 100 * row.rolled_back / row.rollouts, 100 * low, 100 * high


def _seconds(row: Row) -> tuple[float, float, float]:
    value = row.rollback_seconds or 0.0
    return value, value, value


def _panel(
    rows: Sequence[Row],
    place: int,
    title: str,
    value: Callable[[Row], tuple[float, float, float]],
    said: Callable[[float], str],
) -> Iterator[str]:
    """One curve in its frame."""
    x0, colour = LEFT + place * (WIDTH + LEFT + 10), svg.COLOURS[place]
    top = max([100.0, *(value(row)[0] for row in rows)]) if place == 0 else max([60.0, *(value(r)[0] for r in rows)])
    yield svg.text((x0, TOP - 12), title, style="small")
    for part in range(5):
        y = TOP + HEIGHT * (1 - part / 4)
        yield svg.line((x0, y), (x0 + WIDTH, y))
        yield svg.text((x0 - 6, y + 4), said(top * part / 4), "end", "small")
    for rate in (1e-4, 1e-3, 0.01, 0.1, 1.0):
        x = _across(rate, x0)
        yield svg.line((x, TOP), (x, TOP + HEIGHT))
        yield svg.text((x, TOP + HEIGHT + 18), f"{100 * rate:g}%", "middle", "small")
    yield svg.text((x0 + WIDTH / 2, TOP + HEIGHT + 38), "true error rate of the canary", "middle", "small")

    def at(rate: float, height: float) -> svg.Point:
        return _across(rate, x0), TOP + HEIGHT * (1 - height / top)

    yield svg.path([at(row.regression.errors or 0, value(row)[0]) for row in rows], colour)
    for row in rows:
        rate, (middle, low, high) = row.regression.errors or 0, value(row)
        yield svg.bar(at(rate, low), at(rate, high), colour)
        yield svg.dot(at(rate, middle), colour, f"{row.regression.name}: {said(middle)}")


def _across(rate: float, x0: float) -> float:
    """Where an error rate is on the logarithmic axis from 0.01% to 100%."""
    return x0 + WIDTH * (math.log10(max(rate, 1e-4)) + 4) / 4
