"""The promises, as judgements on one decision in one state. Each yields a complaint where it is broken."""

from collections.abc import Iterator

from canary.api.action import Verb
from canary.api.analysis import Capacity, OnDrift
from canary.api.plan import Answer, Traffic
from canary.api.status import Outcome
from canary.engine.decide import decide
from canary.engine.observed import RouteSeen
from canary.engine.phases import ACTIVE, TRANSITIONS
from canary.engine.plan import exposed, raises

from .explore import Step
from .situations import NOW

NOTHING = Traffic()
HEARD = {"ActionRefused", *(f"{verb.capitalize()}Asked" for verb in Verb)}


def judged(step: Step) -> Iterator[str]:
    """All complaints."""
    for promise in PROMISES:
        yield from promise(step)


def phases_follow_the_table(step: Step) -> Iterator[str]:
    taken = (step.before.status.phase, step.decision.status.phase)
    if taken[0] is not taken[1] and taken not in TRANSITIONS:
        yield f"{taken[0]} → {taken[1]} isn't in the table"


def failing_or_lost_is_asked_to_0(step: Step) -> Iterator[str]:
    """Promises 1 and 4: whatever waits."""
    rollout = step.before.rollout
    if rollout is None or rollout.end is not None or not _meets_somebody(step):
        return
    lost = step.seen.canary in ("none", "stuck")
    data = rollout.evidence.data if rollout.evidence else {"failed_checks": 0}
    failing = step.seen.samples == "failing" and rollout.step > 0 and rollout.next_look <= NOW
    too_many = failing and data["failed_checks"] + 1 >= rollout.policy.threshold
    if not (lost or too_many) or step.seen.stable == "none":
        return
    asked = [(action.traffic, action.lowers) for action in step.decision.actions]
    after = step.decision.status.rollout
    end = after.end if after else None
    if asked != [(NOTHING, True)] or end is None or end.outcome is Outcome.PROMOTED:
        yield "promise 1: a failing or lost canary keeps its traffic"


def _meets_somebody(step: Step) -> bool:
    rollout = step.before.rollout
    return rollout is not None and exposed(rollout.meant)


def raises_only_what_was_analysed(step: Step) -> Iterator[str]:
    """Promise 2."""
    rollout = step.decision.status.rollout
    if _raises(step) and (rollout is None or step.observed.wanted != rollout.canary):
        yield "promise 2: raised while something else is wanted, or nobody knows what"


def missing_is_neither(step: Step) -> Iterator[str]:
    """Promise 3."""
    before, after = step.before.rollout, step.decision.status.rollout
    if before is None or after is None or step.seen.samples not in ("missing", "unreachable", "nan"):
        return
    counted = before.evidence.data["failed_checks"] if before.evidence else 0
    if step.decision.looked and after.evidence and after.evidence.data["failed_checks"] > counted:
        yield "promise 3: missing data is a failed check"
    asked_for = Answer.PROMOTE in (before.policy.on_no_data.then, before.policy.on_unreachable.then)
    if after.step == before.step and after.looks > before.looks and not asked_for:
        yield "promise 3: missing data is a pass"


def an_action_counts_once(step: Step) -> Iterator[str]:
    """Promise 5: it lies there still in the next tick."""
    if not step.observed.actions or not step.decision.status.actions_taken:
        return
    status = step.decision.status
    again = decide(step.desired, status, step.observed, NOW)
    if again.status.actions_taken != status.actions_taken or any(one.reason in HEARD for one in again.messages):
        yield "promise 5: an action is taken twice"


def foreign_edits_are_not_raised_over(step: Step) -> Iterator[str]:
    """Promise 7, with the token of what was read."""
    for action in step.decision.actions:
        read = step.observed.route if isinstance(step.observed.route, RouteSeen) else None
        if action.token != (read.token if read else None):
            yield "promise 7: a write without the precondition that was read"
    rollout = step.before.rollout
    reasserts = rollout is not None and rollout.policy.on_drift is OnDrift.REASSERT
    if step.before.foreign and not reasserts and _raises(step):
        yield "promise 7: a foreign edit is overwritten by a raise"


def what_lowers_lowers(step: Step) -> Iterator[str]:
    """Tried even when nothing can be saved: so it must be true."""
    for action in step.decision.actions:
        harmless = action.traffic == NOTHING or (
            step.traffic is not None and not raises(step.traffic, action.traffic)
        )
        if action.lowers is not harmless:
            yield f"an action to {action.traffic.weight}% says lowers={action.lowers}"


def after_a_rollback_nothing_rises(step: Step) -> Iterator[str]:
    end = step.before.rollout.end if step.before.rollout else None
    if end is None:
        return
    if _raises(step) or any(action.traffic != NOTHING for action in step.decision.actions):
        yield f"raised after the end was decided ({end.outcome})"


def nothing_rises_unread_halted_or_invalid(step: Step) -> Iterator[str]:
    """Promise 11, and what waiting is for."""
    if not _raises(step):
        return
    after = step.decision.status.rollout
    if step.seen.says != "go on" or (after is not None and after.pause is not None):
        yield f"raised while {step.seen.says}, or paused"
    if step.seen.route in ("unreadable", "refused"):
        yield "raised while the route is unreadable or refuses"
    ignored = after is not None and after.policy.capacity is Capacity.IGNORE
    if step.seen.canary in ("none", "stuck") or (step.seen.canary == "unreadable" and not ignored):
        yield "raised without replicas that can answer"


def actions_are_what_was_meant(step: Step) -> Iterator[str]:
    """Intent first: what is written is what was saved."""
    rollout = step.decision.status.rollout
    for action in step.decision.actions:
        if rollout is None or action.traffic != rollout.meant or not 0 <= action.traffic.weight <= 100:
            yield "an action asks for something else than what is saved"
    if step.before.status.phase not in ACTIVE and step.before.rollout is None and step.decision.actions:
        yield "an action at rest"


def _raises(step: Step) -> bool:
    """Whether anything that is asked exposes somebody new, as far as was read."""
    stands = step.before.partly or (step.traffic or NOTHING,)
    return any(raises(one, action.traffic) for one in stands for action in step.decision.actions)


PROMISES = (
    phases_follow_the_table,
    failing_or_lost_is_asked_to_0,
    raises_only_what_was_analysed,
    missing_is_neither,
    an_action_counts_once,
    foreign_edits_are_not_raised_over,
    what_lowers_lowers,
    after_a_rollback_nothing_rises,
    nothing_rises_unread_halted_or_invalid,
    actions_are_what_was_meant,
)
