"""Checks of what an evaluation asks: builtins, ranges, queries and the templates that they refer to."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from canary.api.analysis import Metric
from canary.api.canary import MetricTemplate, TemplateProvider
from canary.api.duration import brief
from canary.api.providers import PROVIDERS
from canary.api.webhooks import Webhook
from canary.engine.did_you_mean import did_you_mean

from .. import query_templates
from ..counters import counters, doubt
from ..errors import Invalid
from ..judges import USUAL
from ..pairs import MESHES, dialect_for, pair_for, source_of, tcp_of
from ..policy_merge import BUILTINS, WINDOW, range_of
from . import promql
from .names import is_name
from .problem import Case, Field, Problem, Severity
from .webhooks import only_starts, rollout_hooks

TWO_QUERIES = "can't be used with query; write only one of them"
NO_QUERY = "is no builtin, and has neither query nor templateRef"
WRITE_ONE = "; write one of them"
QUERY_AND_COUNTS = "can't be used with query; write only one of them"
QUERY_OR_COUNTS = "has neither query nor counts; write one of them"
NO_COUNTS = "are counters of a Prometheus; this type of provider takes a query"
NO_RANGE = "has neither min nor max, so it can't fail; write thresholdRange"
UNREACHED = "can't be reached: {} is per cent"
NOT_REACHED = UNREACHED.format("request-success-rate")
SWAPPED = "did you swap them?"
Unit = Callable[[float | None, float | None], Iterator[tuple[str, Severity]]]
_SAMPLE = dict.fromkeys(query_templates.FUNCTIONS, "x")


def any_metric(case: Case) -> Iterator[Problem]:
    """Steps that nothing judges are only a slow way to promote."""
    given = case.analysis.judge
    hooks = rollout_hooks(case.analysis)
    judged = not all(map(only_starts, hooks)) or (given is not None and given.type != USUAL)  # `judge.py` asks others
    if not (case.analysis.metrics or judged or case.spec.skip_analysis or case.policy_missing):
        usual = "a query" if tcp_of(case.spec) else " and ".join(BUILTINS)
        yield case.warning("metrics", f"there are none{_load(hooks)}, so nothing is judged; write {usual}")
    elif case.analysis.metrics and all(metric.dry_run for metric in case.analysis.metrics):
        yield case.warning("metrics", "all have dryRun, so nothing is judged")


def _load(hooks: Sequence[Webhook]) -> str:
    names = ", ".join(hook.name for hook in hooks)
    return f", and the load tester doesn't wait for what it starts ({names})" if hooks else ""


def limits(case: Case) -> Iterator[Problem]:
    """What is only shown has no limit."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        for name, given in (
            ("failureLimit", metric.failure_limit),
            ("consecutiveErrorLimit", metric.consecutive_error_limit),
        ):
            if metric.dry_run and given is not None:
                yield case.warning("metrics", "isn't used with dryRun", index, name)


def origins(case: Case) -> Iterator[Problem]:
    """A metric is a builtin, or says what to ask in exactly one way."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        if metric.query is not None and metric.template_ref is not None:
            yield case.problem("metrics", TWO_QUERIES, index, "templateRef")
        elif metric.query is None and metric.template_ref is None and metric.name not in BUILTINS:
            hint = did_you_mean(metric.name, BUILTINS) or WRITE_ONE
            sentence = f"{metric.name!r} {NO_QUERY}{hint}"
            yield case.problem("metrics", sentence, index, "name")


def one_name_each(case: Case) -> Iterator[Problem]:
    """Status and messages tell metrics apart by their names."""
    names = [metric.name for metric in case.analysis.metrics or ()]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield case.warning("metrics", f"{name!r} is the name of two metrics", index, "name")


def ranges(case: Case) -> Iterator[Problem]:
    """A check that can't fail, or can't pass, is a mistake."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        template = _template(case, metric)
        counted = template is not None and template.spec.counts is not None
        for field, sentence, severity in _range(metric, _share if counted else _UNITS.get(metric.name)):
            yield case.problem("metrics", sentence, index, *field, severity=severity)


def _range(metric: Metric, unit: Unit | None) -> Iterator[tuple[Field, str, Severity]]:
    low, high = range_of(metric).min, range_of(metric).max
    field: Field = ("threshold",) if metric.threshold_range is None else ("thresholdRange",)
    if metric.threshold is not None and metric.threshold_range is not None:
        yield ("threshold",), "isn't used with thresholdRange", Severity.WARNING
    if low is None and high is None:
        missing = field if metric.threshold_range is not None else ()
        yield missing, NO_RANGE, Severity.ERROR
    elif any(bound != bound for bound in (low, high)):  # noqa: PLR0124 - only NaN differs from itself
        yield field, "must be a number, not NaN", Severity.ERROR
    elif low is not None and high is not None and low > high:
        yield field, f"min {low:g} is above max {high:g}; {SWAPPED}", Severity.ERROR
    elif unit is not None:
        yield from ((field, *found) for found in unit(low, high))


def _per_cent(
    low: float | None, high: float | None, what: str = "request-success-rate"
) -> Iterator[tuple[str, Severity]]:
    if low is not None and low > 100:
        yield f"min {low:g} {UNREACHED.format(what)}", Severity.ERROR
    if low is not None and 0 < low <= 1:
        yield f"min {low:g} is per cent, not a share; did you mean {low * 100:g}?", Severity.WARNING
    if high is not None and high < 100:
        meant = f"did you mean min: {high:g}?" if low is None else "write min alone"
        yield f"max {high:g} fails a canary that answers more requests without an error; {meant}", Severity.WARNING
    elif high is not None and low is None:
        yield f"max {high:g} can't fail, no more than 100 per cent can succeed; did you mean min?", Severity.WARNING


def _milliseconds(low: float | None, high: float | None) -> Iterator[tuple[str, Severity]]:
    if low is not None and high is None:
        meant = f"did you mean max: {low:g}?"
        yield f"min {low:g} fails a canary that answers faster, and none that is slower; {meant}", Severity.WARNING
    if high is not None and 0 < high <= 1:
        yield f"max {high:g} is in milliseconds, not in seconds; did you mean {high * 1000:g}?", Severity.WARNING


def _share(low: float | None, high: float | None) -> Iterator[tuple[str, Severity]]:
    """The value of a template with counts."""
    return _per_cent(low, high, "the share of good events")


_UNITS: Mapping[str, Unit] = {"request-success-rate": _per_cent, "request-duration": _milliseconds}
"""What isn't in the unit of a builtin, or is the bound of the other side."""


def queries(case: Case) -> Iterator[Problem]:
    """Each query is rendered as for an evaluation, and parsed."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        place, names, texts = _place(metric), names_for(metric), _texts(case, metric)
        for field, text in texts.items():
            for sentence, severity in _wrong(text, names, _type(case, metric), counted=field != "query"):
                said = sentence if field == "query" else f"in the MetricTemplate, {field}: {sentence}"
                yield case.problem("metrics", said, index, place, severity=severity)
        if texts:
            yield from _unused(case, index, metric, texts.values())


def template_refs(case: Case) -> Iterator[Problem]:
    """A template that is referred to must be there."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        ref = metric.template_ref
        if ref is not None and ref.key not in case.templates and is_name(ref.name):
            hint = did_you_mean(ref.key, case.templates)
            found = case.problem("metrics", f"there is no MetricTemplate {ref.key!r}{hint}", index, "templateRef")
            yield replace(found, absent=True)


def servers(case: Case) -> Iterator[Problem]:
    """A query is asked of a Prometheus; Envoy's own counters know the builtins only."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        asks, template = bool(_texts(case, metric)), _template(case, metric)
        provider = template.spec.provider if template else TemplateProvider()
        elsewhere = provider.server is not None or PROVIDERS[provider.type].in_cluster
        if asks and not elsewhere and source_of(case.spec) != "prometheus":
            sentence = "has no Prometheus to ask; write spec.metricsServer"
            yield case.problem("metrics", sentence, index, _place(metric))


def reporter(case: Case) -> Iterator[Problem]:
    """Only in a mesh are requests reported by several proxies."""
    if case.written("reporter") and pair_for(case.spec) is not None and dialect_for(case.spec) not in MESHES:
        yield case.warning("reporter", "isn't used: a standalone Envoy is the only reporter")


def template(given: MetricTemplate) -> Iterator[Problem]:
    """A MetricTemplate by itself: what its variables stand for is the Canary's to say."""
    if given.spec.counts is not None and given.spec.query is not None:
        yield Problem(("spec", "counts"), QUERY_AND_COUNTS)
    if given.spec.counts is None and given.spec.query is None:
        yield Problem(("spec",), QUERY_OR_COUNTS)
    if given.spec.counts is not None and given.spec.provider.type != "prometheus":
        yield Problem(("spec", "counts"), NO_COUNTS)
    for name, text in texts_of(given).items():
        yield from _alone(given, ("spec", *name.split(".")), text)


def _alone(given: MetricTemplate, field: Field, text: str) -> Iterator[Problem]:
    """One text of a template."""
    try:
        words = query_templates.used(text)
    except Invalid as error:
        yield Problem(field, str(error))
        return
    variables = {word: "x" for word in words if word.startswith(query_templates.VARIABLES)}
    unknown = sorted(words - {*query_templates.FUNCTIONS, *variables})
    for word in unknown:
        yield Problem(field, query_templates.unknown(word, _SAMPLE))
    if not unknown and not variables:
        names, counted = _SAMPLE | {"interval": "1m"}, field[-1] != "query"
        for sentence, severity in _wrong(text, names, given.spec.provider.type, counted=counted):
            yield Problem(field, sentence, severity)


def names_for(metric: Metric, window: timedelta | None = None) -> Mapping[str, str]:
    """What the words of the metric's query stand for, with samples where only a rollout knows."""
    every = brief(window or metric.interval or WINDOW)
    variables = {query_templates.VARIABLES + name: value for name, value in metric.template_variables.items()}
    return {**_SAMPLE, "interval": every, **variables}


def _texts(case: Case, metric: Metric) -> Mapping[str, str]:
    """The templates of what is asked, by field: one query, or two of counts."""
    if metric.query is not None:
        return {"query": metric.query}
    template = _template(case, metric)
    return texts_of(template) if template else {}


def texts_of(given: MetricTemplate) -> Mapping[str, str]:
    """The same of a MetricTemplate."""
    query, counts = given.spec.query, given.spec.counts
    asked = {} if query is None else {"query": query}
    return asked | ({"counts.total": counts.total, "counts.bad": counts.bad} if counts else {})


def _template(case: Case, metric: Metric) -> MetricTemplate | None:
    return case.templates.get(metric.template_ref.key) if metric.template_ref else None


def _place(metric: Metric) -> str:
    """The field that says what is asked."""
    return "query" if metric.query is not None else "templateRef"


def _type(case: Case, metric: Metric) -> str:
    """The type of the provider that is asked."""
    template = None if metric.query else _template(case, metric)
    return template.spec.provider.type if template else "prometheus"


def _wrong(text: str, names: Mapping[str, str], kind: str, *, counted: bool) -> Iterator[tuple[str, Severity]]:
    """What is wrong with a query for a provider of this type, or with counters; only PromQL is parsed."""
    try:
        unknown = sorted(query_templates.used(text) - names.keys())
        query = "" if unknown else query_templates.render(text, names)
        found = promql.wrong(query) if kind == "prometheus" and not unknown else None
    except Invalid as error:
        yield str(error), Severity.ERROR
        return
    yield from ((query_templates.unknown(word, names), Severity.ERROR) for word in unknown)
    facts = PROVIDERS[kind]
    if facts.form and not counted and not unknown and not re.fullmatch(facts.form, query, re.IGNORECASE | re.DOTALL):
        yield f"is no query for the provider {kind}, which takes {facts.asks}", Severity.WARNING
    no_counters = None if unknown or not counted else _no_counters(query)
    if no_counters and (found is None or found.at is None):  # what a query gives, and its remedy, isn't for counters
        yield no_counters, Severity.ERROR
    elif found is not None:
        where = "" if found.at is None else _where(text, query_templates.place(text, names, found.at))
        yield found.sentence + where, Severity.WARNING if found.doubtful else Severity.ERROR
    elif counted and not unknown:
        yield from ((why, Severity.WARNING) for one in counters(query) if (why := doubt(one)))


def _no_counters(text: str) -> str:
    """Why these aren't counters; empty if they are."""
    try:
        counters(text)
    except Invalid as error:
        return str(error)
    return ""


def _where(text: str, at: int) -> str:
    """For a query of one line or several: it stands anywhere in the file, so it counts by itself."""
    before = text[:at]
    return f" (line {before.count(chr(10)) + 1} of the query, column {at - before.rfind(chr(10))})"


def _unused(case: Case, index: int, metric: Metric, texts: Iterable[str]) -> Iterator[Problem]:
    try:
        words = set[str]().union(*(query_templates.used(text) for text in texts))
    except Invalid:
        return
    for name in metric.template_variables:
        if query_templates.VARIABLES + name not in words:
            yield case.warning("metrics", "isn't used by the query", index, "templateVariables", name)


CHECKS = (any_metric, origins, one_name_each, ranges, limits, queries, template_refs, servers, reporter)
