"""The checks of an evaluation in words and columns: short names, units, what passes, and how the canary compares."""

from collections.abc import Iterable

from canary.api.analysis import Range
from canary.api.evidence import CheckResult
from canary.engine.formats import shown

from .terminal import Line, Screen, Signs, Span, Tone

SHORT = {"request-success-rate": "success", "request-duration": "p99"}
LONG = {"request-success-rate": "success rate", "request-duration": "p99 latency"}
TONES: dict[str, Tone] = {"passed": "", "failed": "bad", "missing": "warn"}
LABEL, CELL = 16, 10
"""Widths of the columns."""
ROWS = 5
"""How many checks are shown one by one."""


def value(metric: str, number: float | None, signs: Signs, bounds: Iterable[float | None] = ()) -> str:
    """A number with its unit, as sentences have it."""
    if number is None:
        return signs.none
    return shown(metric, number, bounds)


def allowed(check: CheckResult, signs: Signs) -> str:
    """What passes: `≥ 99%`, `≤ 500ms`, `1 to 5`."""
    match check.range:
        case Range(min=None, max=None):
            return "anything"
        case Range(min=low, max=None):
            return f"{signs.least}{value(check.metric, low, signs)}"
        case Range(min=None, max=high):
            return f"{signs.most}{value(check.metric, high, signs)}"
        case Range(min=low, max=high):
            return f"{value(check.metric, low, signs)} to {value(check.metric, high, signs)}"
    raise AssertionError("the cases cover all ranges")


def compact(checks: Iterable[CheckResult], signs: Signs, beside: bool = True) -> Line:
    """`success 99.8% (stable 100%)  p99 41ms (stable 40ms)`."""
    spans: list[Span] = []
    for check in checks:
        stable = f" (stable {value(check.metric, check.stable, signs)})"
        name, seen = SHORT.get(check.metric, check.metric), _canary(check, signs)
        seen += " (dry run)" if check.dry_run else ""
        spans += [Span("  "), Span(f"{name} {seen}", _tone(check))]
        spans += [Span(stable, "dim")] if beside and check.stable is not None else []
    return tuple(spans[1:])


def _canary(check: CheckResult, signs: Signs) -> str:
    return value(check.metric, check.canary, signs, (check.range.min, check.range.max))


def columns(checks: Iterable[CheckResult], screen: Screen) -> list[Line]:
    """A row for each check under a heading; what failed first, where there are too many."""
    given = list(checks)
    if not given:
        return []
    shown = given if len(given) <= ROWS else sorted(given, key=lambda check: check.result == "passed")[: ROWS - 1]
    heading = f"{'':{LABEL}}{'canary':>{CELL}}{'stable':>{CELL}}{'allowed':>{CELL + 2}}"
    rows: list[Line] = [(Span(heading, "dim"),), *(_row(check, screen) for check in shown)]
    left = len(given) - len(shown)
    return [*rows, (Span(f"and {left} more", "dim"),)] if left else rows


def _row(check: CheckResult, screen: Screen) -> Line:
    signs, tone = screen.signs, _tone(check)
    label = screen.clip((Span(LONG.get(check.metric, check.metric)),), LABEL - 1)
    mark = {"passed": signs.good, "failed": signs.bad, "missing": ""}[check.result]
    said = " dry run" if check.dry_run else ""
    return (
        Span("".join(span.text for span in label).ljust(LABEL)),
        Span(f"{_canary(check, signs):>{CELL}}", tone),
        Span(f"{value(check.metric, check.stable, signs):>{CELL}}"),
        Span(f"{allowed(check, signs):>{CELL + 2}}  ", "dim"),
        Span(f"{mark} {check.detail}".strip() + said or "missing", tone or "good"),
    )


def _tone(check: CheckResult) -> Tone:
    """What is only shown warns of nothing."""
    return "dim" if check.dry_run else TONES[check.result]
