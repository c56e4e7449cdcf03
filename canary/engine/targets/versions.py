"""The versions target: the user owns the routes and one workload per version; we change weights, nothing else.

`IDLE` is the table of what starts a rollout. The stages are short, because there is nothing to build or to copy:
`prepare` waits for the destination and its replicas, `release` for the old version to drain.
"""

from collections.abc import Mapping

from canary.api.analysis import Capacity
from canary.api.canary import Canary
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Outcome, Phase, Rollout, RolloutSummary, Unmoved, Version
from canary.engine import unmoved, wording
from canary.engine.did_you_mean import did_you_mean
from canary.engine.observed import GONE, Cause, Missing, WorkloadSeen
from canary.engine.outcome import Finding, Hold, Serve, Start, over
from canary.engine.phases import Need
from canary.engine.situation import Situation, needed
from canary.engine.targets.target import Idle

from .target import DONE, IdleRule, Stage


def unread(s: Idle) -> Finding | None:
    """What can't be read is never guessed."""
    route = s.observed.route
    if not isinstance(route, Missing):
        return None
    hold = Hold(stalled=route.cause in GONE, unsure=not _as_it_was(s))
    return Finding(hold, Reason.ROUTE_UNREADABLE, wording.unread_route(route))


def unknown(s: Idle) -> Finding | None:
    """A workload may come a moment after the Canary that names it; a version that nothing defines is a wrong word."""
    wanted = s.observed.desired_version
    if not isinstance(wanted, Missing):
        return None
    defined = s.route.destinations if s.route else None
    undefined = wanted.cause is Cause.ABSENT and defined is not None and s.manifest.spec.version not in defined
    hold = Hold(stalled=wanted.cause is Cause.DENIED or undefined, unsure=not _as_it_was(s))
    if wanted.cause in (Cause.ABSENT, Cause.INVALID) and wanted.detail:
        return Finding(hold, Reason.REVISION_UNKNOWN, f"spec.version: {wanted.detail}")
    return Finding(hold, Reason.REVISION_UNKNOWN, f"the desired version can't be read: {wanted}")


def _as_it_was(s: Idle) -> bool:
    """Whether the desired version served when all could be read, and what can't be read now will be again by
    itself."""
    missing = [one for one in (s.observed.route, s.observed.desired_version) if isinstance(one, Missing)]
    if s.status.stable is None or not all(one.cause.passing for one in missing):
        return False
    return (
        s.status.stable == s.desired_version if s.desired_version else s.status.stable.name == s.manifest.spec.version
    )


def serves_nothing(s: Idle) -> Finding | None:
    """A route without weight has no stable version; the reading of it may know why."""
    if s.carrying:
        return None
    why = s.route.described if s.route else ""
    sentence = why or "no version carries weight in the routes that would move"
    return Finding(Hold(stalled=True), Reason.NOTHING_SERVES, sentence)


def serves_already(s: Idle) -> Finding | None:
    """The desired version serves all traffic: nothing to do; a build that failed stays failed."""
    if s.desired_version is None or (
        s.carrying != (s.desired_version.name,) and not _has_its_share(s, s.desired_version)
    ):
        return None
    if s.status.failed == s.desired_version:
        how = f"{s.desired_version} serves {_all(s)}, but was {_how_it_failed(s)}"
        sentence = f"{how}; retry, or bring another revision"
        return Finding(Serve(s.desired_version, analysed=False), Reason.UNANALYSED_REVISION, sentence)
    known = s.status.stable if s.status.stable and s.status.stable.name == s.desired_version.name else None
    if known is None or known.revision == s.desired_version.revision:
        return Finding(Serve(s.desired_version), Reason.ALREADY_SERVING, f"{s.desired_version} serves {_all(s)}")
    sentence = f"{s.desired_version} serves {_all(s)} without having been judged; {known} was"
    return Finding(Serve(known, analysed=False), Reason.UNANALYSED_REVISION, sentence)


def _has_its_share(s: Idle, wanted: Version) -> bool:
    """Promoted last, and the one it replaced has nothing: what others carry was never the pair's."""
    last = s.status.history[0] if s.status.history else None
    promoted = last is not None and last.outcome is Outcome.PROMOTED and last.canary.name == wanted.name
    return last is not None and promoted and wanted.name in s.carrying and last.stable.name not in s.carrying


def _all(s: Idle) -> str:
    """What the desired version serves."""
    if s.desired_version is None or s.route is None:
        return "everything"
    wanted = s.desired_version.name
    shares = [Unmoved(version=name) for name in s.carrying if name != wanted]
    return unmoved.everything(wanted, (*shares, *unmoved.at_rest(s.route, s.status, wanted)))


def ambiguous(s: Idle) -> Finding | None:
    """Several versions carry weight, and nothing says which one is stable."""
    if s.desired_version is not None and _stable(s) is None:
        among = ", ".join(name for name in s.carrying if name != s.desired_version.name)
        sentence = f"several versions carry weight; write spec.stable, one of {among}"
        return Finding(Hold(stalled=True), Reason.STABLE_UNKNOWN, sentence)
    return None


def stable_is_wanted(s: Idle) -> Finding | None:
    """`stable` and `version` name the same version, which doesn't serve everything."""
    if s.desired_version is None or _stable(s) != s.desired_version.name:
        return None
    others = ", ".join(name for name in s.carrying if name != s.desired_version.name)
    sentence = f"{s.desired_version.name} is both stable and the desired version, but {others} carries weight as well"
    return Finding(Hold(stalled=True), Reason.STABLE_IS_WANTED, sentence)


def failed_before(s: Idle) -> Finding | None:
    """This same version and revision was tried last and failed: no loop of failing rollouts.

    A failure is a state that stays, and so do its reason and its message, in each later reconcile.
    """
    if s.desired_version is None or s.status.failed != s.desired_version:
        return None
    last = _last_try(s)
    reason = last.outcome.reason if last and s.status.phase is Phase.FAILED else Reason.ALREADY_FAILED
    sentence = f"{s.desired_version} was {_how_it_failed(s)}; retry, or bring another revision"
    return Finding(Hold(stalled=True), reason, sentence)


def _last_try(s: Idle) -> RolloutSummary | None:
    return next((one for one in s.status.history if one.canary == s.desired_version), None)


def _how_it_failed(s: Idle) -> str:
    last = _last_try(s)
    return over(last.outcome, last.weight, last.message) if last else "tried and failed"


def suspended(s: Idle) -> Finding | None:
    """Suspended: nothing starts."""
    return Finding(Hold(), Reason.SUSPENDED, "suspended: nothing starts") if s.manifest.spec.suspend else None


def another_wanted(s: Idle) -> Finding:
    """A spec with another version starts a rollout, also when the Canary is first seen."""
    stable, wanted = _stable(s), s.desired_version
    if stable is None or wanted is None:
        raise AssertionError("the rules before this one speak where either is unknown")
    known = s.status.stable if s.status.stable and s.status.stable.name == stable else Version(name=stable)
    return Finding(Start(known, wanted), Reason.STARTED, f"rolling out {wanted}, replacing {known}")


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
    also_needs: Mapping[Phase, Need] = {}

    def names(self, manifest: Canary) -> tuple[str | None, str]:
        """The version as the manifest has it; only the route tells what serves."""
        return None, manifest.spec.version or ""

    def is_stable(self, s: Situation, wanted: Version) -> bool:
        """By its name: versions run side by side."""
        return wanted.name == s.rollout.stable_version.name

    def serving(self, rollout: Rollout) -> Version:
        """Where all traffic goes."""
        return rollout.canary_version if rollout.desired.weight == 100 else rollout.stable_version

    def leave(self, s: Idle) -> None:
        """Nothing was made."""

    def promoted(self, s: Situation) -> str:
        """What it serves, and what it doesn't."""
        pinned, left = s.rollout.canary_version, s.route.unmoved if s.route else s.rollout.unmoved
        return f"{pinned} serves {unmoved.everything(pinned.name, left)}"

    def keep(self, s: Situation) -> Stage:
        """All that runs is the user's."""
        return DONE

    def remake(self, s: Situation) -> Stage:
        """The user makes them."""
        return DONE

    def adopt(self, s: Situation) -> Stage:
        """They are the user's."""
        return DONE

    def restore(self, s: Situation) -> Stage:
        """Its owner may change it."""
        return DONE

    def prepare(self, s: Situation, traffic: Traffic) -> Stage:
        """The destination is there, and enough replicas of the pinned revision, and of no other, can answer."""
        seen, name = s.observed.canary_workload, s.rollout.canary_version.name
        if isinstance(seen, Missing) and seen.cause is Cause.ABSENT:
            return Stage(False, Reason.DESTINATION_MISSING, f"there is no destination {name}")
        if s.route and s.route.destinations is not None and name not in s.route.destinations:
            meant = did_you_mean(name, s.route.destinations)
            return Stage(False, Reason.DESTINATION_MISSING, f"there is no destination {name}{meant}")
        if isinstance(seen, Missing):
            ignored = s.rollout.policy.capacity is Capacity.IGNORE
            unknown = Stage(False, Reason.CAPACITY_UNKNOWN, f"the replicas of {name} can't be read: {seen}")
            return DONE if ignored else unknown
        if seen.others:
            return Stage(
                False, Reason.OTHER_REVISION_SERVES, f"{seen.others} pods of another revision still serve in {name}"
            )
        return self._enough(s, traffic, seen)

    def promote(self, s: Situation) -> Stage:
        """Traffic is all there is to promote."""
        return DONE

    def release(self, s: Situation) -> Stage:
        """The version that lost its weight may still be answering; a superseded one is tried again at once, and who
        deletes a Canary isn't kept waiting: nothing of ours is taken from the old version."""
        since, end = s.rollout.in_place_since, s.rollout.end
        if end is None or end.outcome in (Outcome.SUPERSEDED, Outcome.DELETED) or since is None:
            return DONE
        left = since + s.rollout.policy.drain - s.now
        if left.total_seconds() <= 0:
            return DONE
        idle = s.rollout.stable_version if end.outcome is Outcome.PROMOTED else s.rollout.canary_version
        return Stage(False, Reason.DRAINING, f"{idle.name} drains for {s.rollout.policy.drain.total_seconds():g}s")

    def _enough(self, s: Situation, traffic: Traffic, seen: WorkloadSeen) -> Stage:
        if (
            s.rollout.stable_replicas == 0
            and isinstance(s.observed.stable_workload, Missing)
            and s.stable_available is None
        ):
            sentence = (
                f"the replicas of {s.rollout.stable_version.name} were never read: {s.observed.stable_workload}"
            )
            return Stage(False, Reason.CAPACITY_UNKNOWN, sentence)
        wants = max(1, needed(s.rollout, traffic))
        if seen.available >= wants:
            return DONE
        name, needs = s.rollout.canary_version.name, f"of the {wants} replicas that {traffic.weight}% needs"
        sentence = f"{name} has {seen.available} {needs}{wording.because(seen)}"
        return Stage(False, Reason.CANARY_NOT_READY, sentence)


def _stable(s: Idle) -> str | None:
    """What serves: the only version that carries weight, else the manifest's word, else what was promoted last.

    The manifest's word is for adoption: once another version was promoted, no rollback may go to the one it names.
    """
    if len(s.carrying) == 1:
        return s.carrying[0]
    promoted = s.status.stable.name if s.status.stable else None
    return next((name for name in (promoted, s.manifest.spec.stable) if name in s.carrying), None)
