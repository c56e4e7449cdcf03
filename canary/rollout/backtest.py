"""What judges would have decided on recorded data: the evaluations of a rollout of the past, one after the other.

The recorded traffic doesn't follow a judge that is tried on it. So each judge walks the plan's steps by its own
rulings, but enters a step only once the recorded share of requests had reached it: a failure that came with more
traffic is judged, and not promoted before it. What the recording never reached holds no judge back.
`show/backtest.py` prints what comes out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from canary.api.evidence import Evidence
from canary.api.pinned import Policy
from canary.engine.errors import Invalid, Unreachable
from canary.engine.evaluations import names_of
from canary.engine.judges import JUDGES
from canary.engine.judges.judge import Ruling, Standing, Verdict
from canary.engine.observed import Counts, Missing, Query, Sample, Shape, Subject
from canary.engine.policy_merge import judged_by
from canary.engine.resolved import ResolvedSpec
from canary.ports import Metrics

MOST = 2000
"""Evaluations of one backtest: more than a day of one a minute."""
REQUESTS = "requests"
"""The builtin that counts a subject's requests."""


@dataclass(frozen=True)
class Recording:
    """Which past is judged, and who knows it."""

    start: datetime
    """When the canary got its first traffic."""
    end: datetime
    stable: Subject
    canary: Subject
    metrics: Metrics
    left_out: tuple[str, ...] = ()
    """Metrics of the manifest that the recording can't tell, so that nothing asks for them."""


@dataclass(frozen=True)
class Judged:
    """One judge's evaluation."""

    step: int
    """Of the plan, counted from 1, at the judge's own pace."""
    ruling: Ruling
    advances: bool = False
    """Whether the step is complete with it, and another one follows."""
    promotes: bool = False
    """Whether the last step is complete with it."""
    after: bool = False
    """Whether it is later than the judge's promotion, and shows only what the judge would have found."""


@dataclass(frozen=True)
class Recorded:
    """The requests between two evaluations."""

    at: datetime
    """The later one's nominal time."""
    canary: Counts | None
    """None if they aren't known."""
    stable: Counts | None

    @property
    def share(self) -> float | None:
        """The canary's share of the recorded requests, in per cent; None if it isn't known."""
        if self.canary is None or self.stable is None:
            return None
        both = self.canary.total + self.stable.total
        return 100 * self.canary.total / both if both else None


@dataclass(frozen=True)
class Evaluation:
    """All judges' evaluations at one time."""

    recorded: Recorded
    judged: Mapping[str, Judged]
    """By the judge's name; a judge that has rolled back is missing from then on."""

    @property
    def at(self) -> datetime:
        """Its nominal time."""
        return self.recorded.at


@dataclass
class Judging:
    """Where one judge stands in the plan."""

    name: str
    resolved: ResolvedSpec
    reached: Mapping[int, datetime]
    """As `reached` finds it."""
    in_place: datetime
    """When the step began."""
    step: int = 1
    passed: int = 0
    complete: bool = False
    over: bool = False
    """Whether it has rolled back."""
    evidence: Evidence | None = None

    @cached_property
    def policy(self) -> Policy:
        """The manifest's, for this judge."""
        return judged_by(self.resolved.policy, self.name)

    def asks(self, standing: Standing) -> Sequence[Query]:
        """What it wants to know."""
        return JUDGES[self.name].asks(self.policy, self.evidence, standing)

    def fold(self, answers: Mapping[Query, Sample], standing: Standing, at: datetime) -> Judged:
        """Its evaluation, and the step that follows from it."""
        last = len(self.resolved.plan.steps) - 1
        ruling = JUDGES[self.name].fold(self.policy, self.evidence, answers, standing)
        self.evidence, self.over = ruling.evidence, ruling.verdict is Verdict.ROLL_BACK
        self.passed += ruling.verdict is Verdict.PASS
        step, after = self.step, self.complete
        ends = ruling.verdict is Verdict.PASS and not after and self._ends(at)
        if ends and step < last:
            self.step, self.passed, self.in_place = step + 1, 0, at
        self.complete = after or (ends and step == last)
        return Judged(step, ruling, ends and step < last, ends and step == last, after)

    def _ends(self, at: datetime) -> bool:
        """Whether the step has lasted and passed often enough, and the recording has the next one from now on.

        Gates and hooks count as open.
        """
        step = self.resolved.plan.steps[self.step]
        enough = self.passed >= step.iterations and at - self.in_place >= step.hold
        return enough and self.reached.get(self.step + 1, at) <= at + self.resolved.policy.interval


def recorded(resolved: ResolvedSpec, recording: Recording) -> Iterator[Recorded]:
    """The requests up to each evaluation of the range, the first one interval after its start.

    Raises Invalid as `count` does, and Unreachable if they can't be read at the first.
    """
    policy = resolved.policy
    pair = [
        Query(REQUESTS, policy.interval, subject, Shape.COUNTS) for subject in (recording.canary, recording.stable)
    ]
    for number in range(1, count(resolved, recording.start, recording.end) + 1):
        at = recording.start + number * policy.interval
        answers = recording.metrics.measure(pair, at - policy.lag)
        lost = [one for one in answers.values() if isinstance(one, Missing) and one.cause.unreachable]
        if number == 1 and len(lost) == len(answers):
            raise Unreachable(f"the metrics can't be read: {lost[0]}")
        canary, stable = (answers[query] for query in pair)
        yield Recorded(at, _counts(canary), _counts(stable))


def exposed(recording: Recording, requests: Sequence[Recorded]) -> tuple[Recording, Sequence[Recorded]]:
    """Both from the canary's first request on: before it a rollout hasn't begun. All, if none is known."""
    first = next((number for number, one in enumerate(requests) if one.canary and one.canary.total), 0)
    return (replace(recording, start=requests[first - 1].at) if first else recording), requests[first:]


def replay(
    resolved: ResolvedSpec, recording: Recording, requests: Sequence[Recorded], judges: Sequence[str]
) -> Iterator[Evaluation]:
    """The evaluations of these judges; `requests` are those of the whole range."""
    steps = reached(resolved, requests)
    walks = [Judging(name, resolved, steps, recording.start) for name in judges]
    for one in requests:
        at, running = one.at, [walk for walk in walks if not walk.over]
        standings = [_standing(walk, recording, one) for walk in running]
        asked = [query for walk, here in zip(running, standings, strict=True) for query in walk.asks(here)]
        answers = recording.metrics.measure(dict.fromkeys(asked), at - resolved.policy.lag) if asked else {}
        judged = {walk.name: walk.fold(answers, here, at) for walk, here in zip(running, standings, strict=True)}
        yield Evaluation(one, judged)


def reached(resolved: ResolvedSpec, requests: Sequence[Recorded]) -> Mapping[int, datetime]:
    """The end of the first interval whose share is nearer to a step's weight than to that of the step before, by
    step."""
    found: dict[int, datetime] = {}
    steps = [step.traffic for step in resolved.plan.steps]
    for number, (before, traffic) in enumerate(pairwise(steps), 1):
        middle = (before.weight + traffic.weight) / 2
        at = next((one.at for one in requests if one.share is not None and one.share >= middle), None)
        if at is not None and traffic.weight > before.weight:
            found[number] = at
    return found


def count(resolved: ResolvedSpec, start: datetime, end: datetime) -> int:
    """How many evaluations the range has. Raises Invalid if that is none, or more than `MOST`."""
    interval = resolved.policy.interval
    if len(resolved.plan.steps) < 2:
        raise Invalid("spec.analysis: the plan has no step that is analysed, so a judge is never asked")
    if end <= start:
        raise Invalid(f"the range ends at {end:%Y-%m-%dT%H:%M:%SZ}, which isn't after its start")
    found = (end - start) // interval
    if not found:
        raise Invalid(f"the range is shorter than one interval of the analysis, {interval.total_seconds():g}s")
    if found > MOST:
        raise Invalid(f"the range has {found} evaluations, more than {MOST}: choose a shorter one")
    return found


@dataclass(frozen=True)
class JudgeOutcome:
    """What one judge would have made of the rollout."""

    promoted: Evaluation | None
    rolled_back: Evaluation | None
    """Possibly after a promotion: what the judge would have found if it had still looked."""
    end: Evaluation
    """The evaluation that decided, or the last one."""
    requests: int
    """Recorded requests of the canary up to the end."""
    failed: int
    evaluations: int


def outcome(name: str, evaluations: Sequence[Evaluation]) -> JudgeOutcome:
    """The outcome of a judge that has seen these evaluations, of which there is at least one."""
    own = [one for one in evaluations if name in one.judged]
    promoted = next((one for one in own if one.judged[name].promotes), None)
    back = next((one for one in own if one.judged[name].ruling.verdict is Verdict.ROLL_BACK), None)
    end = promoted or back or own[-1]
    seen = [one.recorded.canary for one in own if one.at <= end.at and one.recorded.canary is not None]
    requests, failed = sum(one.total for one in seen), sum(one.bad for one in seen)
    return JudgeOutcome(promoted, back, end, requests, failed, sum(one.at <= end.at for one in own))


def anything_seen(evaluations: Sequence[Evaluation]) -> bool:
    """Whether there was any request of the canary, or any check of it had a value."""
    requests = any(one.recorded.canary is not None and one.recorded.canary.total for one in evaluations)
    return requests or any(
        check.canary is not None for one in evaluations for its in one.judged.values() for check in its.ruling.checks
    )


def _standing(walk: Judging, recording: Recording, seen: Recorded) -> Standing:
    """Where the judge stands; the weight is what was recorded, or what the plan has if nothing is known."""
    policy, plan, share = walk.resolved.policy, walk.resolved.plan, seen.share
    weight = plan.steps[walk.step].traffic.weight if share is None else _whole(share)
    return Standing(
        at=seen.at - policy.lag,
        since=walk.in_place + policy.settle,
        step=walk.step,
        steps=len(plan.steps),
        weight=weight,
        exposed=True,
        paused=False,
        stable=recording.stable,
        began=recording.start,
        canary=recording.canary,
        names=names_of(walk.resolved.manifest),
    )


def _whole(share: float) -> int:
    """In whole per cent; neither 0 nor 100 if each version got a request."""
    return round(share) if share in (0, 100) else min(max(round(share), 1), 99)


def _counts(answer: Sample) -> Counts | None:
    return answer if isinstance(answer, Counts) else None
