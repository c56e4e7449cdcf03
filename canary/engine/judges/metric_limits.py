"""Limits of single metrics, as Argo Rollouts has them: `failureLimit` and `consecutiveErrorLimit`.

`threshold.py` keeps the counts in its evidence.
"""

from collections.abc import Collection, Mapping, Sequence

from canary.api.evidence import CheckResult
from canary.api.pinned import Policy
from canary.engine.observed import Missing

from .judge import Standing

ByMetric = Mapping[str, int]


def limited(policy: Policy) -> frozenset[str]:
    """Metrics that don't count for the common threshold."""
    return frozenset(metric.name for metric in policy.metrics if metric.failure_limit is not None)


def failures(policy: Policy, before: ByMetric | None, failed: Sequence[CheckResult]) -> dict[str, int] | None:
    """How often each limited metric has failed in the whole rollout; None if none has."""
    own, counts = limited(policy), dict(before or {})
    for check in failed:
        if check.metric in own:
            counts[check.metric] = counts.get(check.metric, 0) + 1
    return counts or None


def errors(
    policy: Policy, before: ByMetric | None, missing: Collection[tuple[str, Missing]], standing: Standing
) -> dict[str, int] | None:
    """How often in a row each limited metric couldn't be read; None if all could be.

    As the clocks of missing values, it counts only while requests can reach the canary.
    """
    if not standing.exposed or standing.paused:
        return None
    own = {metric.name for metric in policy.metrics if metric.consecutive_error_limit is not None}
    unread = {name for name, why in missing if name in own and why.cause.unreachable}
    return {name: (before or {}).get(name, 0) + 1 for name in sorted(unread)} or None


def failed_too_often(policy: Policy, counts: ByMetric | None) -> list[str]:
    """Metrics that failed more often than they may."""
    own = [(one.name, one.failure_limit) for one in policy.metrics]
    return [name for name, most in own if most is not None and (counts or {}).get(name, 0) > most]


def unread_too_often(policy: Policy, counts: ByMetric | None) -> list[str]:
    """Metrics that couldn't be read more often in a row than they may be."""
    own = [(one.name, one.consecutive_error_limit) for one in policy.metrics]
    return [name for name, most in own if most is not None and (counts or {}).get(name, 0) > most]


def counted(policy: Policy, failed_checks: int, counts: ByMetric | None, failed: Sequence[CheckResult]) -> str:
    """What failed so far, of that which failed now: `1 of 5 failed checks; errors failed 2 times, failureLimit 3`."""
    own = {one.name: one.failure_limit for one in policy.metrics if one.failure_limit is not None}
    said = []
    if any(check.metric not in own for check in failed):
        said.append(f"{failed_checks} of {policy.threshold} failed checks")
    for name in dict.fromkeys(check.metric for check in failed if check.metric in own):
        times = (counts or {}).get(name, 0)
        said.append(f"{name} failed {times} time{'' if times == 1 else 's'}, failureLimit {own[name]}")
    return "; ".join(said)
