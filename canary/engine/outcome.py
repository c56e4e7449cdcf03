"""What a rule may conclude, and the draft of a decision that it leads to. `decide.py` carries each conclusion out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from canary.api.reason import EventType, Reason
from canary.api.status import Outcome, Status, Version

from .actions import Action

LONGEST = 300
"""Characters of a sentence in status; what others write (people, a proxy, a server) has no limit of its own."""


@dataclass(frozen=True)
class Hold:
    """Nothing changes; a target's stage may have something to do meanwhile."""

    actions: tuple[Action, ...] = ()
    stalled: bool = False
    """Nothing changes until a user acts."""
    unsure: bool = False
    """At rest: it isn't known whether the desired version serves."""
    prepared: bool = False
    """At the start: the canary is available, so hooks are called that need it."""


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
    """Write the desired traffic again."""


@dataclass(frozen=True)
class RollBack:
    """Ask for weight 0; the rollout ends once that is in place."""

    outcome: Outcome = Outcome.ROLLED_BACK


@dataclass(frozen=True)
class Finish:
    """The rollout ends with traffic as it stands: promoted, or nothing is better; then the old version drains."""

    outcome: Outcome = Outcome.PROMOTED


@dataclass(frozen=True)
class Close:
    """The rollout is over: into the history with it."""


@dataclass(frozen=True)
class Serve:
    """No rollout is needed: this version serves."""

    stable: Version
    analysed: bool = True
    """False where a build serves that no rollout has judged, or that failed."""


Conclusion = Hold | Start | Advance | Reassert | RollBack | Finish | Close | Serve


@dataclass(frozen=True)
class Finding:
    """What a rule has to say."""

    outcome: Conclusion
    reason: Reason
    """Events, metrics and tests use it."""
    sentence: str
    """For a person; says what is missing, not only that something is."""


@dataclass(frozen=True)
class Remark:
    """Something to tell people that is not the reconcile's own reason."""

    reason: Reason
    message: str
    severity: EventType | None = None
    """None for what its reason says."""

    @property
    def type(self) -> EventType:
        """As in Kubernetes' events."""
        return self.severity or self.reason.severity


def clipped(text: str) -> str:
    """The text, cut where it is too long to be kept."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


OVER: Mapping[Outcome, str] = {
    Outcome.PROMOTED: "promoted",
    Outcome.ROLLED_BACK: "rolled back",
    Outcome.REJECTED: "rejected",
    Outcome.SUPERSEDED: "superseded",
    Outcome.RETURNED: "back on the stable version",
    Outcome.DELETED: "deleted",
}
"""How a rollout ended, in words."""


def over(outcome: Outcome, highest: int, message: str) -> str:
    """`rolled back at 10%: why`; `highest` is the highest weight that the canary had."""
    reached = f" at {highest}%" if outcome is Outcome.ROLLED_BACK and highest else ""
    return f"{OVER[outcome]}{reached}: {message}"


@dataclass(frozen=True)
class Draft:
    """A decision in the making: what a conclusion leads to, before phase, conditions and messages are set."""

    status: Status
    finding: Finding
    actions: tuple[Action, ...] = ()
    taken: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    loud: bool = False
    """Sent even if its reason is the same as before."""
    evaluated: bool = field(default=False)
