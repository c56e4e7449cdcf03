"""Rules about webhooks; `decision_rules.py` has their place in the chain."""

from canary.api.reason import Reason
from canary.api.status import Outcome

from . import gates, hooks
from .moves import decrease
from .outcome import Finding, Hold
from .situation import Situation


def rollback_hooked(s: Situation) -> Finding | None:
    """A hook asks for a rollback: as strong as a user who does, but it isn't the user's word about the version."""
    run = hooks.rollback_asked(s.rollout)
    if run is None:
        return None
    return decrease(s, Outcome.ROLLED_BACK, Reason.ROLLBACK_HOOK, f"the hook {run.name} asked for a rollback")


def failed_before(s: Situation) -> Finding | None:
    """Hooks of type `pre-rollout` failed as often as `threshold` says."""
    count, threshold = s.rollout.failed_before, s.rollout.policy.threshold
    if s.rollout.step > 0 or count < threshold:
        return None
    failed = next((run for run in hooks.unchecked(s.rollout) if run.result == "failed"), None)
    why = f"{failed.name}: {failed.detail} " if failed else ""
    return decrease(s, Outcome.ROLLED_BACK, Reason.HOOK_FAILED, f"{why}({count} of {threshold} failed checks)")


def gate_closed(s: Situation) -> Finding | None:
    """A gate is closed. Gates are asked when the step is otherwise complete."""
    if not s.done_but_gates or not s.closed:
        return None
    first = s.closed[0]
    reason = Reason.WAITING_FOR_APPROVAL
    if first.hook:
        reason = Reason.HOOK_PENDING if first.asking else Reason.GATE_CLOSED
    return Finding(Hold(), reason, f"at {s.weight}%, {gates.awaited(s.rollout, s.now)}")
