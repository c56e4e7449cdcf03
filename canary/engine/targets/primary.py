"""The primary target: the target itself is the canary; the version that was promoted last serves from a copy of it.

`RULES` make the primary, its Services and its routes, keep the target at zero replicas, and start a rollout when the
target has another revision. `prepare` scales the target up, `promote` copies the analysed template to the primary and
waits until it is ready, `release` puts the last promoted template back after a failure, and scales the target down.
"""

from collections.abc import Mapping
from datetime import datetime
from math import ceil

from canary.api.canary import Canary
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.revision import build_of, configured
from canary.api.status import Outcome, Phase, Rollout, Version
from canary.engine import wording
from canary.engine.actions import CopyToPrimary, Provision, RemovePrimary, ReturnToTarget, ScaleTarget
from canary.engine.next_traffic import exposed
from canary.engine.observed import GONE, Cause, Missing, PrimarySeen, RouteSeen, WorkloadSeen
from canary.engine.outcome import Finding, Hold, Serve, Start
from canary.engine.phases import ENDING, IDLE, Need
from canary.engine.situation import Situation, needed
from canary.engine.targets.target import Idle

from .target import DONE, IdleRule, Stage
from .versions import Versions, failed_before, suspended


def unread(s: Idle) -> Finding | None:
    """Without the target, or without knowing what there is of the primary, nothing is changed."""
    if isinstance(s.observed.desired_version, Missing):
        missing, what = s.observed.desired_version, "the target"
    elif isinstance(s.observed.primary, Missing):
        missing, what = s.observed.primary, "the primary"
    else:
        return None
    hold = Hold(stalled=missing.cause in GONE or missing.cause is Cause.INVALID)
    return Finding(hold, Reason.REVISION_UNKNOWN, f"{what} can't be read: {missing}")


def unmakeable(s: Idle) -> Finding | None:
    """The target, or an object that is in the way, has something of which no primary can be made."""
    if s.primary is None or not s.primary.wrong:
        return None
    return Finding(Hold(stalled=True), Reason.INVALID_SPEC, s.primary.wrong)


def incomplete(s: Idle) -> Finding | None:
    """Something is missing of the primary, its Services or its routes: at first sight, or since a user removed it."""
    if s.primary is None or not s.primary.missing or s.desired_version is None:
        return None
    revision = s.status.stable.revision if s.status.stable else s.desired_version.revision
    first, more = s.primary.missing[0], len(s.primary.missing) - 1
    sentence = f"making {first}" + (f" and {more} more objects" if more > 1 else "")
    share = s.resolved.policy.primary_ready
    making = Provision(revision, 100 if share is None else share)
    return Finding(Hold((making,)), Reason.PROVISIONING, sentence)


def edited(s: Idle) -> Finding | None:
    """Another client changed the primary's template: it gets the promoted one again."""
    seen, stable = s.observed.stable_workload, s.status.stable
    if isinstance(seen, Missing) or stable is None or seen.revision:
        return None
    return Finding(Hold((CopyToPrimary(stable.revision),)), Reason.PROVISIONING, _edited(seen.name, stable.revision))


def primary_not_ready(s: Idle) -> Finding | None:
    """The primary has fewer replicas than it needs; before the first rollout the target stays up meanwhile."""
    seen = s.observed.stable_workload
    if isinstance(seen, Missing):
        return Finding(Hold(), Reason.PRIMARY_NOT_READY, f"the primary's replicas can't be read: {seen}")
    if seen.available >= _ready(seen, s.resolved.policy.primary_ready):
        return None
    sentence = f"{seen.name} has {seen.available} of {seen.replicas} replicas{wording.because(seen)}"
    return Finding(Hold(stalled=seen.stuck is not None), Reason.PRIMARY_NOT_READY, sentence)


def another_build_selected(s: Idle) -> Finding | None:
    """The canary's Service selects pods by their build, and the target has another one."""
    if s.primary is None or not s.primary.build or s.desired_version is None:
        return None
    build = build_of(s.desired_version.revision)
    if s.primary.build == build:
        return None
    sentence = f"{_canary(s.manifest)} gets the pods of {build}"
    serves = s.status.stable.revision if s.status.stable else s.primary.revision
    return Finding(Hold((Provision(serves),)), Reason.PROVISIONING, sentence)


def left_over(s: Idle) -> Finding | None:
    """The target has replicas although the primary serves its revision, or it failed: scaled to zero once requests
    that were under way are answered. Where pods read configuration, every rollout begins with new ones."""
    seen, since, drain = s.observed.canary_workload, s.status.provisioned_since, s.resolved.policy.drain
    if not isinstance(seen, WorkloadSeen) or not seen.replicas or (_starts(s) and not _configured(s)):
        return None
    if s.route is None:
        return Finding(Hold(), Reason.ROUTE_UNREADABLE, wording.unread_route(s.observed.route))
    if since is None:
        sentence = f"another client routes to {seen.name}, which keeps its replicas: {wording.found(s.route)}"
        return Finding(Hold(), Reason.TRAFFIC_DRIFT, sentence)
    if (since + drain - s.now).total_seconds() > 0:
        return Finding(Hold(), Reason.DRAINING, f"{seen.name} drains for {drain.total_seconds():g}s")
    return Finding(Hold((ScaleTarget(0),)), Reason.SCALING_DOWN, f"scaling {seen.name} to zero")


def first_sight(s: Idle) -> Finding | None:
    """The first revision serves without an analysis: there was nothing to compare it with.

    A primary that was there before the status is compared with what the target has.
    """
    if s.status.stable is not None or s.primary is None:
        return None
    stable, wanted = Version(name=_stable(s.manifest), revision=s.primary.revision), s.desired_version
    if wanted is not None and wanted.revision != stable.revision and not s.manifest.spec.suspend:
        return _start(stable, wanted)
    sentence = f"{stable} serves all traffic; the first revision is not analysed"
    return Finding(Serve(stable, analysed=False), Reason.UNANALYSED_REVISION, sentence)


def serves_already(s: Idle) -> Finding | None:
    """The target has the revision that the primary serves."""
    if _starts(s) or s.status.stable is None or s.status.failed == s.desired_version:
        return None
    return Finding(Serve(s.status.stable), Reason.ALREADY_SERVING, f"{s.status.stable} serves all traffic")


def another_revision(s: Idle) -> Finding:
    """A target with another revision starts a rollout."""
    stable, wanted = s.status.stable, s.desired_version
    if stable is None or wanted is None:
        raise AssertionError("the rules before this one speak where either is unknown")
    return _start(stable, wanted)


RULES: tuple[IdleRule, ...] = (
    unread,
    unmakeable,
    incomplete,
    edited,
    primary_not_ready,
    another_build_selected,
    left_over,
    first_sight,
    serves_already,
    failed_before,
    suspended,
    another_revision,
)
_AT_REST = Need.PRIMARY | Need.WORKLOADS


class PrimaryTarget:
    """See the module."""

    idle = RULES
    also_needs: Mapping[Phase, Need] = {
        **dict.fromkeys(IDLE, _AT_REST),
        **dict.fromkeys(ENDING, Need.PRIMARY | Need.WORKLOADS),
    }

    def names(self, manifest: Canary) -> tuple[str | None, str]:
        """The hosts of the primary and of the canary."""
        return _stable(manifest), _canary(manifest)

    def is_stable(self, s: Situation, wanted: Version) -> bool:
        """By its revision: there is one target."""
        return wanted.revision == s.rollout.stable_version.revision

    def serving(self, rollout: Rollout) -> Version:
        """The primary, with what was copied to it last."""
        promoted = rollout.end is not None and rollout.end.outcome is Outcome.PROMOTED
        stable = rollout.stable_version
        return stable.but(revision=rollout.canary_version.revision) if promoted else stable

    def leave(self, s: Idle) -> Finding | None:
        """With `revertOnDeletion` the target gets the promoted template and all requests, then the primary goes.

        Without it the primary and its routes stay and go on to serve.
        """
        if not s.status.reverts:
            return None
        if s.primary is None:
            return Finding(Hold(), Reason.REVERTING, f"the primary can't be read: {s.observed.primary}")
        target, since, drain = s.manifest.spec.target_ref.name, s.status.returned_since, s.resolved.policy.drain
        if since is None:
            revision = _given_back(s, s.primary)
            if not revision:
                return Finding(Hold(), Reason.REVERTING, f"{target} can't be read: {s.observed.canary_workload}")
            sentence = f"{target} gets {revision}, and all requests once it is ready"
            return Finding(Hold((ReturnToTarget(revision),)), Reason.REVERTING, sentence)
        if (since + drain - s.now).total_seconds() > 0:
            sentence = f"{_stable(s.manifest)} drains for {drain.total_seconds():g}s"
            return Finding(Hold(), Reason.DRAINING, sentence)
        return Finding(Hold((RemovePrimary(),)), Reason.REVERTING, f"removing {', '.join(s.primary.ours)}")

    def promoted(self, s: Situation) -> str:
        """What the primary serves now."""
        return f"{s.rollout.stable_version.name} serves {s.rollout.canary_version.revision}"

    def keep(self, s: Situation) -> Stage:
        """A primary that was deleted is made again, with the revision that it had."""
        return _made_again(s, self._in_primary(s))

    def remake(self, s: Situation) -> Stage:
        """Routes that were deleted are made as at first. At the end, so are adopted ones that were applied again."""
        route = s.observed.route
        if isinstance(route, Missing):
            sentence = "the routes are gone; making them again" if route.cause is Cause.ABSENT else ""
        else:
            sentence = f"{wording.found(route)}; adopting the routes again" if _applied_again(s, route) else ""
        if not sentence:
            return DONE
        return Stage(False, Reason.PROVISIONING, sentence, (Provision(self._in_primary(s)),))

    def adopt(self, s: Situation) -> Stage:
        """Adopted routes that were applied again are adopted again. The primary is read in the next reconcile."""
        if s.route is None or not s.route.leads_away:
            return DONE
        sentence, seen = f"the route was changed: {wording.found(s.route)}", s.observed.primary
        if isinstance(seen, Missing):
            return Stage(False, Reason.TRAFFIC_DRIFT, sentence)
        adopting = f"{sentence}; adopting the routes again"
        return Stage(not seen.missing, Reason.TRAFFIC_DRIFT, adopting, (Provision(self._in_primary(s), 0),))

    def _in_primary(self, s: Situation) -> str:
        copies = s.rollout.end is None and s.copying
        return s.rollout.canary_version.revision if copies else self.serving(s.rollout).revision

    def restore(self, s: Situation) -> Stage:
        """What the canary is compared with, and what a rollback leads to, is the promoted template."""
        seen, stable = s.observed.stable_workload, s.rollout.stable_version.revision
        if not isinstance(seen, Missing) and seen.diverted:
            sentence = f"the Service {seen.diverted} was changed by another client; it selects {seen.name} again"
            return Stage(False, Reason.PROVISIONING, sentence, (Provision(self.serving(s.rollout).revision, 0),))
        if s.copying or isinstance(seen, Missing) or seen.revision:
            return DONE
        return Stage(False, Reason.PROVISIONING, _edited(seen.name, stable), (CopyToPrimary(stable),))

    def prepare(self, s: Situation, traffic: Traffic) -> Stage:
        """The target has enough replicas, and both as many available as their thresholds say. What goes back to the
        primary needs none."""
        if s.copying:
            return DONE
        seen, wants = s.observed.canary_workload, _wanted(s.rollout, traffic)
        full = s.rollout.policy.canary_replicas == "full"
        least = max(1, needed(s.rollout, traffic)) if full else wants
        scalable = isinstance(seen, WorkloadSeen) and not (seen.nodes and seen.replicas)
        if isinstance(seen, WorkloadSeen) and scalable and seen.replicas < least:
            sentence = f"scaling {seen.name} from {seen.replicas} to {_replicas(wants)}"
            return Stage(
                False, Reason.CANARY_NOT_READY, sentence, (ScaleTarget(wants, s.rollout.canary_version.revision),)
            )
        stage = VERSIONS.prepare(s, traffic)
        return stage if not stage.done else thresholds(s)

    def promote(self, s: Situation) -> Stage:
        """The primary has the analysed template, and all of its replicas answer with it."""
        seen, pinned = s.observed.stable_workload, s.rollout.canary_version.revision
        if isinstance(seen, Missing):
            return Stage(False, Reason.PRIMARY_NOT_READY, f"the primary's replicas can't be read: {seen}")
        if seen.revision != pinned:
            return Stage(False, Reason.PROMOTING, f"copying {pinned} to {seen.name}", (CopyToPrimary(pinned),))
        if seen.others or seen.available < _ready(seen, s.rollout.policy.primary_ready):
            older = f", and {_replicas(seen.others)} with an older template" if seen.others else ""
            ready = f"{seen.available} of {_replicas(seen.replicas)} with {pinned}{older}"
            sentence = f"waiting for {seen.name}: {ready}{wording.because(seen)}"
            return Stage(False, Reason.PRIMARY_NOT_READY, sentence)
        return DONE

    def release(self, s: Situation) -> Stage:
        """The primary has what serves, and the target is scaled to zero, once it has answered what it had begun.

        A newer push replaces its pods anyway, unless they may differ by configuration alone.
        """
        end, since = s.rollout.end, s.rollout.in_place_since
        if end is None or since is None:
            return DONE
        if end.outcome is Outcome.SUPERSEDED and not configured(s.rollout.canary_version.revision):
            return DONE
        goes_back = end.outcome is Outcome.DELETED and s.status.reverts
        stage = self.serves(s, goes_back)
        if not stage.done or exposed(s.rollout.desired) or goes_back:
            return stage  # it serves, or gets all requests again
        return _scaled_down(s, since + s.rollout.policy.drain)

    def serves(self, s: Situation, goes_back: bool) -> Stage:
        """The primary has what serves at the end of a rollout; one that goes isn't made again."""
        stable, serves = s.observed.stable_workload, self.serving(s.rollout).revision
        made = _made_again(s, serves)
        if not made.done:
            return DONE if goes_back else made
        if isinstance(stable, WorkloadSeen) and stable.revision != serves:
            sentence = f"{stable.name} gets {serves} again"
            return Stage(False, Reason.PRIMARY_NOT_READY, sentence, (CopyToPrimary(serves),))
        return DONE


VERSIONS = Versions()


def _given_back(s: Idle, primary: PrimarySeen) -> str:
    """What was promoted; before the first revision is known to serve from the primary, what serves now."""
    seen = s.observed.canary_workload
    if s.status.stable is not None:
        return s.status.stable.revision
    if not primary.missing:
        return primary.revision
    return seen.revision if isinstance(seen, WorkloadSeen) else ""


def _edited(name: str, revision: str) -> str:
    return f"{name} was changed by another client; it gets the template of {revision} again"


def _applied_again(s: Situation, route: RouteSeen) -> bool:
    """Whether the end waits for routes that lead to neither version, and can be adopted. Earlier, that is drift."""
    primary = s.observed.primary
    incomplete = isinstance(primary, PrimarySeen) and bool(primary.missing)
    return s.rollout.end is not None and route.leads_away and incomplete


def _made_again(s: Situation, revision: str) -> Stage:
    seen, name = s.observed.stable_workload, s.rollout.stable_version.name
    if not isinstance(seen, Missing) or seen.cause is not Cause.ABSENT:
        return DONE
    return Stage(False, Reason.PROVISIONING, f"{name} is gone; making it with {revision}", (Provision(revision),))


def _scaled_down(s: Situation, drained: datetime) -> Stage:
    seen, route = s.observed.canary_workload, s.observed.route
    if isinstance(seen, Missing):
        gone = seen.cause is Cause.ABSENT
        return DONE if gone else Stage(False, Reason.SCALING_DOWN, f"the target can't be read: {seen}")
    if not seen.replicas:
        return DONE
    if isinstance(route, Missing) and route.cause not in GONE:
        return Stage(False, Reason.ROUTE_UNREADABLE, wording.unread_route(route))
    if drained > s.now:
        return Stage(False, Reason.DRAINING, f"{seen.name} drains for {s.rollout.policy.drain.total_seconds():g}s")
    return Stage(False, Reason.SCALING_DOWN, f"scaling {seen.name} to zero", (ScaleTarget(0),))


def _start(stable: Version, wanted: Version) -> Finding:
    return Finding(Start(stable, wanted), Reason.STARTED, f"rolling out {wanted}, replacing {stable}")


def _starts(s: Idle) -> bool:
    """Whether the target has a revision that was neither promoted nor failed."""
    wanted, stable = s.desired_version, s.status.stable
    if wanted is None or stable is None:
        return False
    return wanted.revision != stable.revision and s.status.failed != wanted


def _configured(s: Idle) -> bool:
    return s.desired_version is not None and configured(s.desired_version.revision)


def _stable(manifest: Canary) -> str:
    return f"{manifest.spec.apex}-primary"


def _canary(manifest: Canary) -> str:
    return f"{manifest.spec.apex}-canary"


def _wanted(rollout: Rollout, traffic: Traffic) -> int:
    """Replicas of the target for this traffic; a share of requests that isn't known may be all of them."""
    full, asked = max(1, rollout.stable_replicas), rollout.policy.canary_replicas
    if asked == "full" or (asked == "matchWeight" and traffic.match):
        return full
    if asked == "matchWeight":
        return max(1, ceil(full * max(traffic.weight, traffic.mirror) / 100))
    return max(int(asked), needed(rollout, traffic))


def _ready(seen: WorkloadSeen, threshold: int | None) -> int:
    """How many of its replicas must be available: all, or a share, rounded down as in Flagger; at least one."""
    return max(1, seen.replicas * (100 if threshold is None else threshold) // 100)


def thresholds(s: Situation) -> Stage:
    policy = s.rollout.policy
    for seen, field, threshold, reason in (
        (s.observed.stable_workload, "primaryReadyThreshold", policy.primary_ready, Reason.PRIMARY_NOT_READY),
        (s.observed.canary_workload, "canaryReadyThreshold", policy.canary_ready, Reason.CANARY_NOT_READY),
    ):
        if threshold is None or isinstance(seen, Missing):
            continue
        wants = _ready(seen, threshold)
        if seen.available < wants:
            has = f"{seen.name} has {seen.available} of {_replicas(seen.replicas)}"
            return Stage(False, reason, f"{has}, and {field} {threshold}% asks for {wants}")
    return DONE


def _replicas(count: int) -> str:
    return f"{count} replica" if count == 1 else f"{count} replicas"
