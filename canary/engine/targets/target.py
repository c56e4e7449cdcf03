"""What a target is: what starts a rollout, and the stages around moving traffic. Each is one file beside this one.

`Idle` is what rules see while no rollout is running.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Phase, Rollout, Status, Version
from canary.engine.actions import Action
from canary.engine.next_traffic import exposed
from canary.engine.observed import Missing, Observed, PrimarySeen, RouteSeen, WorkloadSeen
from canary.engine.outcome import Finding, Hold, Remark
from canary.engine.phases import Need
from canary.engine.resolved import ResolvedSpec
from canary.engine.situation import RuleInput, Situation
from canary.engine.verbs import new_actions, refused, who


@dataclass(frozen=True)
class Idle(RuleInput):
    """A Canary at rest; `status` is as it was saved, but a retry has cleared what failed, and a primary says what was
    promoted to it."""

    taken: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def primary(self) -> PrimarySeen | None:
        return None if isinstance(self.observed.primary, Missing) else self.observed.primary

    @property
    def carrying(self) -> tuple[str, ...]:
        """Versions that carry weight now, the largest share first."""
        shares = self.route.shares if self.route else {}
        return tuple(sorted((name for name, share in shares.items() if share > 0), key=lambda name: -shares[name]))


def fold_idle(resolved: ResolvedSpec, status: Status, observed: Observed, now: datetime) -> Idle:
    """Takes people's actions: at rest only `retry` has an effect."""
    if isinstance(observed.primary, PrimarySeen):
        status = _provisioned(status, resolved.manifest, observed, observed.primary, now)
    idle = Idle(resolved, status, observed, now)
    for action in new_actions(resolved.manifest.metadata.name, status, observed.actions, now):
        idle = replace(_hear(idle, action), taken=(*idle.taken, action.id))
    return idle


def _provisioned(status: Status, manifest: Canary, observed: Observed, seen: PrimarySeen, now: datetime) -> Status:
    """What the status remembers of the primary. A route that can't be read changes nothing."""
    deleted = manifest.metadata.deletion_timestamp is not None
    workload = observed.stable_workload
    if isinstance(workload, WorkloadSeen) and workload.revision == seen.revision:  # else it was edited
        status = _promoted_elsewhere(status, seen.revision)
    return status.but(
        provisioned_since=None if seen.missing else _alone_since(status.provisioned_since, observed.route, now),
        reverts=manifest.spec.revert_on_deletion and bool(seen.ours),
        returned_since=(status.returned_since or now) if deleted and seen.returned else None,
    )


def _promoted_elsewhere(status: Status, revision: str) -> Status:
    """The primary says which revision was copied to it last.

    If the status doesn't know it, a process with a status of its own has promoted it, such as a `canary run` beside a
    controller. Then it serves, and isn't rolled out again.
    """
    stable, failed = status.stable, status.failed
    if stable is None or revision in ("", stable.revision):
        return status
    again = failed is not None and failed.revision == revision
    return status.but(stable=stable.but(revision=revision), failed=None if again else failed)


def _alone_since(since: datetime | None, route: RouteSeen | Missing, now: datetime) -> datetime | None:
    if isinstance(route, Missing):
        return since
    return None if route.traffic is None or exposed(route.traffic) else since or now


def _hear(idle: Idle, action: CanaryAction) -> Idle:
    if action.verb is Verb.RETRY and idle.status.failed is not None:
        remark = Remark(Reason.RETRY_ASKED, f"{who(action)} asked to try {idle.status.failed} again")
        return replace(idle, status=idle.status.but(failed=None), remarks=(*idle.remarks, remark))
    why = "nothing has failed" if action.verb is Verb.RETRY else "no rollout is running"
    return replace(idle, remarks=(*idle.remarks, refused(action, why)))


@dataclass(frozen=True)
class Stage:
    """The progress of something that has to happen besides the traffic. Rules wait until it is done."""

    done: bool
    reason: Reason = Reason.UNDECIDED
    """What is missing, while it isn't done."""
    sentence: str = ""
    """The same for a person."""
    actions: tuple[Action, ...] = ()
    """What to do about it now."""

    @property
    def hold(self) -> Finding | None:
        """What rules find while it isn't done; None once it is."""
        return None if self.done else Finding(Hold(self.actions), self.reason, self.sentence)


DONE = Stage(done=True)

IdleRule = Callable[[Idle], Finding | None]


class TargetStages(Protocol):
    """One kind of thing that moves."""

    idle: tuple[IdleRule, ...]
    """The table of what starts a rollout; the first rule that speaks decides, and the last one always speaks."""
    also_needs: Mapping[Phase, Need]
    """What decisions about this target look at beside what `phases.py` has."""

    def names(self, manifest: Canary) -> tuple[str | None, str]:
        """Stable and canary as the router and the workloads know them; stable is None where only the route tells."""

    def is_stable(self, s: Situation, wanted: Version) -> bool:
        """Whether the desired version is the one that the rollout started from."""

    def serving(self, rollout: Rollout) -> Version:
        """The stable version once the rollout is over."""

    def leave(self, s: Idle) -> Finding | None:
        """What is left to take back at rest, after the Canary was deleted; None if nothing is."""

    def promoted(self, s: Situation) -> str:
        """The sentence at the end of a rollout that is complete."""

    def keep(self, s: Situation) -> Stage:
        """Is everything there that a rollout never goes without?"""

    def remake(self, s: Situation) -> Stage:
        """Are there routes, as far as the target makes them itself?"""

    def adopt(self, s: Situation) -> Stage:
        """Do the routes lead to the versions at all, as far as the target can see to that? Weights need it."""

    def restore(self, s: Situation) -> Stage:
        """Is stable what it was, as far as it isn't the user's?"""

    def prepare(self, s: Situation, traffic: Traffic) -> Stage:
        """Is everything there that `traffic` needs?"""

    def promote(self, s: Situation) -> Stage:
        """Has the canary become the stable version, apart from traffic?"""

    def release(self, s: Situation) -> Stage:
        """Whether everything that the rollout added is removed."""
