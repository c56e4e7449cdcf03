"""The judge `threshold`: Flagger's rule with its defects mended.

A look fails when any metric is outside of its range. Failed looks are counted over the whole rollout, and the
look that reaches the threshold rolls back. What is missing neither passes nor fails: it holds, and when it lasts
longer than the policy bears, the policy says what follows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from math import isnan

from canary.api.duration import brief
from canary.api.evidence import CheckResult, Evidence
from canary.api.pinned import Limit, MetricPolicy, Policy
from canary.api.plan import Answer
from canary.engine.observed import Counts, Kind, Missing, Query, Sample, Shape, Subject, Value

from .judge import Ruling, Standing, Verdict

NAME = "threshold"
FORMAT = 1
UNITS = {"request-success-rate": "%", "request-duration": "ms"}
REASONS = {
    ("request-success-rate", "min"): "SuccessRateBelowMinimum",
    ("request-duration", "max"): "DurationAboveMaximum",
}
BUILTINS = ("request-success-rate", "request-duration")
LARGEST = 1e15
"""Stands for what is infinite, such as errors divided by no requests: JSON has no word for that."""
SECOND = timedelta(seconds=1)
REQUESTS = "requests"
"""The builtin that counts a subject's requests."""
Lack = tuple[str, Missing]
"""The name of a metric, and why it has no value."""


@dataclass(frozen=True)
class Memory:
    """What is kept between looks."""

    failed_checks: int = 0
    no_data_since: str | None = None
    unreachable_since: str | None = None


class Threshold:
    """See the module."""

    def asks(self, policy: Policy, evidence: Evidence | None, standing: Standing) -> Sequence[Query]:
        """Each metric of the canary; builtins of the stable version too, to show; and the number of requests."""
        asked = [query for metric in policy.metrics for query in _queries(metric, policy, standing)]
        if policy.min_requests:
            asked += [_requests(metric, policy, standing) for metric in policy.metrics]
        return tuple(dict.fromkeys(asked))

    def fold(
        self, policy: Policy, evidence: Evidence | None, look: Mapping[Query, Sample], standing: Standing
    ) -> Ruling:
        """One more look."""
        checks, missing = _check_all(policy, look, standing)
        failed = [check for check in checks if check.result == "failed"]
        memory = _wait(_remembered(evidence), missing, standing)
        memory = replace(memory, failed_checks=memory.failed_checks + bool(failed))
        verdict, reason, sentence = _rule(policy, memory, failed, missing, standing)
        data = {name: value for name, value in asdict(memory).items() if value is not None}  # as every store has it
        kept = Evidence(judge=NAME, version=FORMAT, data=data, up_to=standing.at)
        return Ruling(verdict, kept, reason, sentence, checks, memory.failed_checks)


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


def _rule(
    policy: Policy,
    memory: Memory,
    failed: Sequence[CheckResult],
    missing: Sequence[Lack],
    standing: Standing,
) -> tuple[Verdict, str, str]:
    """The order is the argument: what is known to be bad, what is not known, what is known to be good."""
    worse = memory.failed_checks >= policy.threshold
    if failed:
        reason, sentence = _blame(failed)
        counted = f"{memory.failed_checks} of {policy.threshold} failed checks"
        return (Verdict.ROLL_BACK if worse else Verdict.HOLD), reason, f"{sentence} ({counted})"
    if worse:
        return Verdict.ROLL_BACK, "TooManyFailedChecks", f"{memory.failed_checks} failed checks"
    if not settled(policy, standing):
        return Verdict.HOLD, "Settling", "the new traffic settles before it is judged"
    if missing:
        ruling = _bear(policy, memory, missing, standing)
        if ruling is not None:
            return ruling
    return (
        Verdict.PASS,
        "ChecksPassed",
        "all checks passed" if not missing else "passed without data, as the manifest asks",
    )


def _bear(
    policy: Policy, memory: Memory, missing: Sequence[Lack], standing: Standing
) -> tuple[Verdict, str, str] | None:
    """What missing metrics amount to; None where the manifest wants them to pass."""
    unreachable = [(name, one) for name, one in missing if one.kind.unreachable]
    name, why = (unreachable or missing)[0]
    limit = policy.on_unreachable if unreachable else policy.on_no_data
    since = memory.unreachable_since if unreachable else memory.no_data_since
    reason = "MetricsUnreachable" if unreachable else "NoData"
    what = f"{name} can't be read: {why}" if unreachable else f"no evidence of {name}: {why}"
    if since is None or not _over(since, limit, standing.at):
        return Verdict.HOLD, reason, what
    lasted = f"{what}, for {brief(standing.at - datetime.fromisoformat(since))}"
    match limit.then:
        case Answer.ROLLBACK:
            return Verdict.ROLL_BACK, reason, lasted
        case Answer.PROMOTE:
            return None
        case Answer.HOLD:
            return Verdict.HOLD, reason, lasted


def _wait(memory: Memory, missing: Sequence[Lack], standing: Standing) -> Memory:
    """Starts, keeps or stops the two clocks; they run only while somebody may meet the canary, unpaused."""
    runs = standing.exposed and not standing.paused
    unreachable = runs and any(one.kind.unreachable for _, one in missing)
    no_data = runs and any(not one.kind.unreachable for _, one in missing)
    now = standing.at.isoformat()
    return replace(
        memory,
        unreachable_since=(memory.unreachable_since or now) if unreachable else None,
        no_data_since=(memory.no_data_since or now) if no_data else None,
    )


def _over(since: str, limit: Limit, now: datetime) -> bool:
    return now - datetime.fromisoformat(since) >= limit.after


def _check_all(
    policy: Policy, look: Mapping[Query, Sample], standing: Standing
) -> tuple[tuple[CheckResult, ...], list[Lack]]:
    checks: list[CheckResult] = []
    missing: list[Lack] = []
    for metric in policy.metrics:
        few = _too_few(metric, policy, look, standing)
        answer = few or _value(look.get(_query(metric, policy, standing, standing.canary)))
        stable = _value(look.get(_query(metric, policy, standing, standing.stable)))
        checks.append(_check(metric, answer, stable))
        if isinstance(answer, Missing):
            missing.append((metric.name, answer))
    return tuple(checks), missing


def _value(answer: Sample | None) -> Value | Missing:
    """A number that can be compared, or why there is none."""
    match answer:
        case None:
            return Missing(Kind.NOT_YET, "not asked")
        case Counts():
            return Missing(Kind.RUBBISH, "counts where a value was due")
        case Value(value) if isnan(value):
            return Missing(Kind.NAN)
        case Value(value):
            return replace(answer, value=min(max(value, -LARGEST), LARGEST))
    return answer


def _check(metric: MetricPolicy, answer: Value | Missing, stable: Value | Missing) -> CheckResult:
    low, high = metric.range.min, metric.range.max
    result = CheckResult(metric=metric.name, result="missing", range=metric.range)
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
    metric: MetricPolicy, policy: Policy, look: Mapping[Query, Sample], standing: Standing
) -> Missing | None:
    if not policy.min_requests:
        return None
    answer = look.get(_requests(metric, policy, standing), Missing(Kind.NOT_YET, "not asked"))
    if isinstance(answer, Missing):
        return answer
    if not isinstance(answer, Counts):
        return Missing(Kind.RUBBISH, "a value where counts were due")
    if answer.total < policy.min_requests:
        return Missing(Kind.EMPTY, f"{answer.total} of the {policy.min_requests} requests that minRequests asks for")
    return None


def _blame(failed: Sequence[CheckResult]) -> tuple[str, str]:
    """Code of the first failed check, and a sentence that names all."""
    said = [_say(check) for check in failed]
    return said[0][0], ", ".join(sentence for _, sentence in said)


def _say(check: CheckResult) -> tuple[str, str]:
    unit, value = UNITS.get(check.metric, ""), check.canary or 0.0
    low = check.range.min is not None and value < check.range.min
    bound, side, word = (check.range.min, "min", "below") if low else (check.range.max, "max", "above")
    reason = REASONS.get((check.metric, side), "MetricBelowMinimum" if low else "MetricAboveMaximum")
    beside = "" if check.stable is None else f", stable {_number(check.stable)}{unit}"
    return reason, f"{check.metric} {_number(value)}{unit} is {word} {_number(bound or 0.0)}{unit}{beside}"


def _number(value: float) -> str:
    if abs(value) >= LARGEST:
        return "infinite"
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:.0f}"


def _queries(metric: MetricPolicy, policy: Policy, standing: Standing) -> Iterable[Query]:
    yield _query(metric, policy, standing, standing.canary)
    if metric.query is None:
        yield _query(metric, policy, standing, standing.stable)


def _query(metric: MetricPolicy, policy: Policy, standing: Standing, subject: Subject) -> Query:
    variables = tuple((f"variables.{name}", value) for name, value in sorted(metric.variables.items()))
    return Query(
        metric=metric.name,
        window=cut(metric.window, policy, standing),
        subject=subject,
        text=metric.query,
        server=metric.server,
        names=(*standing.names, *variables) if metric.query is not None else (),
    )


def _requests(metric: MetricPolicy, policy: Policy, standing: Standing) -> Query:
    window = cut(metric.window, policy, standing)
    return Query(metric=REQUESTS, window=window, subject=standing.canary, shape=Shape.COUNTS)


def _remembered(evidence: Evidence | None) -> Memory:
    if evidence is None or (evidence.judge, evidence.version) != (NAME, FORMAT):
        return Memory()
    return Memory(**evidence.data)
