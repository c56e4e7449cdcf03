"""One decision: fold what was observed, let the first rule speak, carry its conclusion out on status.

    decision = decide(desired, status, observed, now)

Pure. The caller saves `decision.status` before it carries out `decision.actions` (rollout/reconcile.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import assert_never

from canary.api.analysis import OnDrift
from canary.api.plan import Traffic
from canary.api.reason import Reason, Trait
from canary.api.status import End, Message, Outcome, Phase, Rollout, RolloutSummary, Status, Unmoved, Version
from canary.engine.targets.target import Idle, fold_idle

from . import evaluations, hooks, unmoved
from .actions import Action, SetTraffic
from .affinity import keeping_users
from .conditions import conditions
from .decision_rules import ACTIVE as ACTIVE_RULES
from .decision_rules import ENDING as ENDING_RULES
from .did_you_mean import did_you_mean
from .next_traffic import step_at
from .notifications import kept, messages
from .observed import HookCall, Observed, Query
from .outcome import (
    Advance,
    Close,
    Draft,
    Finding,
    Finish,
    Hold,
    Reassert,
    Remark,
    RollBack,
    Serve,
    Start,
    clipped,
    over,
)
from .phases import ACTIVE, ENDS, NEEDS, Need, phase_of
from .requeue import LATER, SOON, requeue
from .resolved import ResolvedSpec
from .situation import Situation, fold, stop_clock
from .targets import target_of
from .verbs import new_actions, remembered

HISTORY = 10
DRIFTED = (Reason.TRAFFIC_DRIFT, Reason.ROUTE_REJECTED)
"""Before routes are written back, it must be known whether they were the user's."""


@dataclass(frozen=True)
class Needs:
    """What `gather` has to read for the next decision."""

    needs: Need
    stable: str | None
    """None while it isn't known which version serves."""
    canary: str
    queries: tuple[Query, ...] = ()
    hooks: tuple[HookCall, ...] = ()
    """Calls without an answer."""
    at: datetime | None = None
    """The time at which the queries' windows end."""


@dataclass(frozen=True)
class Decision:
    """What one reconcile decided."""

    status: Status
    """To be saved first."""
    actions: tuple[Action, ...]
    """To be carried out then; end states."""
    reason: Reason
    sentence: str
    """For a person."""
    messages: tuple[Message, ...] = ()
    """What this reconcile added to the outbox."""
    requeue_after: timedelta = LATER
    """When something will be due that time alone brings about; drivers reconcile sooner, to see what happens."""
    evaluated: bool = False
    """Whether an evaluation was taken."""
    closed: bool = False
    """Whether a rollout was over with this decision; `status.history[0]` tells of it."""


def needs(resolved: ResolvedSpec, status: Status, now: datetime, may_evaluate: bool = True) -> Needs:
    """What the next decision needs to know, by phase. Metrics only where it may evaluate, as in `decide`."""
    target, rollout = target_of(resolved.manifest), status.rollout
    need = NEEDS[status.phase] | target.also_needs.get(status.phase, Need.NOTHING)
    if rollout is None:
        return Needs(need, *target.names(resolved.manifest))
    if rollout.policy.on_drift is OnDrift.REASSERT and status.reason in DRIFTED:
        need |= Need.PRIMARY
    asked = evaluations.queries(resolved.manifest, rollout, now) if may_evaluate and Need.EVIDENCE in need else ()
    at = evaluations.standing(resolved.manifest, rollout, now).at if asked else None
    called = hooks.calls(resolved.manifest, status)
    return Needs(need, rollout.stable_version.name, rollout.canary_version.name, asked, called, at)


def decide(
    resolved: ResolvedSpec, status: Status, observed: Observed, now: datetime, may_evaluate: bool = True
) -> Decision:
    """The next status, and what to do about it. Never raises for anything that was observed.

    An evaluation that is due is taken only where the decision may evaluate; otherwise it stays due.
    """
    if status.rollout is None:
        return _finish(_rest(fold_idle(resolved, status, observed, now)), resolved, status, observed, now)
    situation = fold(resolved, status, status.rollout, observed, now, may_evaluate)
    rules = ACTIVE_RULES if status.phase in ACTIVE else ENDING_RULES
    finding = next((said for rule in rules if (said := rule(situation))), Finding(Close(), Reason.UNDECIDED, ""))
    finding = replace(finding, sentence=clipped(finding.sentence))
    return _finish(carry_out(situation, finding), resolved, status, observed, now)


# ---- at rest ---------------------------------------------------------------------------------------------------


def _rest(idle: Idle) -> Draft:
    finding = _first(idle)
    draft = Draft(idle.status, finding, taken=idle.taken, remarks=idle.remarks)
    match finding.outcome:
        case Start(stable, canary):
            started = _with(draft, status=_started(idle, stable, canary), loud=True)
            return replace(started, remarks=(*draft.remarks, *_warnings(idle, stable), *_unmoved(started, stable)))
        case Serve(stable, analysed):
            phase = Phase.INITIALIZED if idle.status.phase is not Phase.SUCCEEDED else Phase.SUCCEEDED
            failed = None if analysed and idle.status.failed == stable else idle.status.failed
            return _with(draft, status=idle.status.but(phase=phase, stable=stable, failed=failed, canary_weight=0))
        case Hold(actions):
            return replace(draft, actions=actions)
    return draft


def _warnings(idle: Idle, stable: Version) -> Iterable[Remark]:
    """What lint would have warned of, and a word for stable that names nothing."""
    word, defined = idle.manifest.spec.stable, idle.route.destinations if idle.route else None
    warnings = list(idle.resolved.warnings)
    if word and defined is not None and word not in defined:
        meant = did_you_mean(word, defined) or f"; there are {', '.join(sorted(defined))}"
        warnings.append(f"spec.stable isn't used, {stable.name} serves: there is no destination {word}{meant}")
    if warnings:
        yield Remark(Reason.MANIFEST_WARNING, "; ".join(warnings))


def _unmoved(started: Draft, stable: Version) -> Iterable[Remark]:
    rollout = started.status.rollout
    return unmoved.remarks(rollout.unmoved, stable.name) if rollout else ()


def _first(idle: Idle) -> Finding:
    if idle.manifest.metadata.deletion_timestamp is not None or idle.status.phase is Phase.TERMINATING:
        left = target_of(idle.manifest).leave(idle)
        return left or Finding(Hold(), Reason.DELETED, "the Canary was deleted; nothing moves")
    wrong = (*idle.resolved.problems, *idle.resolved.obstacles)
    if wrong:
        return Finding(Hold(stalled=True), Reason.INVALID_SPEC, "; ".join(wrong))
    if idle.resolved.conflict:
        return Finding(Hold(stalled=True), Reason.CONFLICT, idle.resolved.conflict)
    target = target_of(idle.manifest)
    return next(said for rule in target.idle if (said := rule(idle)))


def _started(idle: Idle, stable: Version, canary: Version) -> Status:
    """A rollout at step 0. Weight that the canary carried at adoption is taken back first."""
    policy, now = idle.resolved.policy, idle.now
    rollout = Rollout(
        number=idle.status.rollouts + 1,
        stable_version=stable,
        canary_version=canary,
        plan=idle.resolved.plan,
        policy=policy,
        generation=idle.manifest.metadata.generation,
        started=now,
        deadline=now + policy.deadline,
        previous=_adopted(idle, canary),
        next_evaluation=evaluations.whole(now),
        unmoved=_left(idle, stable, canary),
    )
    return idle.status.but(rollout=rollout, rollouts=rollout.number, stable=stable, failed_checks=0)


def _left(idle: Idle, stable: Version, canary: Version) -> tuple[Unmoved, ...]:
    return unmoved.kept(unmoved.of_the_pair(idle.route, stable.name, canary.name)) if idle.route else ()


def _adopted(idle: Idle, canary: Version) -> Traffic:
    """What the canary carries before its rollout, in whole per cent; only that it is more than nothing matters."""
    share = idle.route.shares.get(canary.name, 0.0) if idle.route else 0.0
    return Traffic(weight=min(100, ceil(share)))


# ---- in a rollout ----------------------------------------------------------------------------------------------


def carry_out(s: Situation, finding: Finding) -> Draft:
    """What each conclusion means for status and route."""
    s = replace(s, rollout=_growing(_clocked(s, finding), finding, s.now))
    rollout = s.rollout
    draft = Draft(_counted(s), finding, taken=s.heard.taken, remarks=s.remarks, evaluated=s.ruling is not None)
    match finding.outcome:
        case Hold(actions, prepared=prepared):
            return _with(draft, rollout=_prepared(s) if prepared else rollout, actions=actions)
        case Reassert():
            return _with(draft, rollout=rollout, actions=(_set(s, rollout),))
        case Advance(step):
            return _move(draft, s, _advanced(s, step))
        case RollBack(outcome):
            return _move(draft, s, _moved(s, Traffic()).but(end=_end(s, finding, outcome)))
        case Finish(outcome):
            return _with(draft, rollout=_as_it_stands(s).but(end=_end(s, finding, outcome)), loud=True)
        case Close():
            return _closed(draft, s)
        case Start() | Serve():
            raise AssertionError("only a Canary at rest starts or serves")
        case _:
            assert_never(finding.outcome)


def _counted(s: Situation) -> Status:
    """Failed checks: of the judge, or before it has anything to judge."""
    if s.ruling is not None:
        return s.status.but(failed_checks=s.ruling.failed_checks)
    return s.status.but(failed_checks=s.rollout.failed_before) if s.rollout.step == 0 else s.status


def _prepared(s: Situation) -> Rollout:
    """Calls the hooks that need an available canary."""
    return hooks.due(s.rollout.but(prepared=True), s.done_but_gates, s.halted, s.now)


def _clocked(s: Situation, finding: Finding) -> Rollout:
    """Only the chain knows whether it is a guard that holds; as at a gate, the deadline doesn't run meanwhile."""
    return stop_clock(s.rollout, s.halted or bool(s.closed) or Trait.GUARD in finding.reason.traits, s.now)


def _growing(rollout: Rollout, finding: Finding, now: datetime) -> Rollout:
    """Since when an increase waits for replicas that were started for it; the first one has the rollout's start."""
    grows = rollout.step > 0 and rollout.policy.canary_replicas != "full"
    waits = grows and isinstance(finding.outcome, Hold) and finding.reason is Reason.CANARY_NOT_READY
    since = (rollout.growing_since or now) if waits else None
    return rollout if since == rollout.growing_since else rollout.but(growing_since=since)


def _move(draft: Draft, s: Situation, rollout: Rollout) -> Draft:
    actions = () if rollout.in_place_since else (_set(s, rollout),)
    return _with(draft, rollout=rollout, actions=actions, loud=True)


def _advanced(s: Situation, step: int) -> Rollout:
    """At the beginning of a step. The evaluations' grid begins with the first exposure, and is kept from there.

    A step with the traffic of the one before is held and settles from now on.
    """
    rollout = _moved(s, step_at(s.rollout.plan, step).traffic)
    rollout = rollout.but(in_place_since=rollout.in_place_since and s.now)
    first = s.rollout.step == 0
    next_evaluation = evaluations.first(rollout, s.now, s.resolved.jitter) if first else rollout.next_evaluation
    approved = tuple(one.but(comment="") for one in rollout.approvals) or None
    rollout = rollout.but(approved=approved, approvals=(), evaluation=None if first else rollout.evaluation)
    return hooks.left(rollout).but(step=step, iterations=0, gates=(), skipped=False, next_evaluation=next_evaluation)


def _moved(s: Situation, traffic: Traffic) -> Rollout:
    """Intent first: `meant` and `previous` are saved before the route is touched."""
    rollout, here = s.rollout, _standing_at(s)
    traffic = keeping_users(s.manifest, rollout, traffic)
    if traffic == rollout.desired and s.in_place:
        return rollout
    highest = max(rollout.highest, traffic.weight)
    return rollout.but(desired=traffic, previous=here, in_place_since=None, short_since=None, highest=highest)


def _as_it_stands(s: Situation) -> Rollout:
    """With the present traffic, even if it is not the desired one."""
    rollout, seen = s.rollout, s.route.traffic if s.route else None
    here = rollout.desired if seen is None else seen
    return rollout if here == rollout.desired else rollout.but(desired=here, previous=here, in_place_since=s.now)


def _standing_at(s: Situation) -> Traffic:
    """Where traffic stands as far as is known: what was read if that is ours, else the desired traffic."""
    seen = s.route.traffic if s.route else None
    return seen if seen is not None and s.ours else s.rollout.desired


def _set(s: Situation, rollout: Rollout) -> SetTraffic:
    token = s.route.token if s.route else None
    return SetTraffic(
        rollout.stable_version.name, rollout.canary_version.name, rollout.desired, token, s.decreases(rollout.desired)
    )


def _end(s: Situation, finding: Finding, outcome: Outcome) -> End:
    return End(outcome=outcome, reason=finding.reason, message=finding.sentence, at=s.now)


def _closed(draft: Draft, s: Situation) -> Draft:
    """Into the history; the canary is stable now, or has failed, or neither."""
    rollout, end = s.rollout, s.rollout.end
    if end is None:
        raise AssertionError("a rollout closes only after its end was decided")
    summary = RolloutSummary(
        number=rollout.number,
        stable=rollout.stable_version,
        canary=rollout.canary_version,
        started=rollout.started,
        ended=s.now,
        outcome=end.outcome,
        reason=end.reason,
        message=end.message,
        weight=rollout.highest,
    )
    phase = ENDS[end.outcome]
    status = draft.status.but(
        phase=phase,
        rollout=None,
        stable=target_of(s.manifest).serving(rollout),
        failed=rollout.canary_version if phase is Phase.FAILED else None,
        history=(summary, *s.status.history)[:HISTORY],
        canary_weight=rollout.desired.weight,
        iterations=0,
        provisioned_since=draft.status.provisioned_since and s.now,
    )
    since = f"; {draft.finding.sentence}" if draft.finding.sentence else ""
    finding = Finding(Close(), end.outcome.reason, f"{over(end.outcome, rollout.highest, end.message)}{since}")
    return _with(draft, status=status, finding=finding, loud=True)


# ---- the same for all ------------------------------------------------------------------------------------------


def _with(
    draft: Draft,
    *,
    status: Status | None = None,
    rollout: Rollout | None = None,
    finding: Finding | None = None,
    actions: tuple[Action, ...] = (),
    loud: bool = False,
) -> Draft:
    status = status or draft.status
    if rollout is not None:
        status = status.but(rollout=rollout)
    return Draft(
        status,
        finding or draft.finding,
        (*draft.actions, *actions),
        draft.taken,
        draft.remarks,
        loud,
        draft.evaluated,
    )


def _finish(draft: Draft, resolved: ResolvedSpec, before: Status, observed: Observed, now: datetime) -> Decision:
    """Phase, conditions, messages: what follows from every draft."""
    finding, status, name = draft.finding, draft.status, resolved.manifest.metadata.name
    rollout = status.rollout
    phase = _phase(status, resolved)
    sent = tuple(messages(draft, before, now, resolved, phase))
    status = status.but(
        phase=phase,
        reason=finding.reason,
        message=finding.sentence,
        observed_generation=resolved.manifest.metadata.generation,
        canary_weight=rollout.desired.weight if rollout else status.canary_weight,
        iterations=rollout.iterations if rollout else status.iterations,
        outbox=kept((*before.outbox, *sent)),
        message_count=before.message_count + len(sent),
        **remembered(name, before, draft.taken, observed.actions, now),
        last_transition_time=now if phase is not before.phase else before.last_transition_time,
    )
    status = status.but(conditions=conditions(status, finding, before.conditions, now))
    waiting = draft.taken and new_actions(name, status, observed.actions, now)
    after = SOON if waiting else requeue(status, draft, now)
    closed = isinstance(finding.outcome, Close)
    return Decision(status, draft.actions, finding.reason, finding.sentence, sent, after, draft.evaluated, closed)


def _phase(status: Status, resolved: ResolvedSpec) -> Phase:
    if status.rollout is not None:
        return phase_of(status.rollout)
    deleted = resolved.manifest.metadata.deletion_timestamp is not None
    return Phase.TERMINATING if deleted else status.phase
