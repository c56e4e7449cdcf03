"""A few shapes of SVG, for plots that documents show in light and dark. No text is trusted: all is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; font-size: 13px; }
.small { font-size: 10.5px; }
.line { stroke: #24292f; stroke-width: 1; fill: none; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.paper { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .line { stroke: #e6edf3; } .grid { stroke: #30363d; } .paper { fill: #0d1117; }
}
"""
COLOURS = ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#57606a", "#bf3989")
"""Most readers can distinguish them, on white and on black."""
Point = tuple[float, float]


def text(at: Point, words: str, anchor: str = "start", style: str = "") -> str:
    """Words; `anchor` is start, middle or end, `style` a class."""
    kind = f' class="{style}"' if style else ""
    return f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def line(start: Point, end: Point, style: str = "grid") -> str:
    """A straight line."""
    return f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" class="{style}"/>'


def bar(start: Point, end: Point, colour: str) -> str:
    """A thick line, such as an interval."""
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{colour}" stroke-width="2" stroke-opacity="0.6"/>'
    )


def path(points: Sequence[Point], colour: str) -> str:
    """Straight lines from point to point."""
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>'


def dot(at: Point, colour: str, title: str = "", hollow: bool = False) -> str:
    """A point, with words for who points at it."""
    said = f"<title>{escape(title)}</title>" if title else ""
    fill = "none" if hollow else colour
    return f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="4" fill="{fill}" stroke="{colour}">{said}</circle>'


def document(width: float, height: float, title: str, shapes: Iterable[str]) -> str:
    """The whole file."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{STYLE}</style>",
            f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>',
            *shapes,
            "</svg>\n",
        ]
    )
