"""How traffic changes, whichever rule wants it: what an increase needs, and where a decrease leads.

`decision_rules.py` says when.
"""

from canary.api.reason import Reason
from canary.api.status import Outcome

from . import hooks, wording
from .formats import moment
from .guards import holding
from .next_traffic import last_step, step_at
from .outcome import Advance, Finding, Hold, Reassert, RollBack
from .situation import Situation
from .targets import target_of


def decrease(s: Situation, outcome: Outcome, reason: Reason, sentence: str, way_out: str = "") -> Finding | None:
    """Rolls back, unless stable has no replica either: then the split stays, because nothing is better.

    A person who wants what has everything already promoted is obeyed then: there is no other way out. A version that
    isn't desired any more and has no replica is rolled back: it can't answer, and would block what is desired.
    """
    if not s.serving or s.stable_available != 0:
        return Finding(RollBack(outcome), reason, sentence)
    if s.stranded and s.serves_all and s.rollout.skipped and outcome is Outcome.ROLLED_BACK:
        return None
    if not s.stranded and outcome in (Outcome.SUPERSEDED, Outcome.RETURNED):
        neither = f"{sentence}; but {wording.no_stable(s)} either: requests fail until one is"
        return Finding(RollBack(outcome), reason, neither)
    stays = f"{sentence}; but {wording.no_stable(s)} to go back to: {way_out}" if way_out else ""
    return Finding(Hold(), Reason.NOTHING_TO_GO_BACK_TO, stays or f"{sentence}; but {wording.no_stable(s)} either")


def increase_to(s: Situation, step: int, move: Advance | Reassert, reason: Reason, sentence: str) -> Finding:
    """Goes to a step, if the desired version is what was analysed, the target is prepared for it, metrics could be
    read, and no guard holds."""
    if s.desired_version is None:
        return Finding(
            Hold(), Reason.REVISION_UNKNOWN, f"the desired version can't be read: {s.observed.desired_version}"
        )
    if s.route is None:
        return Finding(Hold(), Reason.ROUTE_UNREADABLE, wording.unread_route(s.observed.route))
    if s.route.rejected:
        return Finding(Hold(stalled=True), Reason.ROUTE_REJECTED, f"the route was refused: {s.route.rejected}")
    unprepared = target_of(s.manifest).prepare(s, step_at(s.rollout.plan, step).traffic).hold
    if unprepared is not None:
        return unprepared
    if s.blind_to(step):
        return unread(s)
    waits = unchecked(s)
    if waits is not None:
        return waits
    held = holding(s, step)
    if held is not None:
        broken = held.reason is Reason.GUARD_ERROR
        return Finding(Hold(stalled=broken), held.reason, f"at {wording.traffic(s.rollout.desired)}, {held.sentence}")
    return Finding(move, reason, sentence)


def to_primary(s: Situation, reason: Reason, sentence: str) -> Finding | None:
    """While the primary gets what was analysed, the canary loses its traffic without waiting for that: both builds of
    the primary were judged. None once it has none."""
    last = last_step(s.rollout.plan)
    if s.rollout.step == last or s.stable_available == 0:
        return None
    return Finding(Advance(last), reason, sentence)


def unread(s: Situation) -> Finding:
    """Nothing is increased from the start before each metric could be read; the deadline runs meanwhile."""
    evaluation = s.rollout.evaluation
    if evaluation is None:
        return Finding(Hold(), Reason.ANALYSING, f"waiting at {s.weight}% for the first answer of metrics")
    since = moment(s.rollout.started, s.now)
    return Finding(Hold(), evaluation.reason, f"waiting at {s.weight}%: {evaluation.message}, since {since}")


def unchecked(s: Situation) -> Finding | None:
    """Nothing is increased from the start before each hook of type `pre-rollout` has passed; a user may want that."""
    runs = hooks.unchecked(s.rollout)
    if s.hurries:
        return None
    if hooks.unprepared(s.rollout):
        return Finding(Hold(prepared=True), Reason.HOOK_PENDING, f"at {s.weight}%, calling hooks before the rollout")
    if not runs:
        return None
    failed = next((run for run in runs if run.result == "failed"), None)
    if failed is None:
        return Finding(Hold(), Reason.HOOK_PENDING, f"waiting at {s.weight}% for {runs[0].name}")
    counted = f"{s.rollout.failed_before} of {s.rollout.policy.threshold} failed checks"
    return Finding(Hold(), Reason.HOOK_FAILED, f"waiting at {s.weight}%: {failed.name}: {failed.detail} ({counted})")


def asking_again(sentence: str) -> Finding:
    """The desired traffic is written once more."""
    return Finding(Reassert(), Reason.WAITING_FOR_ROUTE, sentence)
