"""One decision: fold what was observed, let the first rule speak, carry its conclusion out on status.

    decision = decide(desired, status, observed, now)

Pure. The caller saves `decision.status` before it carries out `decision.actions` (rollout/tick.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import assert_never

from canary.api.plan import Traffic
from canary.api.status import End, Message, Outcome, Phase, Rollout, RolloutSummary, Status, Version

from . import guards, looks
from .actions import Action, SetTraffic
from .conditions import conditions
from .desired import Desired
from .draft import Draft
from .idle import Idle, fold_idle
from .nearest import did_you_mean
from .observed import Observed, Query
from .outcome import OVER, Advance, Close, Finding, Hold, Promote, Reassert, RollBack, Serve, Start
from .people import Remark, clipped, remembered
from .phases import ACTIVE, ENDS, NEEDS, Need, phase_of
from .plan import step_at
from .requeue import LATER, requeue
from .rules import ACTIVE as ACTIVE_RULES
from .rules import ENDING as ENDING_RULES
from .situation import Situation, fold, stop_clock
from .targets import target_of
from .telling import kept, messages

HISTORY = 10


@dataclass(frozen=True)
class Needs:
    """What `gather` has to read for the next decision."""

    needs: Need
    stable: str | None
    """None while it isn't known which version serves."""
    canary: str
    queries: tuple[Query, ...] = ()
    at: datetime | None = None
    """The time at which the queries' windows end."""


@dataclass(frozen=True)
class Decision:
    """What one tick decided."""

    status: Status
    """To be saved first."""
    actions: tuple[Action, ...]
    """To be carried out then; end states."""
    reason: str
    """PascalCase, stable."""
    sentence: str
    """For a person."""
    messages: tuple[Message, ...] = ()
    """What this tick added to the outbox."""
    requeue_after: timedelta = LATER
    """When something will be due that time alone brings about; drivers tick sooner, to see what happens."""
    looked: bool = False
    """Whether a look was taken."""
    closed: bool = False
    """Whether a rollout was over with this decision; `status.history[0]` tells of it."""


def needs(desired: Desired, status: Status, now: datetime) -> Needs:
    """What the next decision needs to know, by phase."""
    wanted = desired.canary.spec.version or ""
    rollout = status.rollout
    if rollout is None:
        return Needs(NEEDS[status.phase], None, wanted)
    need = NEEDS[status.phase]
    asked = looks.queries(desired.canary, rollout, now) if Need.EVIDENCE in need else ()
    at = looks.standing(desired.canary, rollout, now).at if asked else None
    return Needs(need, rollout.stable.name, rollout.canary.name, asked, at)


def decide(desired: Desired, status: Status, observed: Observed, now: datetime) -> Decision:
    """The next status, and what to do about it. Never raises for anything that was observed."""
    if status.rollout is None:
        return _finish(_rest(fold_idle(desired, status, observed, now)), desired, status, observed, now)
    situation = fold(desired, status, status.rollout, observed, now)
    rules = ACTIVE_RULES if status.phase in ACTIVE else ENDING_RULES
    finding = next((said for rule in rules if (said := rule(situation))), Finding(Close(), "", ""))
    finding = replace(finding, sentence=clipped(finding.sentence))
    return _finish(carry_out(situation, finding), desired, status, observed, now)


# ---- at rest ---------------------------------------------------------------------------------------------------


def _rest(idle: Idle) -> Draft:
    finding = _first(idle)
    draft = Draft(idle.status, finding, taken=idle.taken, remarks=idle.remarks)
    match finding.outcome:
        case Start(stable, canary):
            started = _with(draft, status=_started(idle, stable, canary), loud=True)
            return replace(started, remarks=(*draft.remarks, *_warnings(idle, stable)))
        case Serve(stable=stable):
            phase = Phase.INITIALIZED if idle.status.phase is not Phase.SUCCEEDED else Phase.SUCCEEDED
            failed = None if idle.status.failed == stable else idle.status.failed
            return _with(draft, status=idle.status.but(phase=phase, stable=stable, failed=failed, canary_weight=0))
    return draft


def _warnings(idle: Idle, stable: Version) -> Iterable[Remark]:
    """What lint would have warned of, and a word for stable that names nothing."""
    word, defined = idle.canary.spec.stable, idle.route.destinations if idle.route else None
    told = list(idle.desired.warnings)
    if word and defined is not None and word not in defined:
        meant = did_you_mean(word, defined) or f"; there are {', '.join(sorted(defined))}"
        told.append(f"spec.stable isn't used, {stable.name} serves: there is no destination {word}{meant}")
    if told:
        yield Remark("ManifestWarning", "; ".join(told), "Warning")


def _first(idle: Idle) -> Finding:
    if idle.canary.metadata.deletion_timestamp is not None or idle.status.phase is Phase.TERMINATING:
        return Finding(Hold(), "Deleted", "the Canary was deleted; nothing moves")
    wrong = (*idle.desired.problems, *idle.desired.obstacles)
    if wrong:
        return Finding(Hold(stalled=True), "InvalidSpec", "; ".join(wrong))
    if idle.desired.conflict:
        return Finding(Hold(stalled=True), "Conflict", idle.desired.conflict)
    target = target_of(idle.canary.spec.target_ref.kind)
    return next(said for rule in target.idle if (said := rule(idle)))


def _started(idle: Idle, stable: Version, canary: Version) -> Status:
    """A rollout at step 0. Weight that the canary carried at adoption is taken back first."""
    policy, now = idle.desired.policy, idle.now
    rollout = Rollout(
        number=idle.status.rollouts + 1,
        stable=stable,
        canary=canary,
        plan=idle.desired.plan,
        policy=policy,
        generation=idle.canary.metadata.generation,
        started=now,
        deadline=now + policy.deadline,
        previous=_adopted(idle, canary),
        next_look=now + policy.interval,
    )
    return idle.status.but(rollout=rollout, rollouts=rollout.number, stable=stable, failed_checks=0)


def _adopted(idle: Idle, canary: Version) -> Traffic:
    """What the canary carries before its rollout, in whole per cent; only that it is more than nothing matters."""
    share = idle.route.shares.get(canary.name, 0.0) if idle.route else 0.0
    return Traffic(weight=min(100, ceil(share)))


# ---- in a rollout ----------------------------------------------------------------------------------------------


def carry_out(s: Situation, finding: Finding) -> Draft:
    """What each conclusion means for status and route."""
    s = replace(s, rollout=_clocked(s, finding))
    rollout = s.rollout
    draft = Draft(s.status, finding, taken=s.heard.taken, remarks=s.remarks, looked=s.ruling is not None)
    if s.ruling is not None:
        draft = _with(draft, status=s.status.but(failed_checks=s.ruling.failed_checks))
    match finding.outcome:
        case Hold(actions):
            return _with(draft, rollout=rollout, actions=actions)
        case Reassert():
            return _with(draft, rollout=rollout, actions=(_set(s, rollout),))
        case Advance(step):
            return _move(draft, s, _advanced(s, step))
        case RollBack(outcome):
            return _move(draft, s, _moved(s, Traffic()).but(end=_end(s, finding, outcome)))
        case Promote():
            return _with(draft, rollout=rollout.but(end=_end(s, finding, Outcome.PROMOTED)), loud=True)
        case Close():
            return _closed(draft, s)
        case Start() | Serve():
            raise AssertionError("only a Canary at rest starts or serves")
        case _:
            assert_never(finding.outcome)


def _clocked(s: Situation, finding: Finding) -> Rollout:
    """Only the chain knows whether it is a guard that holds; as at a gate, the deadline doesn't run meanwhile."""
    return stop_clock(s.rollout, s.halted or bool(s.closed) or finding.reason in guards.REASONS, s.now)


def _move(draft: Draft, s: Situation, rollout: Rollout) -> Draft:
    actions = () if rollout.in_place_since else (_set(s, rollout),)
    return _with(draft, rollout=rollout, actions=actions, loud=True)


def _advanced(s: Situation, step: int) -> Rollout:
    """At the beginning of a step. The looks' grid begins with the first exposure, and is kept from there.

    A step with the traffic of the one before is held and settles from now on.
    """
    rollout = _moved(s, step_at(s.rollout.plan, step).traffic)
    rollout = rollout.but(in_place_since=rollout.in_place_since and s.now)
    first = s.rollout.step == 0
    next_look = looks.first(rollout, s.now, s.desired.jitter) if first else rollout.next_look
    approved = tuple(one.but(comment="") for one in rollout.approvals) or None
    rollout = rollout.but(approved=approved, approvals=())
    return rollout.but(step=step, looks=0, gates=(), skipped=False, next_look=next_look)


def _moved(s: Situation, traffic: Traffic) -> Rollout:
    """Intent first: `meant` and `previous` are saved before the route is touched."""
    rollout, here = s.rollout, _standing_at(s)
    if traffic == rollout.meant and s.in_place:
        return rollout
    highest = max(rollout.highest, traffic.weight)
    return rollout.but(meant=traffic, previous=here, in_place_since=None, short_since=None, highest=highest)


def _standing_at(s: Situation) -> Traffic:
    """Where traffic stands as far as is known: what was read if that is ours, else what was meant."""
    seen = s.route.traffic if s.route else None
    return seen if seen is not None and s.ours else s.rollout.meant


def _set(s: Situation, rollout: Rollout) -> SetTraffic:
    token = s.route.token if s.route else None
    return SetTraffic(rollout.stable.name, rollout.canary.name, rollout.meant, token, s.lowers(rollout.meant))


def _end(s: Situation, finding: Finding, outcome: Outcome) -> End:
    return End(outcome=outcome, reason=finding.reason, message=finding.sentence, at=s.now)


def _closed(draft: Draft, s: Situation) -> Draft:
    """Into the history; the canary is stable now, or has failed, or neither."""
    rollout, end = s.rollout, s.rollout.end
    if end is None:
        raise AssertionError("a rollout closes only after its end was decided")
    summary = RolloutSummary(
        number=rollout.number,
        stable=rollout.stable,
        canary=rollout.canary,
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
        stable=rollout.canary if end.outcome is Outcome.PROMOTED else rollout.stable,
        failed=rollout.canary if phase is Phase.FAILED else None,
        history=(summary, *s.status.history)[:HISTORY],
        canary_weight=0,
        iterations=0,
    )
    since = f"; {draft.finding.sentence}" if draft.finding.sentence else ""
    finding = Finding(Close(), str(end.outcome), f"{OVER[end.outcome]}: {end.message}{since}")
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
        draft.looked,
    )


def _finish(draft: Draft, desired: Desired, before: Status, observed: Observed, now: datetime) -> Decision:
    """Phase, conditions, messages: what follows from the draft, whatever it concluded."""
    finding, status = draft.finding, draft.status
    rollout = status.rollout
    told = tuple(messages(draft, before, now))
    phase = _phase(status, desired)
    status = status.but(
        phase=phase,
        reason=finding.reason,
        message=finding.sentence,
        observed_generation=desired.canary.metadata.generation,
        canary_weight=rollout.meant.weight if rollout else status.canary_weight,
        iterations=rollout.looks if rollout else status.iterations,
        outbox=kept((*before.outbox, *told)),
        told=before.told + len(told),
        **remembered(before, draft.taken, observed.actions, now),
        last_transition_time=now if phase is not before.phase else before.last_transition_time,
    )
    status = status.but(conditions=conditions(status, finding, before.conditions, now))
    after = requeue(status, draft, now)
    closed = isinstance(finding.outcome, Close)
    return Decision(status, draft.actions, finding.reason, finding.sentence, told, after, draft.looked, closed)


def _phase(status: Status, desired: Desired) -> Phase:
    if status.rollout is not None:
        return phase_of(status.rollout)
    deleted = desired.canary.metadata.deletion_timestamp is not None
    return Phase.TERMINATING if deleted else status.phase
