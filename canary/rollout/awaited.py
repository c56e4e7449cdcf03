"""How a rollout ended that a controller drives: the answer that a Canary object gives about one version and revision.

Pure. `waiting.py` looks again and again; the codes are those of `ending.py`. A status answers only for what it speaks
of: for the spec as it is now (`observedGeneration`), and for the version and revision that are waited for.
"""

from dataclasses import dataclass
from datetime import datetime

from canary.api.canary import Canary
from canary.api.status import Outcome, Phase, RolloutSummary, Status, Version
from canary.engine.observed import Missing

from .ending import AT_REST, BY_OUTCOME, Ending, Exit

UNREAD = frozenset({"RouteUnreadable", "RevisionUnknown"})
"""Reasons of a controller that can't tell what to do."""
LOCKED = "Conflict"
"""The reason where somebody else moves the target."""


@dataclass(frozen=True)
class Sight:
    """A Canary object, and what it wants, as they were seen last."""

    at: datetime
    canary: Canary
    wanted: Version | Missing
    """`spec.version`, with the revision that is behind it now."""

    @property
    def status(self) -> Status:
        return self.canary.status or Status()

    @property
    def current(self) -> bool:
        """Whether the controller has seen the spec as it is now."""
        return self.status.observed_generation >= self.canary.metadata.generation


@dataclass(frozen=True)
class Aim:
    """What is waited for."""

    version: Version
    after: int = 0
    """Rollouts up to this number don't count: somebody asked to try again."""

    def ended(self, status: Status) -> RolloutSummary | None:
        """Its last rollout, if that is over."""
        return next((one for one in status.history if one.canary == self.version and one.number > self.after), None)


def answer(aim: Aim, sight: Sight) -> Ending | None:
    """How it ended; None while that can't be told yet."""
    canary, status = sight.canary, sight.status
    if canary.metadata.deletion_timestamp is not None:
        return Ending(Exit.GONE, "Deleted", f"{canary.metadata.name} was deleted{_left(status)}")
    if _superseded(aim, sight):
        now = canary.spec.version if isinstance(sight.wanted, Missing) else sight.wanted
        return Ending(Exit.SUPERSEDED, "Superseded", f"{aim.version} isn't wanted any more, {now} is")
    if not sight.current:
        return None
    if status.rollout is not None:
        return _suspended(sight) if status.rollout.end is None else None
    return _at_rest(aim, sight)


def waits_for_approval(aim: Aim, sight: Sight) -> bool:
    """Whether it stands at a gate that people open."""
    rollout = sight.status.rollout
    return rollout is not None and rollout.canary == aim.version and sight.status.reason == "WaitingForApproval"


def unseen(aim: Aim | None, sight: Sight) -> str:
    """Why the status doesn't speak of what is waited for, in a sentence; empty where it does."""
    status, version = sight.status, sight.canary.spec.version
    if aim is None:
        why = f": {sight.wanted}" if isinstance(sight.wanted, Missing) else ""
        return f"what runs behind {version} isn't known yet{why}"
    if not sight.current:
        return "the controller hasn't seen the spec as it is now"
    if status.rollout is not None:
        other = status.rollout.canary != aim.version
        return f"{status.rollout.canary} has yet to make way for {aim.version}" if other else ""
    told = status.reason in UNREAD or answer(aim, sight) is not None
    return "" if told else f"the controller hasn't seen {aim.version} yet"


def _superseded(aim: Aim, sight: Sight) -> bool:
    if isinstance(sight.wanted, Missing):
        return sight.canary.spec.version != aim.version.name
    return sight.wanted != aim.version


def _suspended(sight: Sight) -> Ending | None:
    if not sight.canary.spec.suspend:
        return None
    return Ending(Exit.GONE, "Suspended", f"suspended{_left(sight.status)}; nothing is raised")


def _at_rest(aim: Aim, sight: Sight) -> Ending | None:
    status = sight.status
    code = Exit.LOCKED if status.reason == LOCKED else AT_REST.get(status.reason)
    if code in (Exit.LOCKED, Exit.INVALID, Exit.GONE):
        return Ending(code, status.reason, status.message)
    if _serves(aim, status):
        return _promoted(aim, status)
    return _failed(aim, status) if status.failed == aim.version else None


def _serves(aim: Aim, status: Status) -> bool:
    """Also where nobody has judged the build that serves: then it is one of the version that serves everything."""
    if status.phase not in (Phase.INITIALIZED, Phase.SUCCEEDED) or status.stable is None:
        return False
    if status.reason == "UnanalysedRevision":
        return status.stable.name == aim.version.name
    return status.stable == aim.version


def _promoted(aim: Aim, status: Status) -> Ending:
    ended = aim.ended(status)
    if ended is not None and ended.outcome is Outcome.PROMOTED and status.reason != "UnanalysedRevision":
        return Ending(Exit.PROMOTED, "Promoted", f"{aim.version} was promoted: {ended.message}")
    return Ending(Exit.PROMOTED, status.reason, status.message)


def _failed(aim: Aim, status: Status) -> Ending | None:
    """Not before a retry that was asked for was taken."""
    ended = aim.ended(status)
    if ended is not None:
        return Ending(BY_OUTCOME[ended.outcome], ended.outcome.value, f"{_FAILED[ended.outcome]}: {ended.message}")
    if aim.after:
        return None
    return Ending(Exit.ROLLED_BACK, "AlreadyFailed", f"{aim.version} was tried and failed; retry, or bring another")


_FAILED = {outcome: "rolled back" for outcome in Outcome} | {Outcome.REJECTED: "rejected"}


def _left(status: Status) -> str:
    """Where traffic was seen last."""
    return f"; traffic was at {status.canary_weight}%" if status.rollout is not None else ""
