"""The checks of an evaluation in words and columns: short names, units, what passes, and how the canary compares.

Then the rows of a judge that weighs evidence, and what `canary metrics check` prints.
"""

from collections.abc import Iterable, Iterator, Sequence

from canary.api.analysis import Range
from canary.api.evidence import CheckResult, EvaluationResult, ValueBounds, Weighing
from canary.engine.formats import shown
from canary.engine.probing import MetricAnswer

from . import times
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


MOST = 1e6
"""Greater evidence is shown as more than this."""


def weighed(evaluation: EvaluationResult) -> Iterable[Line]:
    """Evidence and its bar, bounds of both versions, and requests; nothing for a judge that weighs no evidence."""
    weighing = evaluation.weighing
    if weighing is None:
        return
    yield _labelled("evidence", f"{_evidence(weighing.evidence)} against the canary, rolls back at {weighing.bar:g}")
    for check in evaluation.checks:
        if check.canary_bounds is not None:
            yield _labelled(LONG.get(check.metric, check.metric), _bounds(check, check.canary_bounds))
    yield _labelled("requests", _requests(weighing))


def _labelled(label: str, text: str) -> Line:
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


ANSWER_TONES: dict[str, Tone] = {**TONES, "passed": "good"}


def answers(found: Sequence[MetricAnswer], screen: Screen) -> Iterator[str]:
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
    given = "" if check.canary is None else f" {value(check.metric, check.canary, signs, bounds)}"
    dry = ", dry run" if check.dry_run else ""
    return (
        Span(check.metric, "strong"),
        Span(given),
        Span(f"  {allowed(check, signs)}  ", "dim"),
        Span(_said(one), ANSWER_TONES[check.result]),
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
