"""Checks of the judge: what `sequential` can't count, and fields that the chosen judge doesn't use."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import timedelta
from math import floor, log10

from canary.api.analysis import Metric
from canary.api.duration import brief
from canary.api.judge import JudgeSpec, LatencyObjective, Objective
from canary.api.plan import Answer
from canary.api.webhooks import HookType
from canary.engine.did_you_mean import did_you_mean

from ..judges import JUDGES, USUAL, sequential_memory
from ..pairs import source_of, tcp_of
from ..policy_merge import BUILTINS, DEADLINE, INCONCLUSIVE, MILLISECOND, WARMUP, range_of
from ..strategies import STRATEGIES, plan_of
from . import tcp
from .problem import Case, Problem, on_the_wire
from .timing import NOT_NOTHING, shortest

SEQUENTIAL = sequential_memory.NAME
NO_JUDGE = "is no judge"
GAUGE = (
    f"is a value, and the judge {SEQUENTIAL} counts events; write a MetricTemplate with counts, dryRun: true, "
    f"or judge: {USUAL}"
)
NO_MAXIMUM = (
    f"has no max, so the judge {SEQUENTIAL} doesn't know which requests are slow; write one, or objective.latency in "
    "judge"
)
NOTHING = (
    f"the judge {SEQUENTIAL} has nothing to count; write {' or '.join(BUILTINS)} in metrics, a template with counts, "
    "or an objective"
)
UNUSED = f"isn't used by the judge {SEQUENTIAL}"
UNWEIGHTED = f"isn't used by the judge threshold; choose {SEQUENTIAL}, or remove it"
ALONE = (
    "at 100% there are no requests to stable to compare with, and without an objective nothing else speaks against "
    "the canary; write objective.successRate in judge, or end with a lower weight"
)
NO_THEN = (
    f"rolls back a canary without requests, as then isn't written; the judge {SEQUENTIAL} would hold without "
    "onNoData; write then: hold or then: rollback"
)
EDGES = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6, 3.6e6)
"""Upper edges in milliseconds of the histograms that Envoy, and so Istio's proxies, show to Prometheus, unless they
are configured otherwise."""
SMALL = 0.1
"""Per cent of false rollbacks: who writes less has perhaps forgotten the sign."""


def judge(case: Case) -> Iterator[Problem]:
    """The judge that the manifest names exists, and has the settings beside its name."""
    given = case.analysis.judge
    if given is None:
        return
    if given.type not in JUDGES:
        hint = did_you_mean(given.type, JUDGES) or f"; write {USUAL}"
        inside = ("type",) if given.model_fields_set > {"type"} else ()
        yield case.problem("judge", f"{given.type!r} {NO_JUDGE}{hint}", *inside)
    elif given.type != SEQUENTIAL:
        for name in sorted(given.model_fields_set - {"type"}):
            sentence = f"isn't used by the judge {given.type}, only by {SEQUENTIAL}"
            yield case.warning("judge", sentence, on_the_wire(JudgeSpec, name))


def counted(case: Case) -> Iterator[Problem]:
    """Each metric counts events: of a value that was read no evidence can be made."""
    if not _sequential(case):
        return
    for index, metric in enumerate(case.analysis.metrics or ()):
        gauge = _gauge(case, metric)
        if gauge is not None and metric.dry_run:
            yield case.warning("metrics", f"{UNUSED}, so it isn't shown either", index, gauge)
        elif gauge is not None:
            yield case.problem("metrics", GAUGE, index, gauge)
        elif _is(metric, BUILTINS[1]) and range_of(metric).max is None and _latency(case) is None:
            yield case.problem("metrics", NO_MAXIMUM, index)


def anything(case: Case) -> Iterator[Problem]:
    """A rollout whose judge counts nothing would wait for its deadline, and then be rolled back."""
    spare = case.spec.skip_analysis or case.policy_missing
    objective = _objective(case)
    if not _sequential(case) or spare or objective.success_rate is not None or objective.latency is not None:
        return
    if all(metric.dry_run for metric in case.analysis.metrics or ()):
        yield case.problem("judge", NOTHING)


def objective(case: Case) -> Iterator[Problem]:
    """What the canary must reach, in the units that are meant, and written once."""
    if not _sequential(case):
        return
    given, latency = _objective(case), _latency(case)
    shares = (
        (("successRate",), given.success_rate),
        (("latency", "quantile"), latency.quantile if latency else None),
    )
    for way, share in shares:
        if share is not None and 0 < share <= 1:
            meant = f"{share:g} is per cent, not a share; did you mean {share * 100:g}?"
            yield case.warning("judge", meant, "objective", *way)
    if latency is not None and latency.max <= timedelta():
        yield case.problem("judge", NOT_NOTHING, "objective", "latency", "max")
    if tcp_of(case.spec) and (latency is not None or given.success_rate is not None):
        yield case.problem("judge", tcp.NO_COUNTS, "objective")
    yield from _twice(case)


def _twice(case: Case) -> Iterator[Problem]:
    given, latency = _objective(case), _latency(case)
    slowest = latency.max / MILLISECOND if latency else None
    for index, metric in enumerate(case.analysis.metrics or ()):
        written = range_of(metric)
        for name, ours, way, theirs in (
            (BUILTINS[0], given.success_rate, "successRate", written.min),
            (BUILTINS[1], slowest, "latency.max", written.max),
        ):
            if _is(metric, name) and ours is not None and theirs not in (None, ours):
                sentence = f"{theirs:g} isn't used: objective.{way} of the judge is {ours:g}"
                yield case.warning("metrics", sentence, index, _range(metric))


def rate(case: Case) -> Iterator[Problem]:
    """A rate without its sign may be meant as a share."""
    given = case.analysis.judge
    if given is not None and _sequential(case) and given.false_rollback_rate < SMALL:
        per_cent = given.false_rollback_rate
        sentence = f"{per_cent:g}% is one rollout in {100 / per_cent:.0f}, so proof takes longer"
        meant = f"; did you mean {per_cent * 100:g}%?" if per_cent >= SMALL / 10 else ""
        yield case.warning("judge", sentence + meant, "falseRollbackRate")


def edges(case: Case) -> Iterator[Problem]:
    """Between two edges of a histogram it isn't known how long a request took."""
    latency = _latency(case)
    if not _sequential(case):
        return
    if latency is not None:
        sentence = _between(latency.max / MILLISECOND, source_of(case.spec))
        yield from (case.warning("judge", each, "objective", "latency", "max") for each in sentence)
        return
    for index, metric in enumerate(case.analysis.metrics or ()):
        slowest = range_of(metric).max
        if _is(metric, BUILTINS[1]) and not metric.dry_run and slowest is not None:
            sentence = _between(slowest, source_of(case.spec))
            yield from (case.warning("metrics", each, index, _range(metric)) for each in sentence)


def _between(slowest: float, source: str) -> Iterator[str]:
    """A sentence about an objective in milliseconds that is no edge of the source's histograms."""
    below, above = _prometheus(slowest) if source == "prometheus" else _envoy(slowest)
    if slowest <= 0 or slowest in (below, above):
        return
    whose = "usual in Envoy and Istio" if source == "prometheus" else "of Envoy's histograms"
    if below is None or above is None:
        yield f"{_ms(slowest)} is beyond the edges {whose}, {_ms(EDGES[0])} to {_ms(EDGES[-1])}; write one of these"
        return
    low, high = _ms(below), _ms(above)
    others = ", unless yours has other edges" if source == "prometheus" else ""
    yield (
        f"{_ms(slowest)} is between the edges {whose}, {low} and {high}: requests slower than {high} roll back, "
        f"those slower than {low} hold; write one of the two{others}"
    )


def _ms(value: float) -> str:
    return f"{value:.12g}ms"


def _prometheus(slowest: float) -> tuple[float | None, float | None]:
    at = bisect_left(EDGES, slowest)
    if at < len(EDGES) and EDGES[at] == slowest:
        return slowest, slowest
    return (EDGES[at - 1] if at else None), (EDGES[at] if at < len(EDGES) else None)


def _envoy(slowest: float) -> tuple[float, float]:
    """Bins of two significant digits, as `canary/envoy/stats.py` reads them."""
    if slowest <= 0:
        return slowest, slowest
    width = 10.0 ** (floor(log10(slowest)) - 1)
    below = round(floor(slowest / width + 1e-9) * width, 9)
    return (below, below) if abs(below - slowest) < width * 1e-6 else (below, round(below + width, 9))


def last_step(case: Case) -> Iterator[Problem]:
    """Where all requests go to the canary there is no stable to compare with."""
    plan = plan_of(case.analysis, case.spec.skip_analysis)
    last = plan.steps[-1]
    if not _sequential(case) or last.traffic.weight < 100 or not last.iterations or _any_objective(case):
        return
    field = next(field for field, _ in STRATEGIES if getattr(case.analysis, field))
    given = getattr(case.analysis, field)
    if isinstance(given, tuple):
        yield case.warning(field, ALONE, len(given) - 1, *(["weight"] if field == "steps" else []))
    else:
        yield case.warning("max_weight" if case.analysis.max_weight is not None else field, ALONE)


def unused(case: Case) -> Iterator[Problem]:
    """Fields of the other judge, of the same author."""
    analysis, block = case.analysis, case.block("judge")
    if not _sequential(case):
        given = [index for index, metric in enumerate(analysis.metrics or ()) if metric.weight is not None]
        yield from (case.warning("metrics", UNWEIGHTED, index, "weight") for index in given)
        return
    hooks = {hook.type for hook in analysis.webhooks or ()}
    if case.written("threshold") and case.block("threshold") == block and not hooks & FAILING:
        yield case.warning("threshold", f"{UNUSED}: it counts failed webhooks only, and there are none")
    if case.written("min_requests") and case.block("min_requests") == block:
        yield case.warning("min_requests", f"{UNUSED}, which itself waits for enough requests")
    for index, metric in enumerate(analysis.metrics or ()):
        for name, why in OF_THRESHOLD.items():
            if getattr(metric, name) is not None and case.block("metrics") == block:
                yield case.warning("metrics", f"{UNUSED}{why}", index, on_the_wire(Metric, name))


FAILING = {HookType.ROLLOUT, HookType.PRE_ROLLOUT}
"""Webhooks whose answers are counted as failed checks, with any judge."""
OF_THRESHOLD: Mapping[str, str] = {
    "interval": ", which counts from one evaluation to the next",
    "failure_limit": "",
    "consecutive_error_limit": "; write onUnreachable",
}
"""Fields of a metric, by Python name."""


def patience(case: Case) -> Iterator[Problem]:
    """Times that are over before they matter."""
    given = case.analysis.judge
    if given is None or not _sequential(case):
        return
    deadline = DEADLINE if case.analysis.deadline is None else case.analysis.deadline
    waits = given.on_inconclusive
    after = INCONCLUSIVE if waits is None or waits.after is None else waits.after
    ends = waits is not None and waits.after is not None and waits.then is not Answer.HOLD
    if ends and after >= deadline:
        sentence = f"{brief(after)} is not before the deadline of {brief(deadline)}, which rolls back first"
        yield case.warning("judge", sentence, "onInconclusive", "after")
    warmup = WARMUP if given.warmup is None else given.warmup
    if given.warmup is not None and warmup >= shortest(case) > timedelta():
        sentence = f"a rollout may take only {brief(shortest(case))}, so latency would never count"
        yield case.warning("judge", sentence, "warmup")


def no_data(case: Case) -> Iterator[Problem]:
    """Who writes only how long missing data is borne asks for a rollback, which this judge doesn't do by default."""
    given = case.analysis.on_no_data
    if given is not None and _sequential(case) and "then" not in given.model_fields_set:
        yield case.warning("on_no_data", NO_THEN)


def _sequential(case: Case) -> bool:
    return case.analysis.judge is not None and case.analysis.judge.type == SEQUENTIAL


def _objective(case: Case) -> Objective:
    given = case.analysis.judge
    return (given and given.objective) or Objective()


def _latency(case: Case) -> LatencyObjective | None:
    return _objective(case).latency


def _any_objective(case: Case) -> bool:
    """Whether anything but stable says how many events may be bad."""
    given = _objective(case)
    if given.success_rate is not None or given.latency is not None:
        return True
    written = [metric for metric in case.analysis.metrics or () if not metric.dry_run]
    return any(
        range_of(one).min is not None or (_is(one, BUILTINS[1]) and range_of(one).max is not None) for one in written
    )


def _is(metric: Metric, builtin: str) -> bool:
    return metric.name == builtin


def _range(metric: Metric) -> str:
    return "threshold" if metric.threshold_range is None else "thresholdRange"


def _gauge(case: Case, metric: Metric) -> str | None:
    """The field that asks for a value; None for counts, and for a template that isn't known."""
    if metric.query is not None:
        return "query"
    template = case.templates.get(metric.template_ref.key) if metric.template_ref else None
    return "templateRef" if template is not None and template.spec.counts is None else None


CHECKS = (judge, counted, anything, objective, rate, edges, last_step, unused, patience, no_data)
