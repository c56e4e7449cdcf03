"""Checks of what a look asks: builtins, ranges, queries and the templates that they refer to."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import promql_parser

from canary.api.analysis import Metric
from canary.api.canary import MetricTemplate
from canary.api.duration import brief

from .. import templates
from ..errors import Invalid
from ..nearest import did_you_mean
from ..policy import WINDOW, range_of, source_of
from .case import Case
from .problem import Field, Problem, Severity

TWO_QUERIES = "stands beside query; write only one of them"
NO_QUERY = "is no builtin, and has neither query nor templateRef"
NO_RANGE = "has neither min nor max, so it can't fail; write thresholdRange"
SWAPPED = "did you swap them?"
BUILTINS = ("request-success-rate", "request-duration")
_SAMPLE = dict.fromkeys(templates.FUNCTIONS, "x")


def any_metric(case: Case) -> Iterator[Problem]:
    """Steps that nothing judges are only a slow way to promote."""
    if not (case.analysis.metrics or case.spec.skip_analysis or case.policy_missing):
        sentence = f"there are none, so nothing is judged; write {' and '.join(BUILTINS)}"
        yield case.warning("metrics", sentence)


def origins(case: Case) -> Iterator[Problem]:
    """A metric is a builtin, or says what to ask in exactly one way."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        if metric.query is not None and metric.template_ref is not None:
            yield case.problem("metrics", TWO_QUERIES, index, "templateRef")
        elif metric.query is None and metric.template_ref is None and metric.name not in BUILTINS:
            hint = did_you_mean(metric.name, BUILTINS)
            sentence = f"{metric.name!r} {NO_QUERY}{hint}"
            yield case.problem("metrics", sentence, index, "name")


def one_name_each(case: Case) -> Iterator[Problem]:
    """Status and messages tell metrics apart by their names."""
    names = [metric.name for metric in case.analysis.metrics or ()]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield case.warning("metrics", f"{name!r} is the name of two metrics", index, "name")


def ranges(case: Case) -> Iterator[Problem]:
    """A check that can't fail, or can't pass, was meant otherwise."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        for field, sentence, severity in _range(metric):
            yield case.problem("metrics", sentence, index, *field, severity=severity)


def _range(metric: Metric) -> Iterator[tuple[Field, str, Severity]]:
    low, high = range_of(metric).min, range_of(metric).max
    field: Field = ("threshold",) if metric.threshold_range is None else ("thresholdRange",)
    if metric.threshold is not None and metric.threshold_range is not None:
        yield ("threshold",), "isn't used beside thresholdRange", Severity.WARNING
    if low is None and high is None:
        missing = field if metric.threshold_range is not None else ()
        yield missing, NO_RANGE, Severity.ERROR
    elif any(bound != bound for bound in (low, high)):  # noqa: PLR0124 - only NaN differs from itself
        yield field, "must be a number, not NaN", Severity.ERROR
    elif low is not None and high is not None and low > high:
        yield field, f"min {low:g} is above max {high:g}; {SWAPPED}", Severity.ERROR
    elif metric.query is None and metric.template_ref is None and metric.name in BUILTINS:
        yield from ((field, *found) for found in _UNITS[metric.name](low, high))


def _per_cent(low: float | None, high: float | None) -> Iterator[tuple[str, Severity]]:
    if low is not None and low > 100:
        yield f"min {low:g} can't be reached: request-success-rate is per cent", Severity.ERROR
    if low is not None and 0 < low <= 1:
        yield f"min {low:g} is per cent, not a share; did you mean {low * 100:g}?", Severity.WARNING
    if high is not None and high < 100:
        meant = f"did you mean min: {high:g}?" if low is None else "write min alone"
        yield f"max {high:g} fails whoever answers more requests without an error; {meant}", Severity.WARNING
    elif high is not None and low is None:
        yield f"max {high:g} can't fail, no more than 100 per cent can succeed; did you mean min?", Severity.WARNING


def _milliseconds(low: float | None, high: float | None) -> Iterator[tuple[str, Severity]]:
    if low is not None and high is None:
        meant = f"did you mean max: {low:g}?"
        yield f"min {low:g} fails whoever answers faster, and nobody who is slower; {meant}", Severity.WARNING
    if high is not None and 0 < high <= 1:
        yield f"max {high:g} is in milliseconds, not in seconds; did you mean {high * 1000:g}?", Severity.WARNING


_UNITS = {"request-success-rate": _per_cent, "request-duration": _milliseconds}
"""What isn't in the unit of a builtin, or is the bound of the other side."""


def queries(case: Case) -> Iterator[Problem]:
    """Each query is rendered as for a look, and parsed."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        text, place = _text(case, metric)
        if text is None:
            continue
        names = names_for(metric)
        for sentence in _wrong(text, names):
            yield case.problem("metrics", sentence, index, place)
        yield from _unused(case, index, metric, text)


def template_refs(case: Case) -> Iterator[Problem]:
    """A template that is referred to must be there."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        ref = metric.template_ref
        if ref is not None and ref.key not in case.templates:
            hint = did_you_mean(ref.key, case.templates)
            yield case.problem("metrics", f"there is no MetricTemplate {ref.key!r}{hint}", index, "templateRef")


def servers(case: Case) -> Iterator[Problem]:
    """A query is asked of a Prometheus; Envoy's own counters know the builtins only."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        text, place = _text(case, metric)
        template = case.templates.get(metric.template_ref.key) if metric.template_ref else None
        address = template.spec.provider.address if template else None
        if text is not None and address is None and source_of(case.spec) != "prometheus":
            yield case.problem("metrics", "has no Prometheus to ask; write spec.metricsServer", index, place)


def reporter(case: Case) -> Iterator[Problem]:
    """Only in a mesh are requests reported by several proxies."""
    if case.written("reporter") and case.spec.target_ref.kind == "EnvoyRoute" and case.spec.provider != "istio":
        yield case.warning("reporter", "isn't used: an Envoy by itself has no other who counts")


def template(given: MetricTemplate) -> Iterator[Problem]:
    """A MetricTemplate by itself: what its variables stand for is the Canary's to say."""
    field = ("spec", "query")
    try:
        words = templates.used(given.spec.query)
    except Invalid as error:
        yield Problem(field, str(error))
        return
    variables = {word: "x" for word in words if word.startswith(templates.VARIABLES)}
    unknown = sorted(words - {*templates.FUNCTIONS, *variables})
    for word in unknown:
        yield Problem(field, templates.unknown(word, _SAMPLE))
    if not unknown and not variables:
        for sentence in _wrong(given.spec.query, _SAMPLE | {"interval": "1m"}):
            yield Problem(field, sentence)


def names_for(metric: Metric, window: timedelta | None = None) -> Mapping[str, str]:
    """What the words of the metric's query stand for, with samples where only a rollout knows."""
    every = brief(window or metric.interval or WINDOW)
    variables = {templates.VARIABLES + name: value for name, value in metric.template_variables.items()}
    return {**_SAMPLE, "interval": every, **variables}


def _text(case: Case, metric: Metric) -> tuple[str | None, str]:
    """The query's template, and the field that it comes from."""
    if metric.query is not None:
        return metric.query, "query"
    template = case.templates.get(metric.template_ref.key) if metric.template_ref else None
    return (template.spec.query if template else None), "templateRef"


def _wrong(text: str, names: Mapping[str, str]) -> Iterator[str]:
    try:
        unknown = sorted(templates.used(text) - names.keys())
        if not unknown:
            promql_parser.parse(templates.render(text, names))
    except Invalid as error:
        yield str(error)
    except ValueError as error:
        yield f"is no PromQL: {error}"
    else:
        yield from (templates.unknown(word, names) for word in unknown)


def _unused(case: Case, index: int, metric: Metric, text: str) -> Iterator[Problem]:
    try:
        words = templates.used(text)
    except Invalid:
        return
    for name in metric.template_variables:
        if templates.VARIABLES + name not in words:
            yield case.warning("metrics", "isn't used by the query", index, "templateVariables", name)


CHECKS = (any_metric, origins, one_name_each, ranges, queries, template_refs, servers, reporter)
