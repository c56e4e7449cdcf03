"""What a judge is. Each is one file beside this one and one line in `JUDGES` (`judges/__init__.py`).

A judge says what it wants to know (`asks`) and folds the answers of one look into its evidence (`fold`).
Its evidence is opaque to all others; the rules see the verdict, status and people see the reason and the checks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from canary.api.evidence import CheckResult, Evidence
from canary.api.pinned import Policy
from canary.engine.observed import Query, Sample, Subject


class Verdict(StrEnum):
    """What a look amounts to."""

    PASS = "pass"
    HOLD = "hold"
    """Neither for nor against: more evidence is needed."""
    ROLL_BACK = "roll back"


@dataclass(frozen=True)
class Standing:
    """Where the rollout stands when a look is taken."""

    at: datetime
    """The look's nominal time, less the lag: windows end here."""
    since: datetime | None
    """When this step's traffic had settled; None before that. Windows are cut here."""
    step: int
    steps: int
    weight: int
    exposed: bool
    """Whether any request is meant to meet the canary."""
    paused: bool
    stable: Subject
    canary: Subject
    began: datetime | None = None
    """When the rollout began: what was seen before is about another one."""
    names: tuple[tuple[str, str], ...] = ()
    """What a template's functions stand for, except `interval`."""


@dataclass(frozen=True)
class Ruling:
    """What a look led to."""

    verdict: Verdict
    evidence: Evidence
    reason: str
    """PascalCase, stable."""
    sentence: str
    """For a person, without subject or full stop: "request-success-rate 97.1% is below 99%"."""
    checks: tuple[CheckResult, ...] = ()
    failed_checks: int = 0
    """Failed checks of the whole rollout so far; 0 for a judge that doesn't count so."""


class Judge(Protocol):
    """Decides on evidence; pure."""

    def asks(self, policy: Policy, evidence: Evidence | None, standing: Standing) -> Sequence[Query]:
        """What this look needs to know."""

    def fold(
        self, policy: Policy, evidence: Evidence | None, look: Mapping[Query, Sample], standing: Standing
    ) -> Ruling:
        """The ruling after this look. Evidence of another judge or format counts as none."""
