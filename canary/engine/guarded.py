"""What a guard is asked about: the variables of one raise, as `guards.VARIABLES` declares them."""

from typing import Any

from . import guards
from .guards import Held
from .plan import step_at
from .situation import Situation


def holding(s: Situation, step: int) -> Held | None:
    """The guard that keeps traffic from rising to a step's; None for a step that exposes nobody new."""
    if not s.desired.guards or s.lowers(step_at(s.rollout.plan, step).traffic):
        return None
    return guards.held(s.desired.guards, variables(s, step))


def variables(s: Situation, step: int) -> dict[str, Any]:
    """By name; weights are per cent, and approvals the authors' names.

    A raise that is asked for again has the approvals that it had when it was decided.
    """
    rollout, metadata = s.rollout, s.canary.metadata
    approvals = (rollout.approved or ()) if step == rollout.step else rollout.approvals
    traffic = step_at(rollout.plan, step).traffic
    return {
        "now": s.now,
        "canary.name": metadata.name,
        "canary.namespace": metadata.namespace,
        "canary.labels": metadata.labels,
        "canary.annotations": metadata.annotations,
        "canary.version": rollout.canary.name,
        "canary.revision": rollout.canary.revision,
        "step.from": _weight(s),
        "step.to": traffic.weight,
        "step.mirror": traffic.mirror,
        "step.index": step,
        "step.count": len(rollout.plan.steps) + len(rollout.plan.promotion) - 1,
        "rollout.number": rollout.number,
        "rollout.stable": rollout.stable.name,
        "rollout.weight": rollout.meant.weight,
        "rollout.highest": rollout.highest,
        "rollout.started": rollout.started,
        "rollout.age": s.now - rollout.started,
        "rollout.held": s.held,
        "rollout.failedChecks": s.status.failed_checks,
        "rollout.approvals": [one.author for one in approvals],
        "rollout.verifiedApprovals": [one.author for one in approvals if one.verified],
    }


def _weight(s: Situation) -> int:
    """What the canary serves now, as far as is known: a raise that was saved may not be in effect yet."""
    seen = s.route.traffic if s.route else None
    return seen.weight if seen is not None else min(s.rollout.meant.weight, s.rollout.previous.weight)
