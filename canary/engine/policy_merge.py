"""From what is written to what a rollout pins: merges analysis blocks, fills in defaults.

`effective` joins `analysis`, Flagger's older `canaryAnalysis` and a policy; `resolve` makes the `Policy` of it.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from canary.api.analysis import Analysis, Capacity, Metric, OnDrift, Range, Reporter, TemplateRef
from canary.api.canary import CanaryPolicy, CanarySpec, MetricTemplate, TemplateProvider
from canary.api.judge import JudgeSpec
from canary.api.pinned import Limit, MetricPolicy, PinnedProvider, Policy, SequentialPolicy
from canary.api.plan import Answer, Patience
from canary.api.webhooks import NOTIFY, HookType, Webhook

from .affinity import cookies
from .errors import Invalid
from .judges import USUAL, sequential
from .pairs import source_of
from .strategies import STRATEGY_FIELDS

BUILTINS = ("request-success-rate", "request-duration")
RISING = ("steps", "step_weights", "step_weight")
SCRAPE = {"envoy": timedelta(seconds=1), "prometheus": timedelta(seconds=15)}
"""How often counters are read at their source, unless the analysis says so."""
LAG = {"envoy": timedelta(), "prometheus": timedelta(seconds=1)}
"""How long after a scrape was due its samples are sure to be stored."""
WINDOW = timedelta(minutes=1)
DEADLINE = timedelta(hours=24)
MILLISECOND = timedelta(milliseconds=1)
WARMUP, INCONCLUSIVE = timedelta(minutes=1), timedelta(hours=1)
"""Of `sequential`: how long latency doesn't count at first, and how long a step may be without a verdict."""
PATIENCE, INTERVALS = timedelta(minutes=15), 3
"""How long missing metrics are borne unless the analysis says so: so long, and so many intervals."""
NO_DATA = {USUAL: Answer.ROLLBACK, sequential.NAME: Answer.HOLD}
"""What follows then, by judge. No request is no proof, and `sequential` rolls back on proof only."""


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
    """Tutorials give `iterations` in one block and weights in the other: the weights are used."""
    ours, older = _blocks(spec)
    rising_ours, rising_older = ours.keys() & set(RISING), older.keys() & set(RISING)
    return ("iterations" in ours and not rising_ours and bool(rising_older)) or (
        "iterations" in older and not rising_older and bool(rising_ours)
    )


def resolve(spec: CanarySpec, analysis: Analysis, templates: Mapping[str, MetricTemplate]) -> Policy:
    """The policy that a rollout pins; `templates` are by `TemplateRef.key`. Raises Invalid where one isn't there."""
    source = source_of(spec)
    interval = analysis.interval or WINDOW
    threshold = max(analysis.threshold or 1, 1)
    scrape = analysis.scrape_interval or SCRAPE[source]
    judge = analysis.judge or JudgeSpec(type=USUAL)
    metrics = [one for metric in analysis.metrics or () for one in _metrics(metric, templates)]
    return Policy(
        judge=judge.type,
        sequential=_sequential(judge, metrics) if judge.type == sequential.NAME else None,
        interval=interval,
        threshold=threshold,
        metrics=tuple(metrics),
        reporter=analysis.reporter or Reporter.AUTO,
        min_requests=analysis.min_requests or 0,
        on_no_data=_on_no_data(judge.type, interval, analysis.on_no_data),
        on_unreachable=_limit(analysis.on_unreachable, _patience(interval)),
        deadline=_or(analysis.deadline, DEADLINE),
        ready_deadline=timedelta(seconds=spec.progress_deadline_seconds or 600),
        settle=_or(analysis.settle, 2 * scrape),
        scrape_interval=scrape,
        lag=LAG[source],
        unready_grace=_or(analysis.unready_grace, timedelta(seconds=15)),
        capacity=analysis.capacity or Capacity.REQUIRE,
        canary_replicas=str(analysis.canary_replicas or "full"),
        canary_ready=analysis.canary_ready_threshold,
        primary_ready=analysis.primary_ready_threshold,
        drain=_or(analysis.drain, timedelta(seconds=30)),
        on_drift=analysis.on_drift or OnDrift.HOLD,
        affinity=cookies(analysis.session_affinity, interval) if analysis.session_affinity else None,
        webhooks=tuple(_hooks(spec, analysis)),
    )


def judged_by(policy: Policy, judge: str) -> Policy:
    """The same policy for another judge, with that one's usual settings. What was written and is the first judge's
    default looks the same, and becomes the other one's default."""
    if judge == policy.judge:
        return policy
    given = _sequential(JudgeSpec(type=judge), list(policy.metrics)) if judge == sequential.NAME else None
    usual, no_data = (_on_no_data(name, policy.interval) for name in (policy.judge, judge))
    without = no_data if policy.on_no_data == usual else policy.on_no_data
    return policy.but(judge=judge, sequential=given, on_no_data=without)


def _sequential(judge: JudgeSpec, metrics: list[MetricPolicy]) -> SequentialPolicy:
    """Its settings; an objective that isn't written is that of the builtin's range. Adds the builtins that are only
    in the objective."""
    written = judge.objective
    rate, latency = (written.success_rate, written.latency) if written else (None, None)
    for name, given in zip(BUILTINS, (rate, latency), strict=True):
        if given is not None and not any(one.name == name and one.query is None for one in metrics):
            metrics.append(MetricPolicy(name=name, window=WINDOW))
    ranges = {one.name: one.range for one in metrics if one.query is None and not one.dry_run}
    least, slowest = (ranges.get(name, Range()) for name in BUILTINS)
    return SequentialPolicy(
        false_rollback_rate=judge.false_rollback_rate / 100,
        min_effect=judge.min_effect,
        success_rate=least.min if rate is None else rate,
        quantile=latency.quantile if latency else 99.0,
        slowest=latency.max / MILLISECOND if latency else slowest.max,
        warmup=_or(judge.warmup, WARMUP),
        on_inconclusive=_limit(judge.on_inconclusive or Patience(then=Answer.HOLD), INCONCLUSIVE),
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


def _metrics(metric: Metric, templates: Mapping[str, MetricTemplate]) -> Iterator[MetricPolicy]:
    """As Flagger does, a builtin is asked beside a query that bears its name."""
    builtin = MetricPolicy(
        name=metric.name,
        window=metric.interval or WINDOW,
        range=range_of(metric),
        dry_run=metric.dry_run or None,
        failure_limit=metric.failure_limit,
        consecutive_error_limit=metric.consecutive_error_limit,
        weight=metric.weight,
    )
    if metric.name in BUILTINS or (metric.query is None and metric.template_ref is None):
        yield builtin
    query, counts, source, asked = metric.query, None, "query", builtin
    if metric.template_ref is not None:
        template = templates.get(metric.template_ref.key)
        if template is None:
            raise Invalid(
                f"metric {metric.name} refers to the MetricTemplate {metric.template_ref.key}, which doesn't exist"
            )
        query, counts, source = template.spec.query, template.spec.counts, metric.template_ref.key
        provider = template.spec.provider
        asked = builtin.but(server=provider.server, provider=_pinned(provider, metric.template_ref))
    if query is not None or counts is not None:
        name = f"{metric.name} ({source})" if metric.name in BUILTINS else metric.name
        yield asked.but(name=name, query=query, counts=counts, variables=metric.template_variables)


def _pinned(given: TemplateProvider, ref: TemplateRef) -> PinnedProvider | None:
    """What a rollout pins of a template's provider; None for a Prometheus that is asked as it is."""
    plain = given.but(address=None, headers={k: v for k, v in given.headers.items() if v})
    if plain == TemplateProvider():
        return None
    return PinnedProvider(
        type=given.type,
        namespace=ref.namespace or "",
        template=ref.name,
        secret=given.secret_ref.name if given.secret_ref else "",
        region=given.region or "",
        insecure=given.insecure_skip_verify,
    )


UNANALYSED = frozenset({HookType.CONFIRM_ROLLOUT, HookType.ROLLBACK})
"""Types of hooks that are called with `skipAnalysis`, too."""


def _hooks(spec: CanarySpec, analysis: Analysis) -> Iterator[Webhook]:
    """Those that change something in a rollout; the others are called for messages, by the present spec."""
    pinned = UNANALYSED if spec.skip_analysis else frozenset(HookType) - NOTIFY
    yield from (hook for hook in analysis.webhooks or () if hook.type in pinned)


def _on_no_data(judge: str, interval: timedelta, written: Patience | None = None) -> Limit:
    usual = Patience(then=NO_DATA.get(judge, Answer.ROLLBACK))
    return _limit(written or usual, _patience(interval))


def _patience(interval: timedelta) -> timedelta:
    return max(PATIENCE, INTERVALS * interval)


def _limit(patience: Patience | None, default: timedelta) -> Limit:
    patience = patience or Patience()
    return Limit(after=_or(patience.after, default), then=patience.then)


def _or(value: timedelta | None, default: timedelta) -> timedelta:
    return default if value is None else value
