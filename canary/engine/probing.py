"""The metrics of a manifest asked once, outside of a rollout: the same queries and ranges as in an evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from canary.api.evidence import CheckResult
from canary.api.pinned import MetricPolicy

from .evaluations import names_of
from .judges.judge import Standing
from .judges.threshold import check_of, query_of
from .observed import Missing, Query, Sample, Subject
from .resolved import ResolvedSpec


@dataclass(frozen=True)
class Probe:
    """One metric with its query about the canary, over its whole window."""

    metric: MetricPolicy
    query: Query

    def judged(self, answer: Sample) -> CheckResult:
        """How an evaluation would see this answer."""
        return check_of(self.metric, answer)


@dataclass(frozen=True)
class MetricAnswer:
    """What one metric says now."""

    check: CheckResult
    provider: str
    """The type of provider; `envoy` for the counters of Envoy itself."""
    server: str
    """Which server was asked; empty for the API server, and if none is."""
    query: str
    """What was sent; empty for counters of Envoy itself."""
    readable: bool
    """Whether a rollout would start with this answer."""

    def wire(self) -> dict[str, Any]:
        """The answer as JSON-ready data."""
        asked = {"provider": self.provider, "server": self.server, "query": self.query}
        return {**self.check.wire(), "readable": self.readable, **{name: one for name, one in asked.items() if one}}


def probes(resolved: ResolvedSpec, canary: Subject, now: datetime) -> Iterator[Probe]:
    """One for each metric, as of `now`; windows end when samples are sure to be stored."""
    standing = Standing(
        at=ended(resolved, now),
        since=None,
        step=1,
        steps=len(resolved.plan.steps),
        weight=0,
        exposed=False,
        paused=False,
        stable=canary,
        canary=canary,
        names=names_of(resolved.manifest),
    )
    for metric in resolved.policy.metrics:
        yield Probe(metric, query_of(metric, resolved.policy, standing, canary))


def ended(resolved: ResolvedSpec, now: datetime) -> datetime:
    """The end of all windows."""
    return now - resolved.policy.lag


def unreadable(answer: Sample) -> bool:
    """Whether a rollout would wait for this metric before its first increase."""
    return isinstance(answer, Missing) and answer.cause.unreachable
