"""What a rule may conclude. `decide.py` carries each of these out in one function."""

from collections.abc import Mapping
from dataclasses import dataclass

from canary.api.status import Outcome, Version

from .actions import Action


@dataclass(frozen=True)
class Hold:
    """Nothing changes; a target's stage may have something to do meanwhile."""

    actions: tuple[Action, ...] = ()
    stalled: bool = False
    """Nothing will change until somebody acts."""
    unsure: bool = False
    """At rest: it can't be told whether what is wanted is what serves."""


@dataclass(frozen=True)
class Start:
    """A rollout begins, at step 0."""

    stable: Version
    canary: Version


@dataclass(frozen=True)
class Advance:
    """Go to a step of the plan."""

    step: int


@dataclass(frozen=True)
class Reassert:
    """Ask again for the traffic that is meant already."""


@dataclass(frozen=True)
class RollBack:
    """Ask for weight 0; the rollout ends once that is in place."""

    outcome: Outcome = Outcome.ROLLED_BACK


@dataclass(frozen=True)
class Promote:
    """All steps are done; the rollout ends once the old version has drained."""


@dataclass(frozen=True)
class Close:
    """The rollout is over: into the history with it."""


@dataclass(frozen=True)
class Serve:
    """No rollout is needed: this version serves."""

    stable: Version
    analysed: bool = True
    """False where a build serves that no rollout has judged."""


Conclusion = Hold | Start | Advance | Reassert | RollBack | Promote | Close | Serve


@dataclass(frozen=True)
class Finding:
    """What a rule has to say."""

    outcome: Conclusion
    reason: str
    """PascalCase, stable: events, metrics and tests use it."""
    sentence: str
    """For a person; says what is missing, not only that something is."""


OVER: Mapping[Outcome, str] = {
    Outcome.PROMOTED: "promoted",
    Outcome.ROLLED_BACK: "rolled back",
    Outcome.REJECTED: "rejected",
    Outcome.SUPERSEDED: "superseded",
    Outcome.RETURNED: "back on the stable version",
    Outcome.DELETED: "deleted",
}
"""How a rollout ended, in words."""
