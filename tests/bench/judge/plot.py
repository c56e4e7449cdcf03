"""docs/judge.svg: the harm of each judge in each bad scenario, on a logarithmic scale."""

import math
from collections.abc import Iterator, Sequence

from canary.show import svg

from .contestants import CONTESTANTS
from .figures import Row

LEFT, TOP, WIDTH, HEIGHT, LEGEND = 330.0, 66.0, 600.0, 20.0, 150.0
DECADES = (-1, 0, 1, 2, 3, 4, 5)
COLOURS = dict(zip(CONTESTANTS, svg.COLOURS, strict=False))
HOLLOW = "hollow: promoted in more than half of the rollouts"
TITLE = "Mean of harmed requests, with an hour after the promotion of a bad canary"


def plot(rows: Sequence[Row]) -> str:
    """SVG; a hollow point is a judge that promoted more than half."""
    shapes = [svg.text((20, 22), TITLE, style="title"), *_legend(), *_axis(len(rows))]
    for number, row in enumerate(rows):
        shapes += _row(row, TOP + HEIGHT * (number + 0.5))
    return svg.document(LEFT + WIDTH + 30, TOP + HEIGHT * len(rows) + 40, TITLE, shapes)


def _legend() -> Iterator[str]:
    for number, (name, colour) in enumerate(COLOURS.items()):
        x = 20 + LEGEND * number
        yield svg.dot((x, 42), colour)
        yield svg.text((x + 9, 46), name)


def _axis(rows: int) -> Iterator[str]:
    end = TOP + HEIGHT * rows
    for decade in DECADES:
        yield svg.line((_x(10.0**decade), TOP), (_x(10.0**decade), end))
        yield svg.text((_x(10.0**decade), end + 16), f"{10.0**decade:,g}", "middle", "small")
    yield svg.text(
        (LEFT + WIDTH / 2, end + 32), "hollow: promoted in more than half of the rollouts", "middle", "small"
    )


def _row(row: Row, y: float) -> Iterator[str]:
    yield svg.text((LEFT - 10, y + 4), row.name, "end", "small")
    yield svg.line((LEFT, y), (LEFT + WIDTH, y))
    for name, colour in reversed(COLOURS.items()):  # the first one on top
        cell = row.cells[name]
        said = f"{name}: {cell.harmed.value:,.1f} harmed, {100 * cell.promoted.value:.1f}% promoted"
        yield svg.dot((_x(cell.harmed.value), y), colour, said, hollow=cell.promoted.value > 0.5)


def _x(value: float) -> float:
    least, most = DECADES[0], DECADES[-1]
    part = (math.log10(max(value, 10.0**least)) - least) / (most - least)
    return LEFT + WIDTH * min(part, 1.0)
