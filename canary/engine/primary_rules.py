"""Rules about the primary of a target; `decision_rules.py` has their place in the chain."""

from canary.api.duration import brief
from canary.api.reason import Reason
from canary.api.status import Outcome

from .moves import to_primary
from .observed import Missing
from .outcome import Finding, RollBack
from .situation import Situation
from .targets import target_of


def primary_lost(s: Situation) -> Finding | None:
    """Another client deleted the primary: it is made again. Before that, no rule has something to go back to."""
    return target_of(s.manifest).keep(s).hold


def route_lost(s: Situation) -> Finding | None:
    """Another client deleted the routes to a primary: made again, and the rollout starts again or is completed."""
    stage = target_of(s.manifest).remake(s)
    if stage.done:
        return None
    if not s.copying:
        return Finding(RollBack(Outcome.SUPERSEDED), stage.reason, stage.sentence)
    return to_primary(s, stage.reason, stage.sentence) or stage.hold


def promotion_failed(s: Situation) -> Finding | None:
    """The primary can't get ready with the analysed template; then it gets the last promoted one again.

    What Kubernetes said of it before the copy is no answer. It starts no deadline where it could make no pod at all,
    nor for a DaemonSet, so `progressDeadlineSeconds` is counted here too.
    """
    seen, limit = s.observed.stable_workload, s.rollout.policy.ready_deadline
    if not s.copying or isinstance(seen, Missing) or target_of(s.manifest).promote(s).done:
        return None
    copied, late = seen.revision == s.rollout.canary_version.revision, s.held >= limit
    refused = seen.refused is not None and s.now - seen.refused.since >= limit
    if not (copied and (seen.stuck or (refused and late))) and not (seen.silent and late):
        return None
    pinned = s.rollout.canary_version.revision
    why = seen.explanation or f"not in {brief(limit)}"
    sentence = f"{s.rollout.stable_version.name} doesn't get ready with {pinned}: {why}"
    return Finding(RollBack(), Reason.PROMOTION_FAILED, sentence)


def primary_edited(s: Situation) -> Finding | None:
    """Another client changed the primary's template: it is put back, also while the rollout waits."""
    return target_of(s.manifest).restore(s).hold
