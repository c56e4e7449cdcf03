"""The promises for a target that is released through a primary, as judgements on one decision in one state.

Each yields a complaint where its promise is broken. `explore_primary.py` knows what is true: how long the
canary has had no request, and what the primary really has.
"""

from collections.abc import Iterator
from math import ceil

from canary.api.plan import Traffic
from canary.api.status import Outcome, Phase, Rollout
from canary.engine.actions import CopyToPrimary, Provision, RemovePrimary, ReturnToTarget, ScaleTarget
from canary.engine.next_traffic import copying, exposed, increases
from canary.engine.observed import RouteSeen
from tests.moves import moves

from .explore import TICK, phases_follow_the_table
from .explore_primary import EDITED, FULL, Step, settled

NOTHING = Traffic()
DOWN = ("primary down", "both down")


def no_build_that_was_not_judged_keeps_traffic(step: Step) -> Iterator[str]:
    """A push, a failure or a lost canary sends all traffic to the primary in the same reconcile, with any wait."""
    rollout, before, seen = step.before.rollout, step.before, step.seen
    if rollout is None or rollout.end is not None or not exposed(rollout.desired):
        return
    if not before.primary or seen.pods in DOWN or not before.complete:
        return  # nothing better than the canary is there
    pushed = before.target != rollout.canary_version.revision and "unreadable" not in (
        seen.desired_version,
        seen.pods,
    )
    lost = seen.pods in ("canary down", "canary stuck") or before.replicas == 0
    copies = copying(rollout.plan, rollout.step)
    lost = lost and seen.pods != "unreadable" and not (copies and seen.pods == "canary stuck" and before.replicas)
    if (pushed or lost) and [one.traffic for one in moves(step.decision)] != [NOTHING]:
        yield f"the canary keeps its traffic though {'another build was pushed' if pushed else 'it was lost'}"


def only_what_was_analysed_gets_more(step: Step) -> Iterator[str]:
    """Traffic is increased only to the pinned build, while that is what is desired, and never after the end."""
    rollout = step.before.rollout
    stands = step.observed.route.traffic if isinstance(step.observed.route, RouteSeen) else NOTHING
    for move in moves(step.decision):
        if stands is None or not increases(stands, move.traffic):
            continue
        if rollout is None or rollout.end is not None:
            yield "traffic is increased while nothing is analysed"
        elif step.observed.desired_version != rollout.canary_version or step.before.replicas == 0:
            yield "traffic is increased to another build, or to no pod"
        elif step.before.replicas < ceil(FULL * move.traffic.weight / 100):
            yield f"traffic is increased to {move.traffic.weight}% with {step.before.replicas} replicas"
        elif step.before.selected not in ("", rollout.canary_version.revision):
            yield f"traffic is increased to the pods of {step.before.selected}"
        elif step.seen.says != "go on" or step.seen.pods in ("canary down", "canary stuck", "both down"):
            yield f"traffic is increased while {step.seen.says}, {step.seen.pods}"


def only_what_was_analysed_is_promoted(step: Step) -> Iterator[str]:
    """The primary gets the pinned revision after all steps, or what was promoted last; nothing else, ever."""
    rollout, after = step.before.rollout, step.decision.status.rollout
    for action in step.decision.actions:
        if isinstance(action, CopyToPrimary):
            promoted = step.before.status.stable
            if promoted is not None and action.revision == promoted.revision and step.before.primary == EDITED:
                continue
            if rollout is None or after is None:
                yield "the primary is changed at rest"
            elif after.end is None and not copying(rollout.plan, rollout.step):
                yield "the primary is changed before all steps passed"
            elif action.revision != _serves(after):
                yield f"{action.revision} is copied to the primary, not {_serves(after)}"
        stable = step.before.status.stable
        if isinstance(action, Provision) and stable is not None:
            copies = rollout is not None and (rollout.end is not None or copying(rollout.plan, rollout.step))
            wanted = _serves(after) if copies and after is not None else stable.revision
            if action.revision != wanted:
                yield f"the primary is made with {action.revision}, not with {wanted}"


def _serves(rollout: Rollout) -> str:
    """What the primary must have, as far as is decided."""
    promoted = rollout.end is None or rollout.end.outcome is Outcome.PROMOTED
    return (rollout.canary_version if promoted else rollout.stable_version).revision


def a_rollout_ends_with_what_it_says(step: Step) -> Iterator[str]:
    """The primary has the analysed revision after a promotion, and the last promoted one after everything else."""
    rollout, status = step.before.rollout, step.decision.status
    if rollout is None or status.rollout is not None:
        return
    if status.stable is None or status.stable.revision != _serves(rollout):
        yield f"{status.stable} is called stable at the end, not {_serves(rollout)}"
    mended = ("", EDITED) if rollout.end is not None and rollout.end.outcome is Outcome.SUPERSEDED else ("",)
    if step.before.primary not in (*mended, _serves(rollout)):
        yield f"a rollout ends with {step.before.primary} in the primary, not {_serves(rollout)}"
    deleted = rollout.end is not None and rollout.end.outcome is Outcome.DELETED
    if exposed(step.before.route) and step.seen.route != "unreadable" and not deleted:
        yield "a rollout ends while the canary has traffic"


def two_pushes_never_mix(step: Step) -> Iterator[str]:
    """What a rollout tries, and what it goes back to, is pinned for as long as it lasts."""
    before, after = step.before.rollout, step.decision.status.rollout
    if before is None or after is None:
        return
    if (before.canary_version, before.stable_version) != (after.canary_version, after.stable_version):
        yield "a rollout goes on with other revisions"


def nothing_is_scaled_down_before_it_drained(step: Step) -> Iterator[str]:
    """No request is cut off: the canary had none for as long as `drain` says, and the primary is there."""
    for action in step.decision.actions:
        if not isinstance(action, ScaleTarget) or action.replicas:
            continue
        if exposed(step.before.route) or step.before.idle_for < step.resolved.policy.drain - TICK / 2:
            yield f"the target is scaled down {step.before.idle_for} after its last request"
        if not step.before.primary or step.seen.route == "unreadable":
            yield "the target is scaled down, and what serves isn't known"


def no_one_is_sent_to_no_replica(step: Step) -> Iterator[str]:
    """While the primary has none and the canary may have some."""
    rollout, before = step.before.rollout, step.before
    none = step.seen.pods == "primary down" or (not before.primary and step.seen.pods == "ready")
    if rollout is None or rollout.end is not None or not none or not before.replicas:
        return
    meets = exposed(rollout.desired) and isinstance(step.observed.route, RouteSeen)
    if meets and any(move.traffic.weight < min(before.route.weight, rollout.desired.weight)
                     for move in moves(step.decision)):  # fmt: skip
        yield "requests go from the canary to no replica of the primary"


def a_deletion_gives_back_what_was_promoted(step: Step) -> Iterator[str]:
    """The target gets the promoted revision; the primary goes after that, once nothing is under way at it."""
    before, stable = step.before, step.before.status.stable
    for action in step.decision.actions:
        serves = (
            stable.revision if stable else before.primary if before.complete and before.primary else before.target
        )
        if isinstance(action, ReturnToTarget) and action.revision != serves:
            yield f"{action.revision} is given back, not the promoted {serves}"
        gone = step.seen.says == "deleted" or before.status.phase is Phase.TERMINATING
        if isinstance(action, ReturnToTarget | RemovePrimary) and not gone:
            yield "the target is given back though its Canary is there"
        if isinstance(action, RemovePrimary) and (not before.returned or not before.replicas):
            yield "the primary is removed before the target serves"


def what_is_done_at_rest_stays(step: Step) -> Iterator[str]:
    """No write repeats itself where nothing is left to do."""
    if step.benign and step.before == step.state and settled(step.before) and step.decision.actions:
        yield f"{step.decision.actions} though nothing is left to do"


PROMISES = (
    phases_follow_the_table,
    no_build_that_was_not_judged_keeps_traffic,
    only_what_was_analysed_gets_more,
    only_what_was_analysed_is_promoted,
    a_rollout_ends_with_what_it_says,
    two_pushes_never_mix,
    nothing_is_scaled_down_before_it_drained,
    no_one_is_sent_to_no_replica,
    a_deletion_gives_back_what_was_promoted,
    what_is_done_at_rest_stays,
)
