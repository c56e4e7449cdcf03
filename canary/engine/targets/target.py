"""What a target is: what starts a rollout, and the stages around moving traffic. Each is one file beside this one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from canary.api.canary import Canary
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Phase, Rollout, Version
from canary.engine.actions import Action
from canary.engine.idle import Idle
from canary.engine.outcome import Finding, Hold
from canary.engine.phases import Need
from canary.engine.situation import Situation


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
