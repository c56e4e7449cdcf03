"""A healthy rollout in the middle of a step, and everything that may happen to it, by name.

`at_20_percent(failing, paused)` is a `Case`: the good default with changes, applied in order. `decided(case)` is
what the engine makes of it. A change is a function from case to case; those with arguments return one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.api.evidence import Evidence
from canary.api.plan import Match, StringMatch, Traffic
from canary.api.reason import Reason
from canary.api.status import Approval, End, Outcome, Pause, Phase, Rollout, Status, Version
from canary.engine.decide import Decision, decide, needs
from canary.engine.observed import (
    Cause,
    Counts,
    Missing,
    Observed,
    Query,
    RouteSeen,
    Sample,
    Shape,
    Value,
    WorkloadSeen,
)
from canary.engine.resolved import ResolvedSpec, resolve_spec
from tests.moves import moves

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
STABLE, CANARY = Version(name="v1", revision="a"), Version(name="v2", revision="b")
BETA = Match(headers={"x-user-group": StringMatch(exact="beta")})
ANALYSIS: dict[str, Any] = {
    "interval": "1m",
    "threshold": 2,
    "steps": [
        {"weight": 10, "hold": "1m"},
        {"weight": 20, "hold": "3m", "iterations": 2},
        {"weight": 50, "hold": "1m"},
    ],
    "metrics": [
        {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}},
        {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}},
    ],
    "deadline": "2h",
}  # fmt: skip
Answers = Callable[[Query], Sample]


def manifest(spec: dict[str, Any] | None = None, **analysis: Any) -> Canary:
    """The Canary of all cases, with these fields of spec and analysis instead; None takes a field away."""
    merged = {name: value for name, value in {**ANALYSIS, **analysis}.items() if value is not None}
    whole = {"targetRef": {"kind": "EnvoyRoute", "name": "web"}, "version": "v2", "revision": "b"}
    return Canary.model_validate({"metadata": {"name": "web"}, "spec": {**whole, "analysis": merged, **(spec or {})}})


def wants(spec: dict[str, Any] | None = None, **analysis: Any) -> ResolvedSpec:
    """What is wanted of it, resolved."""
    return resolve_spec(manifest(spec, **analysis))


def good(query: Query) -> Sample:
    """The answer of a healthy version."""
    if query.shape is Shape.COUNTS:
        slower = tuple((edge, 0) for edge in query.edges)
        return Counts(1000, 0, slower, timed=1000 if slower else 0)
    return Value(100.0 if query.metric == "request-success-rate" else 40.0)


def route_at(traffic: Traffic | None, token: str = "t1", **more: Any) -> RouteSeen:
    """A route in this state, with the pair's shares that follow from it."""
    weight = traffic.weight if traffic is not None else 30
    shares = {"v1": 100.0 - weight, "v2": float(weight)}
    return RouteSeen(token, shares, traffic, destinations=frozenset({"v1", "v2"}), **more)


@dataclass(frozen=True)
class Case:
    """All that a decision is made from."""

    resolved: ResolvedSpec
    status: Status
    now: datetime = NOW
    desired_version: Version | Missing = CANARY
    route: RouteSeen | Missing = Missing(Cause.NOT_YET)  # noqa: RUF009 - frozen, and no call has an effect
    stable: WorkloadSeen | Missing = WorkloadSeen("v1", 4, 4, "a")  # noqa: RUF009
    canary: WorkloadSeen | Missing = WorkloadSeen("v2", 4, 4, "b")  # noqa: RUF009
    answers: Answers = good
    actions: tuple[CanaryAction, ...] = ()
    fresh: bool = False

    @property
    def rollout(self) -> Rollout:
        """The rollout that runs."""
        assert self.status.rollout is not None
        return self.status.rollout

    @property
    def observed(self) -> Observed:
        """What a reconcile would see: answers to what is asked, and no others."""
        asked = needs(self.resolved, self.status, self.now).queries
        samples = {query: self.answers(query) for query in asked}
        return Observed(
            self.desired_version, self.route, self.stable, self.canary, samples, self.actions, self.fresh
        )  # fmt: skip

    def but(self, **changes: Any) -> "Case":
        """The case with these fields of the rollout instead."""
        return replace(self, status=self.status.but(rollout=self.rollout.but(**changes)))


Change = Callable[[Case], Case]


def decided(case: Case) -> Decision:
    """What the engine decides."""
    return decide(case.resolved, case.status, case.observed, case.now)


def after(case: Case, decision: Decision, *, seconds: float = 0, obeyed: bool = True) -> Case:
    """The next reconcile's case: status was saved, time passed, and the route did what was asked (or not)."""
    route = case.route
    if obeyed and decision.actions and isinstance(route, RouteSeen):
        route = route_at(moves(decision)[-1].traffic, token=f"{route.token}+")
    return replace(
        case, status=decision.status, route=route, now=case.now + seconds * SECOND, actions=(), fresh=False
    )


# ---- good defaults ---------------------------------------------------------------------------------------------


def at_rest(*changes: Change, spec: dict[str, Any] | None = None, **analysis: Any) -> Case:
    """v1 serves everything, v2 is wanted, nothing was ever done."""
    case = Case(wants(spec, **analysis), Status(), route=route_at(Traffic()))
    return changed(case, *changes)


def at_20_percent(*changes: Change, spec: dict[str, Any] | None = None, **analysis: Any) -> Case:
    """In step 2 of 3, ten minutes in; held for 90 s of 3 m, no evaluation passed of 2, and one is due now."""
    return changed(at_step(2, wants(spec, **analysis)), *changes)


def at_step(index: int, want: ResolvedSpec, held: timedelta = 90 * SECOND) -> Case:
    """In place in a step of the plan since `held`, with an evaluation due now."""
    steps = (*want.plan.steps, *want.plan.promotion)
    traffic, started = steps[index].traffic, NOW - 10 * MINUTE
    rollout = Rollout(
        number=1, stable_version=STABLE, canary_version=CANARY, stable_replicas=4, plan=want.plan, policy=want.policy,
        started=started, deadline=started + want.policy.deadline, step=index, desired=traffic, previous=traffic,
        in_place_since=NOW - held, next_evaluation=NOW, highest=traffic.weight,
    )  # fmt: skip
    status = Status(stable=STABLE, rollouts=1, rollout=rollout, phase=Phase.PROGRESSING if index else Phase.WAITING)
    return Case(want, status, route=route_at(traffic))


def changed(case: Case, *changes: Change) -> Case:
    """The case with these changes, in this order."""
    for change in changes:
        case = change(case)
    return case


# ---- what is measured ------------------------------------------------------------------------------------------


def answering(value: Callable[[Query], Sample | None]) -> Change:
    """Metrics answer so; where it says None, as a healthy version does."""
    return lambda case: replace(case, answers=lambda query: value(query) or good(query))


def of_canary(rate: float = 100.0, duration: float = 40.0) -> Change:
    """The canary has this success rate and this latency; stable is healthy."""

    def value(query: Query) -> Sample | None:
        if query.subject.workload != "v2" or query.shape is Shape.COUNTS:
            return None
        return Value(rate if query.metric == "request-success-rate" else duration)

    return answering(value)


def missing(kind: Cause) -> Change:
    """No metric has a value, for this reason."""
    return answering(lambda query: Missing(kind))


def one_failed_check(case: Case) -> Case:
    """An earlier look failed."""
    at = case.now - case.rollout.policy.interval
    return case.but(evidence=Evidence(judge="threshold", version=1, data={"failed_checks": 1}, up_to=at))


def failing(case: Case) -> Case:
    """The evaluation that is due is the one too many."""
    return changed(case, one_failed_check, of_canary(rate=90.0))


prometheus_down = missing(Cause.REFUSED)
no_data = missing(Cause.EMPTY)


# ---- what serves and what runs ---------------------------------------------------------------------------------


def pods(available: int, **more: Any) -> Change:
    """The canary has this many available replicas of 4."""
    return lambda case: replace(case, canary=WorkloadSeen("v2", 4, available, "b", **more))


no_pods = pods(0)


def no_stable_pods(case: Case) -> Case:
    """Stable has no available replica."""
    return replace(case, stable=WorkloadSeen("v1", 4, 0, "a"))


def unknown_pods(case: Case) -> Case:
    """No one can say how many replicas there are."""
    return replace(case, stable=Missing(Cause.TIMED_OUT), canary=Missing(Cause.TIMED_OUT))


def foreign_edit(weight: int = 35) -> Change:
    """Someone else set the route to this weight."""
    return lambda case: replace(case, route=route_at(Traffic(weight=weight), token="foreign"))


def route_says(**more: Any) -> Change:
    """The route as it is, with these fields instead."""

    def change(case: Case) -> Case:
        assert isinstance(case.route, RouteSeen)
        return replace(case, route=replace(case.route, **more))

    return change


def route_down(case: Case) -> Case:
    """The route can't be read."""
    return replace(case, route=Missing(Cause.REFUSED, "the proxy is down"))


def raised_from(weight: int) -> Change:
    """The raise to this step is saved, and the route still stands at what was before."""

    def change(case: Case) -> Case:
        before = Traffic(weight=weight)
        return replace(case.but(previous=before, in_place_since=None), route=route_at(before))

    return change


def restarted(case: Case) -> Case:
    """This is the first reconcile of a new process."""
    return replace(case, fresh=True)


# ---- the desired version -------------------------------------------------------------------------------------------


def wanted(name: str, revision: str = "b") -> Change:
    """This version is wanted now."""
    return lambda case: replace(case, desired_version=Version(name=name, revision=revision))


another_revision = wanted("v2", "c")
back_to_stable = wanted("v1", "a")


def unknown_revision(case: Case) -> Case:
    """No one can say the desired version."""
    return replace(case, desired_version=Missing(Cause.TIMED_OUT))


def spec(**fields: Any) -> Change:
    """The manifest says this now."""

    def change(case: Case) -> Case:
        canary = case.resolved.manifest
        return replace(case, resolved=replace(case.resolved, manifest=canary.but(spec=canary.spec.but(**fields))))

    return change


suspended = spec(suspend=True)


def deleted(case: Case) -> Case:
    """The Canary is being deleted."""
    canary = case.resolved.manifest
    metadata = canary.metadata.but(deletion_timestamp=case.now)
    return replace(case, resolved=replace(case.resolved, manifest=canary.but(metadata=metadata)))


def invalid(case: Case) -> Case:
    """What is written now is wrong."""
    return replace(case, resolved=replace(case.resolved, problems=("spec.analysis.banana: unknown field",)))


def another_judge(case: Case) -> Case:
    """A newer release began the rollout."""
    return case.but(policy=case.rollout.policy.but(judge="of-a-later-release"))


def contested(case: Case) -> Case:
    """Another Canary, or a run, moves the same target."""
    return replace(case, resolved=replace(case.resolved, conflict="the older Canary shop/first moves reviews"))


# ---- what people ask -------------------------------------------------------------------------------------------


def asks(verb: Verb, author: str = "ada", **more: Any) -> Change:
    """A person asks for this now."""

    def change(case: Case) -> Case:
        given = {"id": f"{verb}-{author}-{len(case.actions)}", "target": "web", "verified": True, "at": case.now}
        action = CanaryAction.model_validate({**given, "verb": verb, "author": author, **more})
        return replace(case, actions=(*case.actions, action))

    return change


def paused(case: Case) -> Case:
    """A person paused it a minute ago."""
    since = case.now - MINUTE
    pause = Pause(since=since, author="ada")
    return case.but(pause=pause, stopped_at=since, halted_at=since)


def hurried(case: Case) -> Case:
    """A person asked to promote it."""
    return case.but(hurried=True)


def approved_by(*people: str) -> Change:
    """These have approved the step."""
    return lambda case: case.but(approvals=tuple(Approval(action=f"a-{one}", author=one) for one in people))


# ---- how far it is ---------------------------------------------------------------------------------------------


def later(time: timedelta) -> Change:
    """That much later."""
    return lambda case: replace(case, now=case.now + time)


def between_evaluations(case: Case) -> Case:
    """The next evaluation is due in half an interval."""
    return case.but(next_evaluation=case.now + case.rollout.policy.interval / 2)


def done(case: Case) -> Case:
    """The step was held and looked at as the plan asks; the last evaluation passed just now."""
    held, looks = case.now - HOUR, case.rollout.plan.steps[case.rollout.step].iterations
    return between_evaluations(case.but(in_place_since=held, iterations=looks))


def overdue(case: Case) -> Case:
    """The rollout's time is over."""
    return case.but(deadline=case.now)


def ended(outcome: Outcome, weight: int = 0) -> Change:
    """Its end was decided a second ago and saved; the route stands there already."""

    def change(case: Case) -> Case:
        traffic = Traffic(weight=weight)
        rollout = case.but(desired=traffic, previous=traffic, in_place_since=case.now - SECOND)
        ending = rollout.but(
            end=End(outcome=outcome, reason=Reason("Because"), message="because", at=case.now - SECOND)
        )
        phase = Phase.TERMINATING if outcome is Outcome.DELETED else Phase.FINALISING
        return replace(ending, status=ending.status.but(phase=phase), route=route_at(traffic))

    return change
