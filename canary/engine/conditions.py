"""Status conditions in the form that kstatus, Argo CD and Flux read, and Flagger's `Promoted`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from canary.api.reason import Reason, Trait
from canary.api.status import Condition, Phase, Status

from .outcome import Finding, Hold
from .phases import ACTIVE, ENDING

Truth = Literal["True", "False", "Unknown"]
Type = Literal["Ready", "Reconciling", "Stalled", "Promoted", "TrafficDrift"]


def conditions(status: Status, finding: Finding, before: Sequence[Condition], now: datetime) -> tuple[Condition, ...]:
    """All conditions after a decision; `lastTransitionTime` moves only where the truth changed."""
    stalled = is_stalled(finding)
    drift = finding.reason == Reason.TRAFFIC_DRIFT
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
    if finding.reason == Reason.UNANALYSED_REVISION:
        return "Unknown"
    if phase is Phase.FAILED or finding.reason == Reason.ALREADY_FAILED:
        return "False"
    return "True" if serves(phase, finding) else "Unknown"


def serves(phase: Phase, finding: Finding) -> bool:
    """The desired version serves all traffic, as far as is known; an earlier success doesn't count."""
    unsure = isinstance(finding.outcome, Hold) and (finding.outcome.stalled or finding.outcome.unsure)
    return (
        phase in (Phase.INITIALIZED, Phase.SUCCEEDED) and Trait.UNSERVED not in finding.reason.traits and not unsure
    )


def is_stalled(finding: Finding) -> bool:
    """Nothing changes until a user acts."""
    return isinstance(finding.outcome, Hold) and finding.outcome.stalled


_NONE = Condition(
    type="Ready", status="Unknown", reason=Reason.UNDECIDED, last_transition_time=datetime(1970, 1, 1, tzinfo=UTC)
)


def _condition(
    kind: Type, truth: Truth, finding: Finding, status: Status, before: Condition | None, now: datetime
) -> Condition:
    said = (truth, finding.reason, finding.sentence, status.observed_generation)
    if before is not None and (before.status, before.reason, before.message, before.observed_generation) == said:
        return before
    since = before.last_transition_time if before is not None and before.status == truth else now
    return (before or _NONE).but(  # the values are typed already: not validated again
        type=kind,
        status=truth,
        reason=finding.reason,
        message=finding.sentence,
        observed_generation=status.observed_generation,
        last_transition_time=since,
    )


def _truth(value: bool) -> Truth:
    return "True" if value else "False"
