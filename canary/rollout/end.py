"""How a run ends: which decision leads to which exit code. The codes are in `api/exit_codes.py`; where no rollout
begins, the reason has one (`api/reason.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.api.status import Outcome, Status
from canary.engine.decide import Decision

BY_OUTCOME: Mapping[Outcome, Exit] = {
    Outcome.PROMOTED: Exit.PROMOTED,
    Outcome.ROLLED_BACK: Exit.ROLLED_BACK,
    Outcome.REJECTED: Exit.REJECTED,
    Outcome.SUPERSEDED: Exit.SUPERSEDED,
    Outcome.RETURNED: Exit.SUPERSEDED,
    Outcome.DELETED: Exit.GONE,
}
"""When a rollout has closed."""


@dataclass(frozen=True)
class Ending:
    """Why a run ends, for its last line."""

    code: Exit
    reason: Reason
    sentence: str
    outcome: Outcome | None = None
    """How the rollout ended that the sentence speaks of, if it was over before the command began."""

    def allowing(self, unanalysed: bool) -> "Ending":
        """Success, if a build may serve that was not judged."""
        return replace(self, code=Exit.PROMOTED) if unanalysed and self.code is Exit.UNANALYSED else self


def ending(decision: Decision) -> Ending | None:
    """How the run ends with this decision; None while it goes on."""
    if decision.closed:
        return Ending(BY_OUTCOME[decision.status.history[0].outcome], decision.reason, decision.sentence)
    code = decision.reason.exit_code
    if decision.status.rollout is not None or code is None:
        return None
    code = failed_with(decision.status) if code is Exit.ROLLED_BACK else code
    return Ending(code, decision.reason, decision.sentence)


def failed_with(status: Status) -> Exit:
    """The code of the rollout that failed: a later command gets the same code as one that waited."""
    ended = next((one.outcome for one in status.history if one.canary == status.failed), Outcome.ROLLED_BACK)
    return BY_OUTCOME[ended]
