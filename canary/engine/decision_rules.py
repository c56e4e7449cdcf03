"""The rules of a rollout, in order. The first rule with an answer decides the reconcile.

Rules that protect users come before rules that wait. Each rule takes the combined situation and returns a Finding, or
None if it has no answer. `decide.py` turns the finding into a Decision, `situation.py` combines what was observed,
`primary_rules.py`, `hook_rules.py` and `revision_rules.py` have rules of one subject, `moves.py` how traffic changes,
`wording.py` the words of more than one rule, and `targets/` the start of a rollout.
"""

from collections.abc import Callable
from datetime import timedelta

from canary.api.analysis import OnDrift
from canary.api.duration import brief
from canary.api.reason import Reason
from canary.api.status import Outcome

from . import gates, wording
from .guards import holding
from .hook_rules import failed_before, gate_closed, rollback_hooked
from .judges import JUDGES
from .judges.judge import Verdict
from .moves import asking_again, decrease, increase_to, to_primary
from .next_traffic import below, next_index, promotion_index, step_at
from .observed import GONE, Missing
from .outcome import Advance, Close, Finding, Finish, Hold, Reassert, RollBack
from .primary_rules import primary_edited, primary_lost, promotion_failed, route_lost
from .revision_rules import changed
from .situation import Situation, needed
from .targets import target_of

Rule = Callable[[Situation], Finding | None]


# ---- what protects ---------------------------------------------------------------------------------------------


def deleted(s: Situation) -> Finding | None:
    """The Canary was deleted: all traffic goes back to stable, if stable has a replica."""
    if s.manifest.metadata.deletion_timestamp is None:
        return None
    if s.stranded and not (
        s.rollout.desired.match or s.rollout.desired.mirror
    ):  # routes of canary are removed anyway
        sentence = f"the Canary was deleted in mid-rollout; traffic stays as it is: {wording.no_stable(s)}"
        return Finding(Finish(Outcome.DELETED), Reason.DELETED, sentence)
    return Finding(RollBack(Outcome.DELETED), Reason.DELETED, "the Canary was deleted in mid-rollout")


def rollback_asked(s: Situation) -> Finding | None:
    """A user or an alert rolled the canary back. `situation.py` refuses this first if no replica could answer."""
    action = s.heard.rollback
    if action is None:
        return None
    said = next(remark for remark in s.heard.remarks if remark.reason in (Reason.REJECT_ASKED, Reason.ROLLBACK_ASKED))
    alone = s.exposed and s.stable_available == 0
    unserved = f"; but {wording.no_stable(s)}: requests fail until one is" if alone else ""
    if action.alert:
        return Finding(RollBack(), Reason.ALERT_FIRED, f"{said.message}{unserved}")
    return Finding(RollBack(Outcome.REJECTED), Reason.REJECTED_BY_PERSON, f"{said.message}{unserved}")


def canary_lost(s: Situation) -> Finding | None:
    """The canary has no available replica, or too few for longer than `unreadyGrace`: users get errors now."""
    name, available = s.rollout.canary_version.name, s.available
    if s.copying:
        return (
            to_primary(s, Reason.CANARY_UNAVAILABLE, wording.no_canary(s)) if s.exposed and available == 0 else None
        )
    stuck = getattr(s.observed.canary_workload, "stuck", None)
    if stuck:
        return decrease(s, Outcome.ROLLED_BACK, Reason.CANARY_UNAVAILABLE, f"{name} doesn't get ready: {stuck}")
    if not s.exposed or available is None:
        return None
    if available == 0:
        return decrease(s, Outcome.ROLLED_BACK, Reason.CANARY_UNAVAILABLE, wording.no_canary(s))
    since, grace = s.rollout.short_since, s.rollout.policy.unready_grace
    if since is not None and s.now - since >= grace:
        wants = needed(s.rollout, s.rollout.desired)
        sentence = f"{name} has had {available} of the {wants} replicas that {s.weight}% needs for {brief(grace)}"
        return decrease(s, Outcome.ROLLED_BACK, Reason.CANARY_UNAVAILABLE, sentence)
    return None


def judge_says_worse(s: Situation) -> Finding | None:
    """The judge rolls back. If stable has no replica now, this stays so until another evaluation."""
    if s.ruling is not None and s.ruling.verdict is Verdict.ROLL_BACK:
        return decrease(s, Outcome.ROLLED_BACK, s.ruling.reason, s.ruling.sentence)
    evaluation = s.rollout.evaluation
    if evaluation is None or Verdict(evaluation.verdict) is not Verdict.ROLL_BACK:
        return None
    return decrease(s, Outcome.ROLLED_BACK, evaluation.reason, evaluation.message)


def deadline_passed(s: Situation) -> Finding | None:
    """A gate or the rollout has passed its time limit, and the answer is a rollback. Pauses stop the clocks."""
    if s.halted:
        return None
    gate = gates.overdue(s.rollout, s.now)
    if gate is not None:
        waited = brief(timedelta(seconds=round((s.now - gate.since).total_seconds())))
        return decrease(s, Outcome.ROLLED_BACK, Reason.GATE_TIMED_OUT, f"{gate.name} stayed closed for {waited}")
    if s.rollout.stopped_at is None and s.now >= s.rollout.deadline:
        if s.stranded and s.serves_all:
            return None  # what is in place is finished: the way back leads to no replica
        limit = brief(s.rollout.policy.deadline)
        return decrease(s, Outcome.ROLLED_BACK, Reason.DEADLINE_PASSED, f"not done after {limit}")
    return never_ready(s) or never_grown(s)


def never_ready(s: Situation) -> Finding | None:
    """The canary did not become available in time, so the rollout has not started to move traffic."""
    limit = s.rollout.policy.ready_deadline
    stood_still = s.rollout.deadline - s.rollout.started - s.rollout.policy.deadline
    if s.rollout.stopped_at is not None:
        stood_still += s.now - s.rollout.stopped_at
    if s.rollout.step > 0 or s.now - s.rollout.started - stood_still < limit:
        return None
    stage = target_of(s.manifest).prepare(s, step_at(s.rollout.plan, 1).traffic)
    if stage.done:
        return None
    return Finding(RollBack(), Reason.CANARY_NEVER_READY, f"after {brief(limit)}, {stage.sentence}")


def never_grown(s: Situation) -> Finding | None:
    """Replicas that were started for the next increase aren't available in time.

    Kubernetes says nothing of that: it counts no deadline where a workload that was complete is scaled up.
    """
    limit, since = s.rollout.policy.ready_deadline, s.rollout.growing_since
    if since is None or s.now - since < limit:
        return None
    sentence = f"{s.rollout.canary_version.name} has {s.available} available replicas, {brief(limit)} after it grew"
    return decrease(s, Outcome.ROLLED_BACK, Reason.CANARY_NEVER_READY, sentence)


def unsaved_rollback(s: Situation) -> Finding | None:
    """After a restart, the route has less exposure than the saved state: a rollback that could not be saved."""
    if not s.observed.fresh or s.route is None:
        return None
    ours = (s.rollout.desired, s.rollout.previous)
    fell = [one for one in s.route.standings if all(below(one, known) for known in ours)]
    if fell and all(one in fell or one in ours for one in s.route.standings):
        return decrease(
            s, Outcome.ROLLED_BACK, Reason.UNSAVED_ROLLBACK, "a rollback was under way that could not be saved"
        )
    return None


def taking_back(s: Situation) -> Finding | None:
    """Finish a saved decrease, even if the rollout waits: weight that was there at its start."""
    if not s.taking_back or s.stable_available == 0:
        return None
    return Finding(Reassert(), Reason.WAITING_FOR_ROUTE, wording.awaited(s))


# ---- what waits ------------------------------------------------------------------------------------------------


def paused(s: Situation) -> Finding | None:
    """A user paused the rollout, or `spec.suspend` is true. There is no time limit, and the message says so."""
    if s.rollout.pause is not None:
        by = f" by {s.rollout.pause.author}" if s.rollout.pause.author else ""
        why = f" ({s.rollout.pause.comment})" if s.rollout.pause.comment else ""
        return Finding(Hold(), Reason.PAUSED, f"paused{by} at {s.weight}% until resumed{why}")
    if s.manifest.spec.suspend:
        return Finding(Hold(), Reason.SUSPENDED, f"suspended at {s.weight}% until spec.suspend is false")
    return None


def invalid(s: Situation) -> Finding | None:
    """The present spec is invalid. The rollout keeps its pinned plan and policy, and increases nothing.

    A newer release may have pinned a judge that this one doesn't have.
    """
    if s.rollout.policy.judge not in JUDGES:
        sentence = f"this release has no judge {s.rollout.policy.judge!r}; use the one that began the rollout"
        return Finding(Hold(stalled=True), Reason.INVALID_SPEC, f"{sentence}, or roll back")
    if not s.resolved.problems:
        return None
    return Finding(Hold(stalled=True), Reason.INVALID_SPEC, "; ".join(s.resolved.problems))


def contested(s: Situation) -> Finding | None:
    """Another Canary or run moves the same target; only one may act on it."""
    if not s.resolved.conflict:
        return None
    return Finding(Hold(stalled=True), Reason.CONFLICT, s.resolved.conflict)


def drifted(s: Situation) -> Finding | None:
    """Another client changed the route; `onDrift` says what follows."""
    if s.route is None or s.ours:
        return None
    meant = wording.traffic(s.rollout.desired)
    sentence = f"the route was changed: {wording.found(s.route)}, not {meant}"
    match s.rollout.policy.on_drift:
        case OnDrift.ROLLBACK:
            return decrease(s, Outcome.ROLLED_BACK, Reason.TRAFFIC_DRIFT, sentence)
        case OnDrift.REASSERT:
            unadopted = target_of(s.manifest).adopt(s).hold
            return unadopted or increase_to(s, s.rollout.step, Reassert(), Reason.TRAFFIC_DRIFT, sentence)
        case OnDrift.HOLD:
            return Finding(Hold(), Reason.TRAFFIC_DRIFT, f"{sentence}; set it back or roll back")


def promotion_asked(s: Situation) -> Finding | None:
    """A user promotes without the remaining steps. The canary still needs enough replicas."""
    last = promotion_index(s.rollout.plan)
    if not s.rollout.hurried or last is None or s.rollout.step >= last or not s.in_place:
        return None
    if holding(s, last) and not holding(s, s.rollout.step + 1):
        return None  # in steps, which the guards don't mind
    return increase_to(
        s, last, Advance(last), Reason.PROMOTION_ASKED, "promoted by a person, without the remaining steps"
    )


def stable_unhealthy(s: Situation) -> Finding | None:
    """Nothing is increased while stable has no replica. A canary that serves all traffic is promoted."""
    last = s.rollout.step == promotion_index(s.rollout.plan)
    if s.stable_available != 0 or s.serves_all or s.copying or (s.rollout.hurried and last):
        return None
    way_out = "; it waits until one is, or until a person promotes" if s.rollout.step == 0 else ""
    return Finding(Hold(), Reason.STABLE_UNAVAILABLE, f"{wording.no_stable(s)}{way_out}")


def not_in_place(s: Situation) -> Finding | None:
    """The desired traffic is not in place yet, so it is written again, after all rules that protect users.

    A route that is gone doesn't serve it any more; one that can't be read for a while does.
    """
    gone = s.observed.route
    if isinstance(gone, Missing) and gone.cause in GONE:
        return Finding(Hold(stalled=True), Reason.ROUTE_UNREADABLE, wording.unread_route(gone))
    if s.in_place:
        return None
    if s.route is None:
        return Finding(Hold(), Reason.ROUTE_UNREADABLE, wording.unread_route(s.observed.route))
    reason, sentence = Reason.WAITING_FOR_ROUTE, wording.awaited(s)
    if s.decreases(s.rollout.desired):
        return Finding(Reassert(), reason, sentence)
    return increase_to(s, s.rollout.step, Reassert(), reason, sentence)


def not_enough_evidence(s: Situation) -> Finding | None:
    """The judge holds. Steps without evaluations (the start, the promotion) do not wait for evidence."""
    evaluation = s.rollout.evaluation
    if (
        evaluation is None
        or Verdict(evaluation.verdict) is not Verdict.HOLD
        or s.step.iterations == 0
        or s.rollout.skipped
    ):
        return None
    return Finding(
        Hold(), evaluation.reason, f"holding at {wording.traffic(s.rollout.desired)}: {evaluation.message}"
    )


# ---- what moves ------------------------------------------------------------------------------------------------


def step_complete(s: Situation) -> Finding | None:
    """The step is complete: only this rule moves a rollout to the next step by itself."""
    if not s.done_but_gates:
        return None
    following = next_index(s.rollout.plan, s.rollout.step)
    if following is None:
        return all_promoted(s)
    if s.copying:
        copied = Finding(Advance(following), *wording.passed(s, following))
        return target_of(s.manifest).promote(s).hold or copied
    return increase_to(s, following, Advance(following), *wording.passed(s, following))


def all_promoted(s: Situation) -> Finding:
    """The canary serves all traffic; the target does what else a promotion needs."""
    target = target_of(s.manifest)
    return target.promote(s).hold or Finding(Finish(), Reason.PROMOTED, target.promoted(s))


def keep_holding(s: Situation) -> Finding:
    """No other rule has an answer: the step continues."""
    return Finding(
        Hold(), Reason.ANALYSING, f"holding at {wording.traffic(s.rollout.desired)}: {wording.remaining(s)}"
    )


ACTIVE: tuple[Rule, ...] = (
    deleted,
    rollback_asked,
    primary_lost,
    route_lost,
    changed,
    canary_lost,
    rollback_hooked,
    judge_says_worse,
    failed_before,
    promotion_failed,
    deadline_passed,
    unsaved_rollback,
    taking_back,
    primary_edited,
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
    """The canary was promoted, and then another client changed the route; nothing is increased after the end."""
    if s.in_place or s.decreases(s.rollout.desired):
        return None
    found = wording.found(s.route) if s.route else "unknown"
    return Finding(Close(), Reason.TRAFFIC_DRIFT, f"another client changed the route after the rollout: {found}")


def remade(s: Situation) -> Finding | None:
    """Another client deleted the routes to a primary, or wrote its own again: so the end is never in place."""
    return target_of(s.manifest).remake(s).hold


def not_back_yet(s: Situation) -> Finding | None:
    """A saved decrease is always finished, even if another client wrote to the route in between."""
    if s.in_place:
        return None
    meant = wording.traffic(s.rollout.desired)
    if s.route is None:
        return asking_again(f"the route can't be read, asking for {meant} again: {s.observed.route}")
    if s.route.rejected:
        return asking_again(f"the route was refused, asking for {meant} again: {s.route.rejected}")
    return asking_again(wording.awaited(s))


def releasing(s: Situation) -> Finding | None:
    """What the rollout added is removed, in a later reconcile than the last change of exposure."""
    return target_of(s.manifest).release(s).hold


# `Close` itself is not a rule: it is what is left when neither of these speaks (decide.py).
ENDING: tuple[Rule, ...] = (edited_since, remade, not_back_yet, releasing)
"""Once the end is decided and saved."""
