"""The versions target: the user owns the routes and one workload per version; we change weights, nothing else.

`IDLE` is the table of what starts a rollout. The stages are short, because there is nothing to build or to copy:
`prepare` waits for the destination and its replicas, `release` for the old version to drain.
"""

from canary.api.analysis import Capacity
from canary.api.plan import Traffic
from canary.api.status import Outcome, Phase, Version
from canary.engine.idle import Idle
from canary.engine.nearest import did_you_mean
from canary.engine.observed import GONE, Kind, Missing
from canary.engine.outcome import OVER, Finding, Hold, Serve, Start
from canary.engine.situation import Situation, needed

from .target import DONE, IdleRule, Stage


def unread(s: Idle) -> Finding | None:
    """What can't be read is never guessed."""
    route = s.observed.route
    if not isinstance(route, Missing):
        return None
    hold = Hold(stalled=route.kind in GONE, unsure=not _as_it_was(s))
    return Finding(hold, "RouteUnreadable", f"the route can't be read: {route}")


def unknown(s: Idle) -> Finding | None:
    """A workload may come a moment after the Canary that names it; a version that nothing defines is a wrong word."""
    wanted = s.observed.wanted
    if not isinstance(wanted, Missing):
        return None
    defined = s.route.destinations if s.route else None
    undefined = wanted.kind is Kind.ABSENT and defined is not None and s.canary.spec.version not in defined
    hold = Hold(stalled=wanted.kind is Kind.DENIED or undefined, unsure=not _as_it_was(s))
    if wanted.kind in (Kind.ABSENT, Kind.INVALID) and wanted.detail:
        return Finding(hold, "RevisionUnknown", f"spec.version: {wanted.detail}")
    return Finding(hold, "RevisionUnknown", f"the wanted version can't be read: {wanted}")


def _as_it_was(s: Idle) -> bool:
    """Whether what is wanted served when all could be read, and what can't be read now will be again by itself."""
    missing = [one for one in (s.observed.route, s.observed.wanted) if isinstance(one, Missing)]
    if s.status.stable is None or not all(one.kind.passing for one in missing):
        return False
    return s.status.stable == s.wanted if s.wanted else s.status.stable.name == s.canary.spec.version


def serves_nothing(s: Idle) -> Finding | None:
    """A route without weight has no stable version; the reading of it may know why."""
    if s.carrying:
        return None
    why = s.route.described if s.route else ""
    sentence = why or "no version carries weight in the routes that would move"
    return Finding(Hold(stalled=True), "NothingServes", sentence)


def serves_already(s: Idle) -> Finding | None:
    """The wanted version serves all: nothing to do, whoever brought it there."""
    if s.wanted is None or (s.carrying != (s.wanted.name,) and not _has_its_share(s, s.wanted)):
        return None
    known = s.status.stable if s.status.stable and s.status.stable.name == s.wanted.name else None
    if known is None or known.revision == s.wanted.revision:
        return Finding(Serve(s.wanted), "AlreadyServing", f"{s.wanted} serves {_all(s)}")
    sentence = f"{s.wanted} serves {_all(s)} without having been judged; {known} was"
    return Finding(Serve(known, analysed=False), "UnanalysedRevision", sentence)


def _has_its_share(s: Idle, wanted: Version) -> bool:
    """Promoted last, and the one it replaced has nothing: what others carry was never the pair's."""
    last = s.status.history[0] if s.status.history else None
    promoted = last is not None and last.outcome is Outcome.PROMOTED and last.canary.name == wanted.name
    return last is not None and promoted and wanted.name in s.carrying and last.stable.name not in s.carrying


def _all(s: Idle) -> str:
    """What the wanted version serves."""
    others = ", ".join(name for name in s.carrying if s.wanted is None or name != s.wanted.name)
    return f"all but the share of {others}" if others else "everything"


def ambiguous(s: Idle) -> Finding | None:
    """Several versions carry weight, and nothing says which one is stable."""
    if s.wanted is not None and _stable(s) is None:
        among = ", ".join(name for name in s.carrying if name != s.wanted.name)
        sentence = f"several versions carry weight; write spec.stable, one of {among}"
        return Finding(Hold(stalled=True), "StableUnknown", sentence)
    return None


def stable_is_wanted(s: Idle) -> Finding | None:
    """`stable` and `version` name the same version, which doesn't serve everything."""
    if s.wanted is None or _stable(s) != s.wanted.name:
        return None
    others = ", ".join(name for name in s.carrying if name != s.wanted.name)
    sentence = f"{s.wanted.name} is stable and shall serve everything, but {others} carries weight as well"
    return Finding(Hold(stalled=True), "StableIsWanted", sentence)


def failed_before(s: Idle) -> Finding | None:
    """This same version and revision was tried last and failed: no loop of failing rollouts.

    A failure is a state that stays, and so do its reason and what was said of it, whatever wakes the Canary.
    """
    if s.wanted is None or s.status.failed != s.wanted:
        return None
    last = next((one for one in s.status.history if one.canary == s.wanted), None)
    how = f"{OVER[last.outcome]}: {last.message}" if last else "tried and failed"
    reason = str(last.outcome) if last and s.status.phase is Phase.FAILED else "AlreadyFailed"
    return Finding(Hold(stalled=True), reason, f"{s.wanted} was {how}; retry, or bring another revision")


def suspended(s: Idle) -> Finding | None:
    """Suspended: nothing starts."""
    return Finding(Hold(), "Suspended", "suspended: nothing starts") if s.canary.spec.suspend else None


def another_wanted(s: Idle) -> Finding:
    """Whoever asks for another version wants a rollout, also at first sight."""
    stable, wanted = _stable(s), s.wanted
    if stable is None or wanted is None:
        raise AssertionError("the rules before this one speak where either is unknown")
    known = s.status.stable if s.status.stable and s.status.stable.name == stable else Version(name=stable)
    return Finding(Start(known, wanted), "Started", f"{wanted} shall take over from {known}")


IDLE: tuple[IdleRule, ...] = (
    unread,
    serves_nothing,
    unknown,
    serves_already,
    ambiguous,
    stable_is_wanted,
    failed_before,
    suspended,
    another_wanted,
)


class Versions:
    """See the module."""

    idle = IDLE

    def prepare(self, s: Situation, traffic: Traffic) -> Stage:
        """The destination is there, and enough replicas of the pinned revision, and of no other, can answer."""
        seen, name = s.observed.canary, s.rollout.canary.name
        if isinstance(seen, Missing) and seen.kind is Kind.ABSENT:
            return Stage(False, "DestinationMissing", f"there is no destination {name}")
        if s.route and s.route.destinations is not None and name not in s.route.destinations:
            meant = did_you_mean(name, s.route.destinations)
            return Stage(False, "DestinationMissing", f"there is no destination {name}{meant}")
        if isinstance(seen, Missing):
            ignored = s.rollout.policy.capacity is Capacity.IGNORE
            unknown = Stage(False, "CapacityUnknown", f"the replicas of {name} can't be read: {seen}")
            return DONE if ignored else unknown
        if seen.others:
            return Stage(
                False, "OtherRevisionServes", f"{seen.others} pods of another revision still serve in {name}"
            )
        return self._enough(s, traffic, seen.available)

    def promote(self, s: Situation) -> Stage:
        """Traffic is all there is to promote."""
        return DONE

    def release(self, s: Situation) -> Stage:
        """The version that lost its weight may still be answering; a superseded one is tried anew at once, and who
        deletes a Canary isn't kept waiting: nothing of ours is taken from the old version."""
        since, end = s.rollout.in_place_since, s.rollout.end
        if end is None or end.outcome in (Outcome.SUPERSEDED, Outcome.DELETED) or since is None:
            return DONE
        left = since + s.rollout.policy.drain - s.now
        if left.total_seconds() <= 0:
            return DONE
        idle = s.rollout.stable if end.outcome is Outcome.PROMOTED else s.rollout.canary
        return Stage(False, "Draining", f"{idle.name} drains for {s.rollout.policy.drain.total_seconds():g}s")

    def _enough(self, s: Situation, traffic: Traffic, available: int) -> Stage:
        if s.rollout.stable_replicas == 0 and isinstance(s.observed.stable, Missing):
            sentence = f"the replicas of {s.rollout.stable.name} were never read: {s.observed.stable}"
            return Stage(False, "CapacityUnknown", sentence)
        wants = max(1, needed(s.rollout, traffic))
        if available >= wants:
            return DONE
        sentence = f"{s.rollout.canary.name} has {available} of the {wants} replicas that {traffic.weight}% needs"
        return Stage(False, "CanaryNotReady", sentence)


def _stable(s: Idle) -> str | None:
    """What serves: the only version that carries weight, else the manifest's word, else what was promoted last.

    The manifest's word is for adoption: once another version was promoted, nobody may go back to the one it names.
    """
    if len(s.carrying) == 1:
        return s.carrying[0]
    promoted = s.status.stable.name if s.status.stable else None
    return next((name for name in (promoted, s.canary.spec.stable) if name in s.carrying), None)
