"""How a rollout ended that a controller drives: the answer that a Canary object gives about one version and revision.

Pure. `wait.py` reads again and again; the codes are those of `rollout/end.py`. A status answers only for what
it speaks of: for the spec as it is now (`observedGeneration`), and for the version and revision that are waited for.
"""

from dataclasses import dataclass
from datetime import datetime

from canary.api.canary import Canary
from canary.api.exit_codes import Exit
from canary.api.reason import Reason, Trait
from canary.api.status import Outcome, Phase, RolloutSummary, Status, Version
from canary.engine.observed import Missing
from canary.engine.targets import target_of
from canary.rollout.end import BY_OUTCOME, Ending


@dataclass(frozen=True)
class Sight:
    """A Canary object, and what it wants, as they were seen last."""

    at: datetime
    canary: Canary
    desired_version: Version | Missing
    """`spec.version`, with the revision that is behind it now."""

    @property
    def status(self) -> Status:
        return self.canary.status or Status()

    @property
    def version(self) -> str:
        """The name of what is rolled out: `spec.version`, or the host of a target that has a primary."""
        return target_of(self.canary).names(self.canary)[1]

    def serving(self, version: Version) -> Version:
        """What serves after the promotion of a version: the same, or a primary with its revision."""
        stable, _ = target_of(self.canary).names(self.canary)
        return version.but(name=stable or version.name)

    @property
    def current(self) -> bool:
        """Whether the controller has seen the spec as it is now."""
        return self.status.observed_generation >= self.canary.metadata.generation


@dataclass(frozen=True)
class Awaited:
    """What is waited for."""

    version: Version
    after: int = 0
    """Rollouts up to this number don't count: a user asked for a retry."""

    def ended(self, status: Status) -> RolloutSummary | None:
        """Its last rollout, if that is over."""
        return next((one for one in status.history if one.canary == self.version and one.number > self.after), None)


def answer(aim: Awaited, sight: Sight) -> Ending | None:
    """How it ended; None while that isn't known yet."""
    canary, status = sight.canary, sight.status
    if canary.metadata.deletion_timestamp is not None:
        return Ending(Exit.GONE, Reason.DELETED, f"{canary.metadata.name} was deleted{_left(status)}")
    if _superseded(aim, sight):
        now = sight.version if isinstance(sight.desired_version, Missing) else sight.desired_version
        return Ending(Exit.SUPERSEDED, Reason.SUPERSEDED, f"{aim.version} is no longer the desired version, {now} is")
    if not sight.current:
        return None
    if status.rollout is not None:
        return _suspended(sight) if status.rollout.end is None else None
    return _at_rest(aim, sight)


def waits_for_approval(aim: Awaited, sight: Sight) -> bool:
    """Whether it stands at a gate that people open."""
    rollout = sight.status.rollout
    return (
        rollout is not None
        and rollout.canary_version == aim.version
        and sight.status.reason == Reason.WAITING_FOR_APPROVAL
    )


def unseen(aim: Awaited | None, sight: Sight) -> str:
    """Why the status doesn't speak of what is waited for, in a sentence; empty where it does."""
    status, version = sight.status, sight.version
    if aim is None:
        why = f": {sight.desired_version}" if isinstance(sight.desired_version, Missing) else ""
        return f"what runs behind {version} isn't known yet{why}"
    if not sight.current:
        return "the controller hasn't seen the spec as it is now"
    if status.rollout is not None:
        other = status.rollout.canary_version != aim.version
        return f"{status.rollout.canary_version} has yet to make way for {aim.version}" if other else ""
    known = Trait.UNREAD in status.reason.traits or answer(aim, sight) is not None
    return "" if known else f"the controller hasn't seen {aim.version} yet"


def _superseded(aim: Awaited, sight: Sight) -> bool:
    if isinstance(sight.desired_version, Missing):
        return sight.version != aim.version.name
    return sight.desired_version != aim.version


def _suspended(sight: Sight) -> Ending | None:
    if not sight.canary.spec.suspend:
        return None
    return Ending(Exit.GONE, Reason.SUSPENDED, f"suspended{_left(sight.status)}; nothing is increased")


def _at_rest(aim: Awaited, sight: Sight) -> Ending | None:
    status = sight.status
    code = status.reason.exit_code
    if code in (Exit.LOCKED, Exit.INVALID, Exit.GONE):
        return Ending(code, status.reason, status.message)
    if _serves(sight.serving(aim.version), status):
        return _promoted(aim, status)
    return _failed(aim, status) if status.failed == aim.version else None


def _serves(wanted: Version, status: Status) -> bool:
    """Also if the build that serves was not judged: then it is one of the version that serves all traffic."""
    if status.phase not in (Phase.INITIALIZED, Phase.SUCCEEDED) or status.stable is None:
        return False
    if status.reason == Reason.UNANALYSED_REVISION:
        return status.stable.name == wanted.name
    return status.stable == wanted


def _promoted(aim: Awaited, status: Status) -> Ending:
    ended = aim.ended(status)
    if ended is not None and ended.outcome is Outcome.PROMOTED and status.reason != Reason.UNANALYSED_REVISION:
        sentence = f"{aim.version} was promoted: {ended.message}"
        return Ending(Exit.PROMOTED, Reason.PROMOTED, sentence, ended.outcome)
    code = status.reason.exit_code
    return Ending(Exit.PROMOTED if code is None else code, status.reason, status.message)


def _failed(aim: Awaited, status: Status) -> Ending | None:
    """Not before a retry that was asked for was taken."""
    ended = aim.ended(status)
    if ended is not None:
        sentence = f"{_FAILED[ended.outcome]}: {ended.message}"
        return Ending(BY_OUTCOME[ended.outcome], ended.outcome.reason, sentence, ended.outcome)
    if aim.after:
        return None
    return Ending(
        Exit.ROLLED_BACK, Reason.ALREADY_FAILED, f"{aim.version} was tried and failed; retry, or bring another"
    )


_FAILED = {outcome: "rolled back" for outcome in Outcome} | {Outcome.REJECTED: "rejected"}


def _left(status: Status) -> str:
    """Where traffic was seen last."""
    return f"; traffic was at {status.canary_weight}%" if status.rollout is not None else ""
