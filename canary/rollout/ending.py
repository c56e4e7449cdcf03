"""How a run ends: the exit codes, and which decision leads to which. The table in docs/run.md is this one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from canary.api.status import Outcome, Status
from canary.engine.decide import Decision


class Exit(IntEnum):
    """Exit codes of `run`, `wait` and `start --wait`."""

    PROMOTED = 0
    """Promoted, or it serves everything already."""
    ERROR = 1
    """An internal error, or nothing could be read before the first write."""
    INVALID = 2
    """Wrong usage or an invalid manifest."""
    ROLLED_BACK = 3
    """Rolled back, or this revision failed before."""
    TIMED_OUT = 4
    """Not done in time."""
    NEEDS_APPROVAL = 5
    """Waits for approval, and was told not to."""
    REJECTED = 6
    """Rejected, rolled back or interrupted with rollback by a person; or this revision was rejected before."""
    SUPERSEDED = 7
    """Another version or revision took its place."""
    UNKNOWN = 8
    """The outcome can't be told."""
    GONE = 9
    """The target is deleted or suspended."""
    LOCKED = 10
    """Another run holds the target."""
    INTERRUPTED = 130
    """Interrupted; traffic stays where it is."""


BY_OUTCOME: Mapping[Outcome, Exit] = {
    Outcome.PROMOTED: Exit.PROMOTED,
    Outcome.ROLLED_BACK: Exit.ROLLED_BACK,
    Outcome.REJECTED: Exit.REJECTED,
    Outcome.SUPERSEDED: Exit.SUPERSEDED,
    Outcome.RETURNED: Exit.SUPERSEDED,
    Outcome.DELETED: Exit.GONE,
}
"""When a rollout has closed."""

AT_REST: Mapping[str, Exit] = {
    "AlreadyServing": Exit.PROMOTED,
    "UnanalysedRevision": Exit.PROMOTED,
    "AlreadyFailed": Exit.ROLLED_BACK,
    "RolledBack": Exit.ROLLED_BACK,
    "Rejected": Exit.REJECTED,
    "InvalidSpec": Exit.INVALID,
    "StableUnknown": Exit.INVALID,
    "StableIsWanted": Exit.INVALID,
    "NothingServes": Exit.INVALID,
    "Suspended": Exit.GONE,
    "Deleted": Exit.GONE,
}
"""By reason, where no rollout begins."""


@dataclass(frozen=True)
class Ending:
    """Why a run ends, for its last line."""

    code: Exit
    reason: str
    sentence: str


def ending(decision: Decision) -> Ending | None:
    """How the run ends with this decision; None while it goes on."""
    if decision.closed:
        code = BY_OUTCOME[decision.status.history[0].outcome]
        return Ending(code, decision.reason, decision.sentence)
    if decision.status.rollout is not None or decision.reason not in AT_REST:
        return None
    failed = AT_REST[decision.reason] is Exit.ROLLED_BACK
    code = failed_with(decision.status) if failed else AT_REST[decision.reason]
    return Ending(code, decision.reason, decision.sentence)


def failed_with(status: Status) -> Exit:
    """The code of the rollout in which what failed has failed: whoever asks later is told as whoever had waited."""
    ended = next((one.outcome for one in status.history if one.canary == status.failed), Outcome.ROLLED_BACK)
    return BY_OUTCOME[ended]
