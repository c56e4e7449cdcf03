"""What `canary metrics check` prints: each metric with its value, what passes, who was asked, and the query."""

from collections.abc import Iterator, Sequence

from canary.engine.probing import MetricAnswer

from . import metric_checks
from .terminal import Line, Screen, Span, Tone

TONES: dict[str, Tone] = {"passed": "good", "failed": "bad", "missing": "warn"}


def lines(found: Sequence[MetricAnswer], screen: Screen) -> Iterator[str]:
    """A paragraph for each metric."""
    for number, one in enumerate(found):
        if number:
            yield ""
        yield screen.paint(_result(one, screen))
        yield screen.paint((Span(f"  {_asked(one)}", "dim"),))
        for text in one.query.splitlines():
            yield screen.paint((Span(f"    {text.rstrip()}"),))
    if not found:
        yield "the manifest has no metrics"


def _result(one: MetricAnswer, screen: Screen) -> Line:
    check, signs = one.check, screen.signs
    bounds = (check.range.min, check.range.max)
    value = "" if check.canary is None else f" {metric_checks.value(check.metric, check.canary, signs, bounds)}"
    dry = ", dry run" if check.dry_run else ""
    return (
        Span(check.metric, "strong"),
        Span(value),
        Span(f"  {metric_checks.allowed(check, signs)}  ", "dim"),
        Span(_said(one), TONES[check.result]),
        Span(dry, "dim"),
        *([Span(f"  {check.detail}")] if check.detail else []),
    )


def _said(one: MetricAnswer) -> str:
    """In a word; a metric without data can be read, and a rollout starts."""
    if one.check.result != "missing":
        return one.check.result
    return "no data" if one.readable and not one.check.dry_run else "can't be read" if not one.readable else "missing"


def _asked(one: MetricAnswer) -> str:
    if one.provider == "envoy":
        return "counters of Envoy itself"
    return f"{one.provider} at {one.server}" if one.server else f"{one.provider}, asked of the API server"
