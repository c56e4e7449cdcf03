"""From what is written to what a rollout pins: merges analysis blocks, fills in defaults.

`effective` joins `analysis`, Flagger's older `canaryAnalysis` and a policy; `resolve` makes the `Policy` of it.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from canary.api.analysis import Analysis, Capacity, Metric, OnDrift, Patience, Range, Reporter
from canary.api.canary import CanaryPolicy, CanarySpec, MetricTemplate
from canary.api.pinned import Limit, MetricPolicy, Policy

from .errors import Invalid
from .strategies import STRATEGY_FIELDS

RISING = ("steps", "step_weights", "step_weight")
SCRAPE = {"envoy": timedelta(seconds=1), "prometheus": timedelta(seconds=15)}
"""How often counters are read at their source, unless the analysis says so."""
LAG = {"envoy": timedelta(), "prometheus": timedelta(seconds=1)}
"""How long after a scrape was due its samples are sure to be stored."""
WINDOW = timedelta(minutes=1)
DEADLINE = timedelta(hours=24)


def effective(spec: CanarySpec, policy: CanaryPolicy | None = None) -> Analysis:
    """One analysis: the Canary's own fields, then `canaryAnalysis`'s, then the policy's (its strategy as a unit)."""
    own = _merged(spec)
    shared = policy.spec.analysis.written() if policy else {}
    if own.keys() & STRATEGY_FIELDS:
        shared = {name: value for name, value in shared.items() if name not in STRATEGY_FIELDS}
    return Analysis.model_construct(_fields_set=None, **{**shared, **own})


def conflicts(spec: CanarySpec) -> list[tuple[str, Any, Any]]:
    """(field, value in analysis, value in canaryAnalysis) of fields that the two blocks give different values."""
    ours, older = _blocks(spec)
    return [
        (name, ours[name], older[name]) for name in sorted(ours.keys() & older.keys()) if ours[name] != older[name]
    ]


def unused_iterations(spec: CanarySpec) -> bool:
    """Tutorials give `iterations` in one block and weights in the other: the weights are meant."""
    ours, older = _blocks(spec)
    rising_ours, rising_older = ours.keys() & set(RISING), older.keys() & set(RISING)
    return ("iterations" in ours and not rising_ours and bool(rising_older)) or (
        "iterations" in older and not rising_older and bool(rising_ours)
    )


def source_of(spec: CanarySpec) -> str:
    """Where the builtins' evidence comes from: `prometheus` where a server is named, else `envoy` itself."""
    return "prometheus" if spec.metrics_server or spec.target_ref.kind != "EnvoyRoute" else "envoy"


def resolve(spec: CanarySpec, analysis: Analysis, templates: Mapping[str, MetricTemplate]) -> Policy:
    """The policy that a rollout pins; `templates` are by `TemplateRef.key`. Raises Invalid where one isn't there."""
    source = source_of(spec)
    interval = analysis.interval or WINDOW
    threshold = max(analysis.threshold or 1, 1)
    scrape = analysis.scrape_interval or SCRAPE[source]
    patience = max(timedelta(minutes=5), threshold * interval)
    return Policy(
        judge=analysis.judge or "threshold",
        interval=interval,
        threshold=threshold,
        metrics=tuple(_metric(metric, templates) for metric in analysis.metrics or ()),
        reporter=analysis.reporter or Reporter.AUTO,
        min_requests=analysis.min_requests or 0,
        on_no_data=_limit(analysis.on_no_data, patience),
        on_unreachable=_limit(analysis.on_unreachable, patience),
        deadline=_or(analysis.deadline, DEADLINE),
        ready_deadline=timedelta(seconds=spec.progress_deadline_seconds or 600),
        settle=_or(analysis.settle, 2 * scrape),
        scrape_interval=scrape,
        lag=LAG[source],
        unready_grace=_or(analysis.unready_grace, timedelta(seconds=15)),
        capacity=analysis.capacity or Capacity.REQUIRE,
        drain=_or(analysis.drain, timedelta(seconds=30)),
        on_drift=analysis.on_drift or OnDrift.HOLD,
    )


def range_of(metric: Metric) -> Range:
    """What passes; Flagger's older `threshold` is a minimum for a success rate, else a maximum."""
    if metric.threshold_range is not None or metric.threshold is None:
        return metric.threshold_range or Range()
    return Range(min=metric.threshold) if metric.name == "request-success-rate" else Range(max=metric.threshold)


def _merged(spec: CanarySpec) -> dict[str, Any]:
    ours, older = _blocks(spec)
    merged = {**older, **ours}
    if unused_iterations(spec):
        del merged["iterations"]
    return merged


def _blocks(spec: CanarySpec) -> tuple[dict[str, Any], dict[str, Any]]:
    ours = spec.analysis.written() if spec.analysis else {}
    older = spec.canary_analysis.written() if spec.canary_analysis else {}
    return ours, older


def _metric(metric: Metric, templates: Mapping[str, MetricTemplate]) -> MetricPolicy:
    query, server = metric.query, None
    if metric.template_ref is not None:
        template = templates.get(metric.template_ref.key)
        if template is None:
            raise Invalid(
                f"metric {metric.name} refers to the MetricTemplate {metric.template_ref.key}, which isn't there"
            )
        query, server = template.spec.query, template.spec.provider.address
    return MetricPolicy(
        name=metric.name,
        window=metric.interval or WINDOW,
        range=range_of(metric),
        query=query,
        server=server,
        variables=metric.template_variables,
    )


def _limit(patience: Patience | None, default: timedelta) -> Limit:
    patience = patience or Patience()
    return Limit(after=_or(patience.after, default), then=patience.then)


def _or(value: timedelta | None, default: timedelta) -> timedelta:
    return default if value is None else value
