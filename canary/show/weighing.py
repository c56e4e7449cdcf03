"""Rows about an evaluation that weighed evidence: evidence and its bar, bounds of both versions, and requests."""

from collections.abc import Iterable

from canary.api.evidence import CheckResult, EvaluationResult, ValueBounds, Weighing
from canary.engine.formats import shown

from . import times
from .metric_checks import LABEL, LONG
from .terminal import Line, Span

MOST = 1e6
"""Greater evidence is shown as more than this."""


def rows(evaluation: EvaluationResult) -> Iterable[Line]:
    """Nothing for a judge that weighs none."""
    weighing = evaluation.weighing
    if weighing is None:
        return
    yield _row("evidence", f"{_evidence(weighing.evidence)} against the canary, rolls back at {weighing.bar:g}")
    for check in evaluation.checks:
        if check.canary_bounds is not None:
            yield _row(LONG.get(check.metric, check.metric), _bounds(check, check.canary_bounds))
    yield _row("requests", _requests(weighing))


def _row(label: str, text: str) -> Line:
    return (Span(f"{label:<{LABEL}}", "dim"), Span(text))


def _evidence(value: float) -> str:
    if value > MOST:
        return f"more than {MOST:.0f}"
    return f"{int(value)}" if value >= 10 else f"{value:.1f}"


def _bounds(check: CheckResult, canary: ValueBounds) -> str:
    stable = f", stable {_between(check.metric, check.stable_bounds)}" if check.stable_bounds else ""
    return f"canary {_between(check.metric, canary)}{stable}"


def _between(metric: str, bounds: ValueBounds) -> str:
    return f"{shown(metric, bounds.low)} to {shown(metric, bounds.high)}"


def _requests(weighing: Weighing) -> str:
    if weighing.needed is None:
        return f"{weighing.requests} in this step, and too many of them fail"
    if weighing.requests >= weighing.needed:
        return f"{weighing.requests} in this step, {weighing.needed} needed"
    left = "none comes" if weighing.remaining is None else f"about {times.lasting(weighing.remaining)} to go"
    return f"{weighing.requests} in this step, about {weighing.needed} needed, {left}"
