"""The judge `threshold`: Flagger's rule with its defects mended.

An evaluation fails when any metric is outside of its range. Failed evaluations are counted over the whole rollout,
and the evaluation that reaches the threshold rolls back. What is missing neither passes nor fails: it holds, and when
it lasts longer than the policy bears, the policy says what follows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from math import isnan

from canary.api.evidence import CheckResult, Evidence
from canary.api.pinned import MetricPolicy, PinnedProvider, Policy
from canary.api.reason import Reason
from canary.engine.formats import LARGEST, shown
from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject, Value

from . import metric_limits
from .judge import REQUESTS, Ruling, Standing, Verdict
from .waits import Clocks, Lack, bear, wait

NAME = "threshold"
FORMAT, WITH_LIMITS = 1, 2
"""Of evidence; the second has counts of single metrics."""
REASONS = {
    ("request-success-rate", "min"): Reason.SUCCESS_RATE_BELOW_MINIMUM,
    ("request-duration", "max"): Reason.DURATION_ABOVE_MAXIMUM,
}
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class ThresholdEvidence:
    """What is kept between evaluations."""

    failed_checks: int = 0
    no_data_since: str | None = None
    unreachable_since: str | None = None
    failures: dict[str, int] | None = None
    """Of metrics with a failureLimit, by name."""
    errors: dict[str, int] | None = None
    """In a row, of metrics with a consecutiveErrorLimit."""


class Threshold:
    """See the module."""

    def asks(self, policy: Policy, evidence: Evidence | None, standing: Standing) -> Sequence[Query]:
        """Each metric of the canary; builtins of the stable version too, to show; and the number of requests."""
        asked = [query for metric in policy.metrics for query in _queries(metric, policy, standing)]
        if policy.min_requests:
            asked += [_requests(metric, policy, standing) for metric in policy.metrics]
        return tuple(dict.fromkeys(asked))

    def fold(
        self, policy: Policy, evidence: Evidence | None, evaluation: Mapping[Query, Sample], standing: Standing
    ) -> Ruling:
        """One more evaluation."""
        checks, missing = _check_all(policy, evaluation, standing)
        failed = [check for check in checks if check.result == "failed" and not check.dry_run]
        memory = _remembered(evidence)
        clocks = wait(Clocks(memory.no_data_since, memory.unreachable_since), missing, standing)
        memory = _count(policy, replace(memory, **asdict(clocks)), failed, missing, standing)
        verdict, reason, sentence = _rule(policy, memory, failed, missing, standing)
        data = {name: value for name, value in asdict(memory).items() if value is not None}  # as every store has it
        version = FORMAT if memory.failures is None and memory.errors is None else WITH_LIMITS
        kept = Evidence(judge=NAME, version=version, data=data, up_to=standing.at)
        return Ruling(verdict, kept, reason, sentence, checks, memory.failed_checks + standing.failed_before)


def settled(policy: Policy, standing: Standing) -> bool:
    """Whether a window can begin after this step's traffic had settled and still hold a scrape."""
    return standing.since is not None and standing.at - standing.since >= policy.scrape_interval


def cut(window: timedelta, policy: Policy, standing: Standing) -> timedelta:
    """The window, cut at the start of the step; at the rollout's while that would leave nothing of it."""
    if standing.since is not None and settled(policy, standing):
        return _within(standing.at - standing.since, window, policy)
    if standing.began is None:
        return window
    return _within(max(standing.at - standing.began, policy.scrape_interval), window, policy)


def _within(age: timedelta, window: timedelta, policy: Policy) -> timedelta:
    """The window, no longer than `age`; what is cut is in whole scrapes, so that rollouts ask for the same windows.

    A scrape counts as whole seconds, one at least. Less than a scrape is never left: then it is `age` itself.
    """
    if window <= age:
        return window
    grain = max(policy.scrape_interval // SECOND, 1) * SECOND
    whole = age // grain * grain
    return whole if whole >= policy.scrape_interval else age


def _count(
    policy: Policy,
    memory: ThresholdEvidence,
    failed: Sequence[CheckResult],
    missing: Sequence[Lack],
    standing: Standing,
) -> ThresholdEvidence:
    """What this evaluation adds to the counts."""
    common = bool(_refused(standing)) or any(one.metric not in metric_limits.limited(policy) for one in failed)
    return replace(
        memory,
        failed_checks=memory.failed_checks + common,
        failures=metric_limits.failures(policy, memory.failures, failed),
        errors=metric_limits.errors(policy, memory.errors, missing, standing),
    )


def _refused(standing: Standing) -> list[CheckResult]:
    """Hooks that said no."""
    return [one for one in standing.hooks if one.result == "failed"]


def _rule(
    policy: Policy,
    memory: ThresholdEvidence,
    failed: Sequence[CheckResult],
    missing: Sequence[Lack],
    standing: Standing,
) -> tuple[Verdict, Reason, str]:
    """The order is the argument: what is known to be bad, what is not known, what is known to be good."""
    often, count = (
        metric_limits.failed_too_often(policy, memory.failures),
        memory.failed_checks + standing.failed_before,
    )
    worse, refused = count >= policy.threshold or bool(often), _refused(standing)
    if failed or refused:
        reason, sentence = _blame(failed, refused)
        counted = metric_limits.counted(policy, count, memory.failures, (*failed, *refused))
        return (Verdict.ROLL_BACK if worse else Verdict.HOLD), reason, f"{sentence} ({counted})"
    if worse:
        said = f"{often[0]} failed more often than its failureLimit" if often else f"{count} failed checks"
        return Verdict.ROLL_BACK, Reason.TOO_MANY_FAILED_CHECKS, said
    unread = metric_limits.unread_too_often(policy, memory.errors)
    if unread:
        why = next((why for name, why in missing if name == unread[0]), "")
        times = f"{(memory.errors or {})[unread[0]]} times in a row"
        return Verdict.ROLL_BACK, Reason.METRICS_UNREACHABLE, f"{unread[0]} can't be read: {why}, {times}"
    if not settled(policy, standing):
        return Verdict.HOLD, Reason.SETTLING, "the new traffic settles before it is judged"
    if missing:
        ruling = bear(policy, Clocks(memory.no_data_since, memory.unreachable_since), missing, standing)
        if ruling is not None:
            return ruling
    awaited = next((one.metric for one in standing.hooks if one.result == "missing"), None)
    if awaited is not None:
        return Verdict.HOLD, Reason.HOOK_PENDING, f"waiting for the answer of the hook {awaited}"
    return (
        Verdict.PASS,
        Reason.CHECKS_PASSED,
        "all checks passed" if not missing else "passed without data, as the manifest asks",
    )


def _check_all(
    policy: Policy, evaluation: Mapping[Query, Sample], standing: Standing
) -> tuple[tuple[CheckResult, ...], list[Lack]]:
    checks: list[CheckResult] = []
    missing: list[Lack] = []
    for metric in policy.metrics:
        few = _too_few(metric, policy, evaluation, standing)
        answer = few or _value(metric, evaluation.get(query_of(metric, policy, standing, standing.canary)))
        stable = _value(metric, evaluation.get(query_of(metric, policy, standing, standing.stable)))
        checks.append(_check(metric, answer, stable))
        if isinstance(answer, Missing) and not metric.dry_run:
            missing.append((metric.name, answer))
    return tuple(checks), missing


def _value(metric: MetricPolicy, answer: Sample | None) -> Value | Missing:
    """A number that can be compared, or why there is none; of counts, the share of good events in per cent."""
    match answer:
        case Counts() | Value() if isinstance(answer, Counts) != bool(metric.counts):
            return Missing(Cause.RUBBISH, "counts where a value was due, or a value where counts were")
        case None:
            return Missing(Cause.NOT_YET, "not asked")
        case Counts(total=0):
            return Missing(Cause.EMPTY, "no event in the window")
        case Counts(total, bad):
            return Value(100 * (total - bad) / total, answer.unattributed)
        case Value(value) if isnan(value):
            return Missing(Cause.NAN)
        case Value(value):
            return replace(answer, value=min(max(value, -LARGEST), LARGEST))
    return answer


def check_of(metric: MetricPolicy, answer: Sample) -> CheckResult:
    """The check that an answer about the canary is."""
    return _check(metric, _value(metric, answer), Missing(Cause.NOT_YET))


def _check(metric: MetricPolicy, answer: Value | Missing, stable: Value | Missing) -> CheckResult:
    low, high = metric.range.min, metric.range.max
    result = CheckResult(metric=metric.name, result="missing", range=metric.range, dry_run=metric.dry_run)
    result = result.but(stable=stable.value) if isinstance(stable, Value) else result
    if isinstance(answer, Missing):
        return result.but(detail=str(answer))
    result = result.but(detail=_left_out(answer))
    outside = (low is not None and answer.value < low) or (high is not None and answer.value > high)
    return result.but(result="failed" if outside else "passed", canary=answer.value)


def _left_out(answer: Value) -> str:
    """What is shown beside a value that it doesn't hold."""
    if not answer.unattributed:
        return ""
    return f"{answer.unattributed} requests reached no pod, and count against neither version"


def _too_few(
    metric: MetricPolicy, policy: Policy, evaluation: Mapping[Query, Sample], standing: Standing
) -> Missing | None:
    if not policy.min_requests:
        return None
    answer = evaluation.get(_requests(metric, policy, standing), Missing(Cause.NOT_YET, "not asked"))
    if isinstance(answer, Missing):
        return answer
    if not isinstance(answer, Counts):
        return Missing(Cause.RUBBISH, "a value where counts were due")
    if answer.total < policy.min_requests:
        return Missing(Cause.EMPTY, f"{answer.total} of the {policy.min_requests} requests that minRequests asks for")
    return None


def _blame(failed: Sequence[CheckResult], refused: Sequence[CheckResult]) -> tuple[Reason, str]:
    """Code of the first failed check, and a sentence that names all; those of hooks come last."""
    said = [_say(check) for check in failed]
    said += [(Reason.HOOK_FAILED, f"the hook {one.metric} failed: {one.detail}") for one in refused]
    return said[0][0], ", ".join(sentence for _, sentence in said)


def _say(check: CheckResult) -> tuple[Reason, str]:
    value = check.canary or 0.0
    low = check.range.min is not None and value < check.range.min
    bound, side, word = (check.range.min, "min", "below") if low else (check.range.max, "max", "above")
    reason = REASONS.get((check.metric, side), Reason.METRIC_BELOW_MINIMUM if low else Reason.METRIC_ABOVE_MAXIMUM)
    beside = "" if check.stable is None else f", stable {shown(check.metric, check.stable)}"
    measured = shown(check.metric, value, (check.range.min, check.range.max))
    return reason, f"{check.metric} {measured} is {word} {shown(check.metric, bound or 0.0)}{beside}"


def _queries(metric: MetricPolicy, policy: Policy, standing: Standing) -> Iterable[Query]:
    yield query_of(metric, policy, standing, standing.canary)
    if metric.query is None:
        yield query_of(metric, policy, standing, standing.stable)


def query_of(metric: MetricPolicy, policy: Policy, standing: Standing, subject: Subject) -> Query:
    """What a metric asks about one of the pair."""
    variables = tuple((f"variables.{name}", value) for name, value in sorted(metric.variables.items()))
    counts = metric.counts
    return Query(
        metric=metric.name,
        window=cut(metric.window, policy, standing),
        subject=subject,
        shape=Shape.COUNTS if counts else Shape.VALUE,
        text=counts.total if counts else metric.query,
        bad=counts.bad if counts else None,
        server=metric.server,
        provider=metric.provider and _placed(metric.provider, subject.namespace),
        names=(*standing.names, *variables) if counts or metric.query is not None else (),
    )


def _placed(provider: PinnedProvider, namespace: str) -> PinnedProvider:
    """The provider with the namespace of its template, which is the Canary's unless it names one."""
    return provider if provider.namespace else provider.but(namespace=namespace)


def _requests(metric: MetricPolicy, policy: Policy, standing: Standing) -> Query:
    window = cut(metric.window, policy, standing)
    return Query(metric=REQUESTS, window=window, subject=standing.canary, shape=Shape.COUNTS)


def _remembered(evidence: Evidence | None) -> ThresholdEvidence:
    if evidence is None or evidence.judge != NAME or evidence.version not in (FORMAT, WITH_LIMITS):
        return ThresholdEvidence()
    return ThresholdEvidence(**evidence.data)
