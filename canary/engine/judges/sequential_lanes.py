"""What the judge `sequential` counts: the lanes of a policy, the queries for them, and the counts in the answers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from math import nan

from canary.api.pinned import MetricPolicy, Policy, SequentialPolicy
from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject

from .judge import REQUESTS, Standing
from .threshold import query_of
from .waits import Lack

DURATION = "request-duration"
LEAST, MOST = 1e-4, 0.9
"""Between these an allowed share of bad events is judged as it is written."""


class Kind(StrEnum):
    """Which events of a metric are bad."""

    ERRORS = "errors"
    EVENTS = "events"
    """The bad events of a template."""
    HALF = "half"
    """Requests slower than half of what the objective allows."""
    WITHIN = "within"
    """Slower than the highest edge within the objective: if few are, the objective is surely met."""
    OVER = "over"
    """Slower than the lowest edge that is not within it: if many are, it is surely missed."""


@dataclass(frozen=True)
class Lane:
    """One count of bad events."""

    metric: str
    kind: Kind
    weight: float
    """Of its evidence, in units of a metric's."""
    allowed: float = nan
    """The share of bad events that the objective allows; NaN for none."""
    gates: bool = True
    """Whether a high share must be ruled out before an increase."""

    @property
    def key(self) -> str:
        """What tells the lanes of a policy apart."""
        return f"{self.metric} {self.kind}"


def judged(policy: Policy) -> tuple[MetricPolicy, ...]:
    """The metrics that can be judged: those that count events."""
    return tuple(one for one in policy.metrics if not one.dry_run and (one.query is None or one.counts is not None))


def lanes_of(policy: Policy) -> tuple[Lane, ...]:
    """The lanes of all metrics, in order."""
    given = policy.sequential or SequentialPolicy()
    return tuple(lane for metric in judged(policy) for lane in _lanes(metric, given))


def _lanes(metric: MetricPolicy, given: SequentialPolicy) -> Iterator[Lane]:
    weight = metric.weight or 1.0
    if metric.counts is not None:
        yield Lane(metric.name, Kind.EVENTS, weight, _bad_share(metric.range.min))
    elif metric.name == "request-success-rate":
        yield Lane(metric.name, Kind.ERRORS, weight, _bad_share(given.success_rate))
    elif metric.name == DURATION and given.slowest is not None:
        third = weight / 3
        yield Lane(metric.name, Kind.HALF, third, gates=False)
        yield Lane(metric.name, Kind.WITHIN, third)
        yield Lane(metric.name, Kind.OVER, third, _bad_share(given.quantile), gates=False)


def _bad_share(good: float | None) -> float:
    """Of the least share of good events, in per cent."""
    return nan if good is None else min(max(1 - good / 100, LEAST), MOST)


Windows = Mapping[str, timedelta]
"""How far back each metric is asked, by name."""


def queries(policy: Policy, standing: Standing, windows: Windows) -> Iterator[Query]:
    """The counts of the canary and of stable in the windows.

    Errors and latency are two questions, so that a histogram that is missing hides no error.
    """
    for metric in judged(policy):
        for subject in (standing.canary, standing.stable):
            yield _query(metric, policy, standing, subject, windows[metric.name])


def _query(metric: MetricPolicy, policy: Policy, standing: Standing, subject: Subject, window: timedelta) -> Query:
    if metric.counts is not None:
        return replace(query_of(metric, policy, standing, subject), window=window)
    slowest = policy.sequential.slowest if policy.sequential else None
    edges = (slowest / 2, slowest) if metric.name == DURATION and slowest is not None else ()
    return Query(metric=REQUESTS, window=window, subject=subject, shape=Shape.COUNTS, edges=edges)


@dataclass(frozen=True)
class LaneCounts:
    """The counts of one evaluation by lane: (canary's bad, canary's total, stable's bad, stable's total)."""

    lanes: tuple[tuple[int, int, int, int], ...]
    missing: tuple[Lack, ...]
    """Metrics without a count of the canary, or without an answer about stable."""
    unread: frozenset[str]
    """Metrics to be asked again for the same time and what follows it."""
    together: Mapping[str, bool]
    """Whether the counts of canary and stable are of the same moments, by metric that has both."""
    cold: bool
    """Whether latency doesn't count yet."""


NOTHING = (0, 0, 0, 0)


def counted(
    policy: Policy,
    chosen: Sequence[Lane],
    evaluation: Mapping[Query, Sample],
    standing: Standing,
    windows: Windows,
    warm: bool,
) -> LaneCounts:
    """The counts in the answers. Latency counts only once the canary is `warm`, and what is missing for nothing."""
    lanes: list[tuple[int, int, int, int]] = []
    missing: list[Lack] = []
    unread: set[str] = set()
    together: dict[str, bool] = {}
    slowest = (policy.sequential or SequentialPolicy()).slowest or 0.0
    for metric in judged(policy):
        own = [lane for lane in chosen if lane.metric == metric.name]
        canary, stable = (
            _counts(evaluation.get(_query(metric, policy, standing, subject, windows[metric.name])))
            for subject in (standing.canary, standing.stable)
        )
        if isinstance(canary, Counts) and isinstance(stable, Counts):
            together[metric.name] = canary.snapshots is not None and canary.snapshots == stable.snapshots
        found = _compared(own, canary, stable, slowest)
        if isinstance(found, Missing):
            missing.append((metric.name, found))
            if found.cause is not Cause.NOT_YET:
                unread.add(metric.name)
        elif not any(one[1] for one in found):
            missing.append((metric.name, Missing(Cause.EMPTY, "no requests in the window")))
        cold = metric.name == DURATION and metric.counts is None and not warm
        lanes += [NOTHING] * len(own) if isinstance(found, Missing) or cold else found
    return LaneCounts(tuple(lanes), tuple(missing), frozenset(unread), together, not warm)


def _counts(answer: Sample | None) -> Counts | Missing:
    match answer:
        case None:
            return Missing(Cause.NOT_YET, "not asked")
        case Counts() | Missing():
            return answer
    return Missing(Cause.RUBBISH, "a value where counts were due")


def _compared(
    own: Sequence[Lane], canary: Counts | Missing, stable: Counts | Missing, slowest: float
) -> list[tuple[int, int, int, int]] | Missing:
    """The counts of a metric's lanes; stable without a request is no obstacle, one that can't be read is."""
    if isinstance(canary, Missing):
        return canary
    if isinstance(stable, Missing) and (stable.cause.unreachable or stable.cause is Cause.NOT_YET):
        return Missing(stable.cause, f"of stable, {stable.detail or stable.cause.value}")
    beside = Counts(0, 0) if isinstance(stable, Missing) else stable
    found = [_lane(lane, canary, beside, slowest) for lane in own]
    if None in found:
        return Missing(Cause.ABSENT, f"no edge of the histogram is at {slowest:g}ms or below it")
    return [one for one in found if one is not None]


def _lane(lane: Lane, canary: Counts, stable: Counts, slowest: float) -> tuple[int, int, int, int] | None:
    """None where the histogram can't tell that enough requests are fast."""
    if lane.kind in (Kind.ERRORS, Kind.EVENTS):
        return canary.bad, canary.total, stable.bad, stable.total
    limit = limit_of(lane.kind, slowest)
    ours, theirs = dict(canary.slower), dict(stable.slower)
    if limit in ours and (limit in theirs or not stable.timed):
        return ours[limit], canary.timed, theirs.get(limit, 0), stable.timed
    edges = sorted({limit, *ours, *theirs})
    nearest = edges.index(limit)  # the first to try: a native histogram has hundreds of edges
    fair = _fair(canary, stable), _fair(stable, canary)
    for edge in edges[nearest:] if lane.kind is Kind.OVER else edges[nearest::-1]:
        slow, beside = canary.slower_than(edge), stable.slower_than(edge)
        if slow is not None and beside is not None and all(one(edge) for one in fair):
            return slow, canary.timed, beside, stable.timed
    return None if lane.kind is Kind.WITHIN and canary.timed else NOTHING


def _fair(counts: Counts, other: Counts) -> Callable[[float], bool]:
    """Whether counts may be compared at an edge: if the histogram has this edge, and not only with these counts.

    A coarser one knows the count at an edge of the other only if it has no request nearby. If the edge were chosen by
    that, two versions that are alike would seem to differ.
    """
    own = dict(counts.slower)
    if not counts.timed or (counts.native and not (own and counts.coarser(other))):
        return lambda edge: True
    return lambda edge: edge in own or (counts.native and not min(own) < edge < max(own))


def limit_of(kind: Kind, slowest: float) -> float:
    """The duration beyond which requests are bad in a lane of latency, if the histogram has an edge there."""
    return slowest / 2 if kind is Kind.HALF else slowest
