"""The rule about a new revision in mid-rollout; `decision_rules.py` has its place in the chain."""

from canary.api.reason import Reason
from canary.api.status import Outcome

from . import wording
from .moves import decrease, to_primary
from .outcome import Finding, Finish
from .situation import Situation
from .targets import target_of


def changed(s: Situation) -> Finding | None:
    """The analysed version is no longer the desired one; users must not get a build that was not judged."""
    pinned = s.rollout.canary_version
    wanted = s.desired_version if s.desired_version not in (None, pinned) else s.rebuilt
    if wanted is None:
        return None
    if s.copying:
        return to_primary(s, Reason.SUPERSEDED, f"{wanted} is desired now, and waits for the promotion of {pinned}")
    if target_of(s.manifest).is_stable(s, wanted):
        return decrease(
            s, Outcome.RETURNED, Reason.RETURNED, f"version was set back to {s.rollout.stable_version.name}"
        )
    sentence = f"{wanted} is desired now, instead of {pinned}"
    if s.serves_all and s.stable_available == 0:
        stays = f"{sentence}; {pinned.name} serves everything and stays: {wording.no_stable(s)}"
        return Finding(Finish(Outcome.SUPERSEDED), Reason.SUPERSEDED, stays)
    stable = s.rollout.stable_version.name
    way_out = f"start {stable}, or stop {pinned.name} and promote {wanted.name} afterwards"
    return decrease(s, Outcome.SUPERSEDED, Reason.SUPERSEDED, sentence, way_out)
