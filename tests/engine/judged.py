"""The promises, as judgements on one decision in one state. Each yields a complaint where it is broken."""

from collections.abc import Iterator

from canary.api.action import Verb
from canary.api.analysis import Capacity, OnDrift
from canary.api.plan import Answer, Traffic
from canary.api.status import Outcome
from canary.api.webhooks import HookType
from canary.engine import hooks
from canary.engine.decide import decide
from canary.engine.next_traffic import exposed, increases
from canary.engine.observed import Missing, RouteSeen
from canary.engine.phases import ACTIVE
from tests.moves import moves

from .explore import phases_follow_the_table
from .explore_versions import Step
from .situations import NOW

NOTHING = Traffic()
HEARD = {"ActionRefused", *(f"{verb.capitalize()}Asked" for verb in Verb)}


def failing_or_lost_is_asked_to_0(step: Step) -> Iterator[str]:
    """Promises 1 and 4, also while something else waits."""
    rollout = step.before.rollout
    if rollout is None or rollout.end is not None or not _has_traffic(step):
        return
    lost = step.seen.canary in ("none", "stuck")
    data = rollout.evidence.data if rollout.evidence else {"failed_checks": 0}
    failing = step.seen.samples == "failing" and rollout.step > 0 and rollout.next_evaluation <= NOW
    too_many = failing and data["failed_checks"] + 1 >= rollout.policy.threshold
    if not (lost or too_many) or step.seen.stable == "none":
        return
    asked = [(action.traffic, action.decreases) for action in moves(step.decision)]
    after = step.decision.status.rollout
    end = after.end if after else None
    if asked != [(NOTHING, True)] or end is None or end.outcome is Outcome.PROMOTED:
        yield "promise 1: a failing or lost canary keeps its traffic"


def a_hook_that_asks_for_a_rollback_gets_it(step: Step) -> Iterator[str]:
    """In the reconcile that sees its answer, also while something else waits."""
    rollout = step.before.rollout
    if rollout is None or rollout.end is not None or step.seen.hooks != "roll back" or step.seen.stable == "none":
        return
    asking = {hook.key for hook in hooks.hooks_of(rollout) if hook.type is HookType.ROLLBACK}
    if not any(run.pending and run.key in asking for run in rollout.hooks):
        return
    after = step.decision.status.rollout
    if after is None or after.end is None or after.desired != NOTHING:
        yield "promise 4: a hook asks for a rollback, and the canary keeps its traffic"


def no_increase_goes_past_a_hook(step: Step) -> Iterator[str]:
    """A gate that isn't open, or a check that hasn't passed."""
    before, after = step.before.rollout, step.decision.status.rollout
    if before is None or after is None or after.step <= before.step or after.end is not None:
        return
    if before.hurried or before.skipped or any(one.verb in ("skip", "promote") for one in step.observed.actions):
        return
    said = step.seen.hooks in ("yes", "roll back")
    gates = [hooks.run_of(before, hook) for hook in hooks.gating(before)]
    checks = [run for run in hooks.unchecked(before)] if before.step == 0 else []
    if any(not run.passed and not (run.pending and said) for run in (*gates, *checks)):
        yield "promise 4: an increase goes past a hook"


def _has_traffic(step: Step) -> bool:
    rollout = step.before.rollout
    return rollout is not None and exposed(rollout.desired)


def raises_only_what_was_analysed(step: Step) -> Iterator[str]:
    """Promise 2."""
    rollout = step.decision.status.rollout
    if _raises(step) and (rollout is None or step.observed.desired_version != rollout.canary_version):
        yield "promise 2: raised while something else is wanted, or no one knows what"


def missing_is_neither(step: Step) -> Iterator[str]:
    """Promise 3."""
    before, after = step.before.rollout, step.decision.status.rollout
    if before is None or after is None or step.seen.samples not in ("missing", "unreachable", "nan"):
        return
    counted = before.evidence.data["failed_checks"] if before.evidence else 0
    if step.decision.evaluated and after.evidence and after.evidence.data["failed_checks"] > counted:
        yield "promise 3: missing data is a failed check"
    asked_for = Answer.PROMOTE in (before.policy.on_no_data.then, before.policy.on_unreachable.then)
    if after.step == before.step and after.iterations > before.iterations and not asked_for:
        yield "promise 3: missing data is a pass"
    wanted = after.hurried or after.skipped or any(one.verb in ("skip", "promote") for one in step.observed.actions)
    known = before.evaluation is not None and before.evaluation.verdict == "pass"
    analysed = 0 < after.step < len(after.plan.steps)
    if before.step == 0 and analysed and before.policy.metrics and not (known or wanted or _read(step)):
        yield "promise 3: traffic rises before metrics were read once"


def _read(step: Step) -> bool:
    samples = step.observed.samples.values()
    return bool(samples) and not any(isinstance(one, Missing) and one.cause.unreachable for one in samples)


def an_action_counts_once(step: Step) -> Iterator[str]:
    """Promise 5: it lies there still in the next reconcile."""
    if not step.observed.actions or not step.decision.status.actions_taken:
        return
    status = step.decision.status
    again = decide(step.resolved, status, step.observed, NOW)
    if again.status.actions_taken != status.actions_taken or any(one.reason in HEARD for one in again.messages):
        yield "promise 5: an action is taken twice"


def foreign_edits_are_not_raised_over(step: Step) -> Iterator[str]:
    """Promise 7, with the token of what was read."""
    for action in moves(step.decision):
        read = step.observed.route if isinstance(step.observed.route, RouteSeen) else None
        if action.token != (read.token if read else None):
            yield "promise 7: a write without the precondition that was read"
    rollout = step.before.rollout
    reasserts = rollout is not None and rollout.policy.on_drift is OnDrift.REASSERT
    if step.before.foreign and not reasserts and _raises(step):
        yield "promise 7: a foreign edit is overwritten by a raise"


def what_lowers_lowers(step: Step) -> Iterator[str]:
    """Tried even when nothing can be saved: so it must be true."""
    for action in moves(step.decision):
        harmless = action.traffic == NOTHING or (
            step.traffic is not None and not increases(step.traffic, action.traffic)
        )
        if action.decreases is not harmless:
            yield f"an action to {action.traffic.weight}% says lowers={action.decreases}"


def after_a_rollback_nothing_rises(step: Step) -> Iterator[str]:
    end = step.before.rollout.end if step.before.rollout else None
    if end is None:
        return
    if _raises(step) or any(action.traffic != NOTHING for action in moves(step.decision)):
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


def no_one_is_sent_to_no_replica(step: Step) -> Iterator[str]:
    """While stable has none and the canary may have some, no matter who asks; only decided ends are finished."""
    rollout, canary = step.before.rollout, step.seen.canary
    if rollout is None or rollout.end is not None or step.seen.stable != "none" or canary == "none":
        return
    meets = exposed(rollout.desired.but(mirror=0)) and step.traffic is not None
    for action in moves(step.decision):
        if meets and step.traffic and action.traffic.weight < min(step.traffic.weight, rollout.desired.weight):
            yield f"requests go from {step.traffic.weight}% on the canary to no replica of stable"


def actions_are_what_was_meant(step: Step) -> Iterator[str]:
    """Intent first: what is written is what was saved."""
    rollout = step.decision.status.rollout
    for action in moves(step.decision):
        if rollout is None or action.traffic != rollout.desired or not 0 <= action.traffic.weight <= 100:
            yield "an action asks for something else than what is saved"
    if step.before.status.phase not in ACTIVE and step.before.rollout is None and step.decision.actions:
        yield "an action at rest"


def _raises(step: Step) -> bool:
    """Whether anything that is asked exposes someone new, as far as was read."""
    stands = step.before.partly or (step.traffic or NOTHING,)
    return any(increases(one, action.traffic) for one in stands for action in moves(step.decision))


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
    no_one_is_sent_to_no_replica,
    actions_are_what_was_meant,
    a_hook_that_asks_for_a_rollback_gets_it,
    no_increase_goes_past_a_hook,
)
