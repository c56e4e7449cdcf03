"""What rules see while no rollout is running. The table of what starts one stands with the target (`targets/`)."""

from dataclasses import dataclass, replace
from datetime import datetime

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.api.reason import Reason
from canary.api.status import Status

from .next_traffic import exposed
from .observed import Missing, Observed, PrimarySeen, RouteSeen, WorkloadSeen
from .outcome import Remark
from .resolved import ResolvedSpec
from .situation import RuleInput
from .verbs import new_actions, refused, who


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
