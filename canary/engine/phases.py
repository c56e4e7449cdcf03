"""The phases as tables: what each one needs to know, and how one leads to another.

The diagram in docs/phases.md is drawn from these tables. `decision_rules.py` decides which transition is taken.
"""

from collections.abc import Mapping
from enum import Flag, auto

from canary.api.status import Outcome, Phase, Rollout

from .gates import closed
from .next_traffic import is_promotion, last_analysed


class Need(Flag):
    """What a decision looks at, and no more is read."""

    NOTHING = 0
    DESIRED_VERSION = auto()
    """The desired version and revision."""
    ROUTE = auto()
    """Where traffic goes."""
    WORKLOADS = auto()
    """How many replicas can answer."""
    EVIDENCE = auto()
    """The judge's queries, when an evaluation is due; at the start, whether they are answered at all."""
    PRIMARY = auto()
    """What is there of the primary, for targets that have one."""
    ACTIONS = auto()
    """What people asked."""


IDLE = frozenset({Phase.INITIALIZING, Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED})
"""No rollout is running."""
ACTIVE = frozenset({Phase.WAITING, Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING})
"""A rollout is running, and nothing is decided about its end."""
ENDING = frozenset({Phase.FINALISING, Phase.TERMINATING})
"""The end is decided and saved; the route has yet to follow, and the old version to drain."""

_RESTING = Need.DESIRED_VERSION | Need.ROUTE | Need.ACTIONS
_RUNNING = Need.DESIRED_VERSION | Need.ROUTE | Need.WORKLOADS | Need.EVIDENCE | Need.ACTIONS

NEEDS: Mapping[Phase, Need] = {
    Phase.INITIALIZING: _RESTING,
    Phase.INITIALIZED: _RESTING,
    Phase.WAITING: _RUNNING,
    Phase.PROGRESSING: _RUNNING,
    Phase.WAITING_PROMOTION: _RUNNING,
    Phase.PROMOTING: _RUNNING,
    Phase.FINALISING: Need.ROUTE,
    Phase.SUCCEEDED: _RESTING,
    Phase.FAILED: _RESTING,
    Phase.TERMINATING: Need.ROUTE,
}

TRANSITIONS: Mapping[tuple[Phase, Phase], str] = {
    (Phase.INITIALIZING, Phase.INITIALIZED): "the desired version serves already",
    (Phase.INITIALIZING, Phase.WAITING): "another version is desired",
    (Phase.INITIALIZED, Phase.WAITING): "another version is desired",
    (Phase.SUCCEEDED, Phase.WAITING): "another version is desired",
    (Phase.FAILED, Phase.WAITING): "another version or revision is desired, or a retry",
    (Phase.FAILED, Phase.INITIALIZED): "the desired version serves already",
    (Phase.WAITING, Phase.PROGRESSING): "the canary is available, and metrics can be read",
    (Phase.WAITING, Phase.PROMOTING): "promoted at once, by a person or skipAnalysis",
    (Phase.PROGRESSING, Phase.WAITING_PROMOTION): "a gate of the last step is closed",
    (Phase.PROGRESSING, Phase.PROMOTING): "all steps passed, or a person promotes",
    (Phase.PROGRESSING, Phase.FINALISING): "rolled back, or the last step was at 100%",
    (Phase.WAITING_PROMOTION, Phase.PROGRESSING): "the last step is no longer complete",
    (Phase.WAITING_PROMOTION, Phase.PROMOTING): "the gate is open",
    (Phase.WAITING_PROMOTION, Phase.FINALISING): "rolled back, or the last step was at 100%",
    (Phase.WAITING, Phase.FINALISING): "rolled back",
    (Phase.PROMOTING, Phase.FINALISING): "everything goes to the canary, or rolled back",
    (Phase.FINALISING, Phase.SUCCEEDED): "promoted, or `version` was set back",
    (Phase.FINALISING, Phase.FAILED): "rolled back",
    (Phase.FINALISING, Phase.INITIALIZED): "superseded: the next rollout begins",
    (Phase.FINALISING, Phase.TERMINATING): "over, and deleted meanwhile",
    (Phase.INITIALIZING, Phase.TERMINATING): "deleted",
    (Phase.INITIALIZED, Phase.TERMINATING): "deleted",
    (Phase.SUCCEEDED, Phase.TERMINATING): "deleted",
    (Phase.FAILED, Phase.TERMINATING): "deleted",
    (Phase.WAITING, Phase.TERMINATING): "deleted",
    (Phase.PROGRESSING, Phase.TERMINATING): "deleted",
    (Phase.WAITING_PROMOTION, Phase.TERMINATING): "deleted",
    (Phase.PROMOTING, Phase.TERMINATING): "deleted",
}
"""(from, to) → when. Every phase may also stay."""

ENDS: Mapping[Outcome, Phase] = {
    Outcome.PROMOTED: Phase.SUCCEEDED,
    Outcome.RETURNED: Phase.SUCCEEDED,
    Outcome.ROLLED_BACK: Phase.FAILED,
    Outcome.REJECTED: Phase.FAILED,
    Outcome.SUPERSEDED: Phase.INITIALIZED,
    Outcome.DELETED: Phase.TERMINATING,
}
"""Where a rollout leaves its Canary once it is over."""


def phase_of(rollout: Rollout) -> Phase:
    """The phase of a running rollout; nothing else sets it."""
    if rollout.end is not None:
        return Phase.TERMINATING if rollout.end.outcome is Outcome.DELETED else Phase.FINALISING
    if rollout.step == 0:
        return Phase.WAITING
    if is_promotion(rollout.plan, rollout.step):
        return Phase.PROMOTING
    if any(not gate.asking for gate in closed(rollout)) and rollout.step == last_analysed(rollout.plan):
        return Phase.WAITING_PROMOTION
    return Phase.PROGRESSING
