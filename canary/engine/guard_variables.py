"""What a guard is asked about: the variables of one raise, as `guards.VARIABLES` declares them."""

from typing import Any

from . import guards
from .guards import Held
from .next_traffic import step_at
from .situation import Situation

ENTRIES, LONGEST = 64, 1024
"""Labels and annotations that a guard sees, and the characters of one: it may compare all of them in each round of
a loop over them. The API server allows 256 KiB."""


def holding(s: Situation, step: int) -> Held | None:
    """The guard that blocks the increase to a step; None for a step that exposes no new users."""
    if not s.resolved.guards or s.decreases(step_at(s.rollout.plan, step).traffic):
        return None
    return guards.held(s.resolved.guards, variables(s, step))


def variables(s: Situation, step: int) -> dict[str, Any]:
    """By name; weights are per cent, and approvals the authors' names.

    A repeated increase has the approvals that it had when it was decided.
    """
    rollout, metadata = s.rollout, s.manifest.metadata
    approvals = (rollout.approved or ()) if step == rollout.step else rollout.approvals
    traffic = step_at(rollout.plan, step).traffic
    return {
        "now": s.now,
        "canary.name": metadata.name,
        "canary.namespace": metadata.namespace,
        "canary.labels": _short(metadata.labels),
        "canary.annotations": _short(metadata.annotations),
        "canary.version": rollout.canary_version.name,
        "canary.revision": rollout.canary_version.revision,
        "step.from": _weight(s),
        "step.to": traffic.weight,
        "step.mirror": traffic.mirror,
        "step.index": step,
        "step.count": len(rollout.plan.steps) + len(rollout.plan.promotion) - 1,
        "rollout.number": rollout.number,
        "rollout.stable": rollout.stable_version.name,
        "rollout.weight": rollout.desired.weight,
        "rollout.highest": rollout.highest,
        "rollout.started": rollout.started,
        "rollout.age": s.now - rollout.started,
        "rollout.held": s.held,
        "rollout.failedChecks": s.status.failed_checks,
        "rollout.approvals": [one.author for one in approvals],
        "rollout.verifiedApprovals": [one.author for one in approvals if one.verified],
    }


def _short(texts: dict[str, str]) -> dict[str, str]:
    """Those that aren't too long, in the order of their names; no others are there for a guard."""
    return dict(sorted(each for each in texts.items() if len(each[1]) <= LONGEST)[:ENTRIES])


def _weight(s: Situation) -> int:
    """The present weight of the canary, as far as is known: a saved increase may not be in effect yet."""
    seen = s.route.traffic if s.route else None
    return seen.weight if seen is not None else min(s.rollout.desired.weight, s.rollout.previous.weight)
