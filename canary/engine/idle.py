"""What rules see while no rollout is running. The table of what starts one stands with the target (`targets/`)."""

from dataclasses import dataclass, replace
from datetime import datetime

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.api.status import Status, Version

from .desired import Desired
from .observed import Missing, Observed, RouteSeen
from .people import Remark, new_actions, refused, who


@dataclass(frozen=True)
class Idle:
    """A Canary at rest."""

    desired: Desired
    status: Status
    """As it was saved, except that a retry has cleared what failed."""
    observed: Observed
    now: datetime
    taken: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def canary(self) -> Canary:
        return self.desired.canary

    @property
    def wanted(self) -> Version | None:
        return None if isinstance(self.observed.wanted, Missing) else self.observed.wanted

    @property
    def route(self) -> RouteSeen | None:
        return None if isinstance(self.observed.route, Missing) else self.observed.route

    @property
    def carrying(self) -> tuple[str, ...]:
        """Versions that carry weight now, the largest share first."""
        shares = self.route.shares if self.route else {}
        return tuple(sorted((name for name, share in shares.items() if share > 0), key=lambda name: -shares[name]))


def fold_idle(desired: Desired, status: Status, observed: Observed, now: datetime) -> Idle:
    """Takes people's actions: at rest only `retry` has an effect."""
    idle = Idle(desired, status, observed, now)
    for action in new_actions(desired.canary.metadata.name, status, observed.actions):
        idle = replace(_hear(idle, action), taken=(*idle.taken, action.id))
    return idle


def _hear(idle: Idle, action: CanaryAction) -> Idle:
    if action.verb is Verb.RETRY and idle.status.failed is not None:
        remark = Remark("RetryAsked", f"{who(action)} asked to try {idle.status.failed} again")
        return replace(idle, status=idle.status.but(failed=None), remarks=(*idle.remarks, remark))
    why = "nothing has failed" if action.verb is Verb.RETRY else "no rollout is running"
    return replace(idle, remarks=(*idle.remarks, refused(action, why)))
