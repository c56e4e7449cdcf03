"""The order in which reasons may speak. The first rule with something to say decides the tick.

Protective rules stand first: nothing that waits stands before something that protects.
Each rule takes the folded situation and returns a Finding, or None when it has nothing to say.
`decide.py` turns the finding into a Decision; `situation.py` folded what was observed; `wording.py` has the words
that rules share; what starts a rollout stands in `targets/`.
"""

from collections.abc import Callable
from datetime import timedelta

from canary.api.analysis import OnDrift
from canary.api.duration import brief
from canary.api.plan import Answer
from canary.api.status import GateWait, Outcome

from . import guards, wording
from .guarded import holding
from .judges.judge import Verdict
from .observed import GONE, Missing
from .outcome import Advance, Close, Finding, Hold, Promote, Reassert, RollBack
from .plan import below, next_index, promotion_index, step_at
from .situation import Situation, needed
from .targets import target_of

Rule = Callable[[Situation], Finding | None]


# ---- what protects ---------------------------------------------------------------------------------------------


def deleted(s: Situation) -> Finding | None:
    """Nobody wants this rollout any more: everything back to stable."""
    if s.canary.metadata.deletion_timestamp is None:
        return None
    return Finding(RollBack(Outcome.DELETED), "Deleted", "the Canary was deleted in mid-rollout")


def rollback_asked(s: Situation) -> Finding | None:
    """A person said no.

    That is carried out even where stable has no replica, and then it says what follows.
    """
    action = s.heard.rollback
    if action is None:
        return None
    said = next(remark for remark in s.heard.remarks if remark.reason in ("RejectAsked", "RollbackAsked"))
    alone = s.exposed and s.stable_available == 0
    nobody = f"; but no replica of {s.rollout.stable.name} is available: requests fail until one is" if alone else ""
    return Finding(RollBack(Outcome.REJECTED), "RejectedByPerson", f"{said.message}{nobody}")


def changed(s: Situation) -> Finding | None:
    """What is analysed is no longer what is wanted: nobody may meet a build that was not judged."""
    pinned = s.rollout.canary
    wanted = s.wanted if s.wanted not in (None, pinned) else s.rebuilt
    if wanted is None:
        return None
    if wanted.name == s.rollout.stable.name:
        return lower(s, Outcome.RETURNED, "Returned", f"version was set back to {wanted.name}")
    return lower(s, Outcome.SUPERSEDED, "Superseded", f"{wanted} is wanted now, instead of {pinned}")


def canary_lost(s: Situation) -> Finding | None:
    """No replica can answer, or too few for longer than the grace: users are failing now."""
    name, available = s.rollout.canary.name, s.available
    stuck = getattr(s.observed.canary, "stuck", None)
    if stuck:
        return lower(s, Outcome.ROLLED_BACK, "CanaryUnavailable", f"{name} doesn't get ready: {stuck}")
    if not s.exposed or available is None:
        return None
    if available == 0:
        return lower(s, Outcome.ROLLED_BACK, "CanaryUnavailable", wording.nobody(s))
    since, grace = s.rollout.short_since, s.rollout.policy.unready_grace
    if since is not None and s.now - since >= grace:
        wants = needed(s.rollout, s.rollout.meant)
        sentence = f"{name} has had {available} of the {wants} replicas that {s.weight}% needs for {brief(grace)}"
        return lower(s, Outcome.ROLLED_BACK, "CanaryUnavailable", sentence)
    return None


def judge_says_worse(s: Situation) -> Finding | None:
    """The evidence is against the canary; it stays so until another look, should stable have nothing to offer now."""
    if s.ruling is not None and s.ruling.verdict is Verdict.ROLL_BACK:
        return lower(s, Outcome.ROLLED_BACK, s.ruling.reason, s.ruling.sentence)
    look = s.rollout.look
    if look is None or Verdict(look.verdict) is not Verdict.ROLL_BACK:
        return None
    return lower(s, Outcome.ROLLED_BACK, look.reason, look.message)


def deadline_passed(s: Situation) -> Finding | None:
    """A wait has lasted too long, and rolling back is the answer to that. Clocks stand still while halted."""
    if s.halted:
        return None
    gate = next((gate for gate in s.closed if _overdue(s, gate)), None)
    if gate is not None:
        waited = brief(timedelta(seconds=round((s.now - gate.since).total_seconds())))
        return lower(s, Outcome.ROLLED_BACK, "GateTimedOut", f"{gate.name} stayed closed for {waited}")
    if s.rollout.stopped_at is None and s.now >= s.rollout.deadline:
        limit = brief(s.rollout.policy.deadline)
        return lower(s, Outcome.ROLLED_BACK, "DeadlinePassed", f"not done after {limit}")
    return never_ready(s)


def never_ready(s: Situation) -> Finding | None:
    """The canary never became available, so that the rollout never began to expose anybody."""
    limit = s.rollout.policy.ready_deadline
    stood_still = s.rollout.deadline - s.rollout.started - s.rollout.policy.deadline
    if s.rollout.stopped_at is not None:
        stood_still += s.now - s.rollout.stopped_at
    if s.rollout.step > 0 or s.now - s.rollout.started - stood_still < limit:
        return None
    stage = target_of(s.canary.spec.target_ref.kind).prepare(s, step_at(s.rollout.plan, 1).traffic)
    if stage.done:
        return None
    return Finding(RollBack(), "CanaryNeverReady", f"after {brief(limit)}, {stage.sentence}")


def unsaved_rollback(s: Situation) -> Finding | None:
    """After a start, less exposure than anything that was saved: our own rollback, which could not be saved."""
    if not s.observed.fresh or s.route is None:
        return None
    ours = (s.rollout.meant, s.rollout.previous)
    fell = [one for one in s.route.standings if all(below(one, known) for known in ours)]
    if fell and all(one in fell or one in ours for one in s.route.standings):
        return lower(s, Outcome.ROLLED_BACK, "UnsavedRollback", "a rollback was under way that could not be saved")
    return None


def taking_back(s: Situation) -> Finding | None:
    """A lowering that was saved is finished, whatever the rollout waits for: weight that came with adoption."""
    if not s.taking_back or s.stable_available == 0:
        return None
    return Finding(Reassert(), "WaitingForRoute", wording.awaited(s))


# ---- what waits ------------------------------------------------------------------------------------------------


def paused(s: Situation) -> Finding | None:
    """A person or the manifest asked to wait. This has no time-out, and says so."""
    if s.rollout.pause is not None:
        by = f" by {s.rollout.pause.author}" if s.rollout.pause.author else ""
        why = f" ({s.rollout.pause.comment})" if s.rollout.pause.comment else ""
        return Finding(Hold(), "Paused", f"paused{by} at {s.weight}% until resumed{why}")
    if s.canary.spec.suspend:
        return Finding(Hold(), "Suspended", f"suspended at {s.weight}% until spec.suspend is false")
    return None


def invalid(s: Situation) -> Finding | None:
    """What is written now can't be understood; the rollout keeps its pinned rules, and goes no further."""
    if not s.desired.problems:
        return None
    return Finding(Hold(stalled=True), "InvalidSpec", "; ".join(s.desired.problems))


def contested(s: Situation) -> Finding | None:
    """Somebody else moves the same target: two never act on one."""
    if not s.desired.conflict:
        return None
    return Finding(Hold(stalled=True), "Conflict", s.desired.conflict)


def drifted(s: Situation) -> Finding | None:
    """Somebody else changed the route; it is seen, said, and not overwritten blindly."""
    if s.route is None or s.ours:
        return None
    meant = wording.traffic(s.rollout.meant)
    sentence = f"the route was changed: {wording.found(s.route)}, not {meant}"
    match s.rollout.policy.on_drift:
        case OnDrift.ROLLBACK:
            return lower(s, Outcome.ROLLED_BACK, "TrafficDrift", sentence)
        case OnDrift.REASSERT:
            return raise_to(s, s.rollout.step, Reassert(), "TrafficDrift", sentence)
        case OnDrift.HOLD:
            return Finding(Hold(), "TrafficDrift", f"{sentence}; set it back or roll back")


def promotion_asked(s: Situation) -> Finding | None:
    """A person doesn't want to wait for the remaining steps; the canary's replicas are still asked for."""
    last = promotion_index(s.rollout.plan)
    if not s.rollout.hurried or last is None or s.rollout.step == last or not s.in_place:
        return None
    if holding(s, last) and not holding(s, s.rollout.step + 1):
        return None  # in steps, which the guards don't mind
    return raise_to(s, last, Advance(last), "PromotionAsked", "promoted by a person, without the remaining steps")


def stable_unhealthy(s: Situation) -> Finding | None:
    """Nothing is raised while there is nothing to go back to."""
    if s.stable_available != 0:
        return None
    return Finding(Hold(), "StableUnavailable", f"no replica of {s.rollout.stable.name} is available")


def not_in_place(s: Situation) -> Finding | None:
    """What was meant isn't served yet: asked again only now, after all that protects had its say.

    A route that is gone doesn't serve it any more; one that can't be read for a while does.
    """
    gone = s.observed.route
    if isinstance(gone, Missing) and gone.kind in GONE:
        return Finding(Hold(stalled=True), "RouteUnreadable", f"the route can't be read: {gone}")
    if s.in_place:
        return None
    if s.route is None:
        return Finding(Hold(), "RouteUnreadable", f"the route can't be read: {s.observed.route}")
    reason, sentence = "WaitingForRoute", wording.awaited(s)
    if s.lowers(s.rollout.meant):
        return Finding(Reassert(), reason, sentence)
    return raise_to(s, s.rollout.step, Reassert(), reason, sentence)


def gate_closed(s: Situation) -> Finding | None:
    """Asked to leave a step, so only once everything else about the step is done."""
    if not s.done_but_gates or not s.closed:
        return None
    gate = s.closed[0]
    have = f"{len(s.rollout.approvals)} of {gate.needed} approvals" if gate.needed > 1 else "an approval"
    until = f", until {wording.moment(gate.deadline, s.now)}" if gate.deadline else ", without end"
    return Finding(Hold(), "WaitingForApproval", f"at {s.weight}%, {gate.name} waits for {have}{until}")


def not_enough_evidence(s: Situation) -> Finding | None:
    """The judge holds. Steps that ask for no looks (the start, promotion) don't wait for evidence."""
    look = s.rollout.look
    if look is None or Verdict(look.verdict) is not Verdict.HOLD or s.step.looks == 0 or s.rollout.skipped:
        return None
    return Finding(Hold(), look.reason, f"holding at {wording.traffic(s.rollout.meant)}: {look.message}")


# ---- what moves ------------------------------------------------------------------------------------------------


def step_complete(s: Situation) -> Finding | None:
    """The only place from which a rollout goes forward by itself."""
    if not s.done_but_gates:
        return None
    following = next_index(s.rollout.plan, s.rollout.step)
    if following is None:
        return all_promoted(s)
    return raise_to(s, following, Advance(following), *wording.passed(s, following))


def all_promoted(s: Situation) -> Finding:
    """The canary serves everything; what else makes it stable is the target's."""
    stage = target_of(s.canary.spec.target_ref.kind).promote(s)
    if not stage.done:
        return Finding(Hold(stage.actions), stage.reason, stage.sentence)
    return Finding(Promote(), "Promoted", f"{s.rollout.canary} serves everything")


def keep_holding(s: Situation) -> Finding:
    """Nothing else to say."""
    return Finding(Hold(), "Analysing", f"holding at {wording.traffic(s.rollout.meant)}: {wording.remaining(s)}")


ACTIVE: tuple[Rule, ...] = (
    deleted,
    rollback_asked,
    changed,
    canary_lost,
    judge_says_worse,
    deadline_passed,
    unsaved_rollback,
    taking_back,
    paused,
    invalid,
    contested,
    drifted,
    promotion_asked,
    stable_unhealthy,
    not_in_place,
    gate_closed,
    not_enough_evidence,
    step_complete,
    keep_holding,
)
"""While a rollout is running."""


# ---- what ends -------------------------------------------------------------------------------------------------


def edited_since(s: Situation) -> Finding | None:
    """Promoted, and then somebody else changed the route: nothing is raised for a rollout that is over."""
    if s.in_place or s.lowers(s.rollout.meant):
        return None
    found = wording.found(s.route) if s.route else "unknown"
    return Finding(Close(), "TrafficDrift", f"the route was changed by somebody else since: {found}")


def not_back_yet(s: Situation) -> Finding | None:
    """A saved lowering is always finished, whatever was written to the route meanwhile."""
    if s.in_place:
        return None
    meant = wording.traffic(s.rollout.meant)
    if s.route is None:
        return _asking_again(f"the route can't be read, asking for {meant} again: {s.observed.route}")
    if s.route.rejected:
        return _asking_again(f"the route was refused, asking for {meant} again: {s.route.rejected}")
    return _asking_again(wording.awaited(s))


def releasing(s: Situation) -> Finding | None:
    """What the rollout needed is put away, in a later tick than the last change of exposure."""
    stage = target_of(s.canary.spec.target_ref.kind).release(s)
    return None if stage.done else Finding(Hold(stage.actions), stage.reason, stage.sentence)


# `Close` itself is not a rule: it is what is left when neither of these speaks (decide.py).
ENDING: tuple[Rule, ...] = (edited_since, not_back_yet, releasing)
"""Once the end is decided and saved."""


# ---- shared by rules -------------------------------------------------------------------------------------------


def lower(s: Situation, outcome: Outcome, reason: str, sentence: str) -> Finding:
    """Rolls back, unless stable has no replica either: then the split stays, because nothing is better."""
    if s.exposed and s.stable_available == 0:
        stable = s.rollout.stable.name
        return Finding(Hold(), "NothingToGoBackTo", f"{sentence}; but no replica of {stable} is available either")
    return Finding(RollBack(outcome), reason, sentence)


def raise_to(s: Situation, step: int, move: Advance | Reassert, reason: str, sentence: str) -> Finding:
    """Goes to a step, if what is wanted is what was analysed, the target is prepared for it, and no guard holds."""
    if s.wanted is None:
        return Finding(Hold(), "RevisionUnknown", f"the wanted version can't be read: {s.observed.wanted}")
    if s.route is None:
        return Finding(Hold(), "RouteUnreadable", f"the route can't be read: {s.observed.route}")
    if s.route.rejected:
        return Finding(Hold(stalled=True), "RouteRejected", f"the route was refused: {s.route.rejected}")
    stage = target_of(s.canary.spec.target_ref.kind).prepare(s, step_at(s.rollout.plan, step).traffic)
    if not stage.done:
        return Finding(Hold(stage.actions), stage.reason, stage.sentence)
    held = holding(s, step)
    if held is not None:
        broken = held.reason == guards.ERROR
        return Finding(Hold(stalled=broken), held.reason, f"at {wording.traffic(s.rollout.meant)}, {held.sentence}")
    return Finding(move, reason, sentence)


def _asking_again(sentence: str) -> Finding:
    return Finding(Reassert(), "WaitingForRoute", sentence)


def _overdue(s: Situation, gate: GateWait) -> bool:
    answers = {one.name or "approval": one.on_timeout for one in s.step.gates}
    return gate.deadline is not None and s.now >= gate.deadline and answers.get(gate.name) is Answer.ROLLBACK
