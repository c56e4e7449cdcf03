"""Status conditions in the form that kstatus, Argo CD and Flux read, and Flagger's `Promoted`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from canary.api.status import Condition, Phase, Status

from .outcome import Finding, Hold
from .phases import ACTIVE, ENDING

WANTING = frozenset({"Suspended", "Superseded"})
"""Reasons to be at rest while something else is wanted than what serves."""
Truth = Literal["True", "False", "Unknown"]
Type = Literal["Ready", "Reconciling", "Stalled", "Promoted", "TrafficDrift"]


def conditions(status: Status, finding: Finding, before: Sequence[Condition], now: datetime) -> tuple[Condition, ...]:
    """All conditions after a decision; `lastTransitionTime` moves only where the truth changed."""
    stalled = is_stalled(finding)
    drift = finding.reason == "TrafficDrift"
    moving = status.phase in ACTIVE | ENDING and not stalled
    rows: list[tuple[Type, Truth]] = [
        ("Ready", _truth(serves(status.phase, finding))),
        ("Reconciling", _truth(moving)),
        ("Stalled", _truth(stalled or status.phase is Phase.FAILED)),
        ("Promoted", promoted(status.phase, finding)),
    ]
    if drift or any(one.type == "TrafficDrift" for one in before):
        rows.append(("TrafficDrift", _truth(drift)))
    known = {one.type: one for one in before}
    return tuple(_condition(kind, truth, finding, status, known.get(kind), now) for kind, truth in rows)


def promoted(phase: Phase, finding: Finding) -> Truth:
    """Flagger's: True at rest after success, False after failure, Unknown meanwhile."""
    if finding.reason == "UnanalysedRevision":
        return "Unknown"
    if phase is Phase.FAILED or finding.reason == "AlreadyFailed":
        return "False"
    return "True" if serves(phase, finding) else "Unknown"


def serves(phase: Phase, finding: Finding) -> bool:
    """What is wanted serves everything, as far as is known; an earlier success is no answer to a new wish."""
    unsure = isinstance(finding.outcome, Hold) and (finding.outcome.stalled or finding.outcome.unsure)
    return phase in (Phase.INITIALIZED, Phase.SUCCEEDED) and finding.reason not in WANTING and not unsure


def is_stalled(finding: Finding) -> bool:
    """Nothing will change until somebody acts."""
    return isinstance(finding.outcome, Hold) and finding.outcome.stalled


def _condition(
    kind: Type, truth: Truth, finding: Finding, status: Status, before: Condition | None, now: datetime
) -> Condition:
    since = before.last_transition_time if before is not None and before.status == truth else now
    return Condition(
        type=kind,
        status=truth,
        reason=finding.reason,
        message=finding.sentence,
        observed_generation=status.observed_generation,
        last_transition_time=since,
    )


def _truth(value: bool) -> Truth:
    return "True" if value else "False"
