"""What a judge is. Each is one file beside this one and one line in `JUDGES` (`judges/__init__.py`).

A judge returns its queries (`asks`) and adds the answers of one evaluation to its evidence (`fold`).
Its evidence is opaque to all others; the rules see the verdict, status and people see the reason and the checks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from canary.api.evidence import CheckResult, Evidence, Weighing
from canary.api.pinned import Policy
from canary.api.reason import Reason
from canary.engine.observed import Query, Sample, Subject

REQUESTS = "requests"
"""The builtin that counts a subject's requests."""


class Verdict(StrEnum):
    """What an evaluation amounts to."""

    PASS = "pass"
    HOLD = "hold"
    """Neither for nor against: more evidence is needed."""
    ROLL_BACK = "roll back"


@dataclass(frozen=True)
class Standing:
    """Where the rollout stands when an evaluation is taken."""

    at: datetime
    """The evaluation's nominal time, less the lag: windows end here."""
    since: datetime | None
    """When this step's traffic had settled; None before that. Windows are cut here."""
    step: int
    steps: int
    weight: int
    exposed: bool
    """Whether the desired traffic sends requests to the canary."""
    paused: bool
    stable: Subject
    canary: Subject
    began: datetime | None = None
    """When the rollout began: what was seen before is about another one."""
    hooks: tuple[CheckResult, ...] = ()
    """The answers of hooks; one that is awaited is missing."""
    failed_before: int = 0
    """Failed checks before the first evaluation."""
    names: tuple[tuple[str, str], ...] = ()
    """What a template's functions stand for, except `interval`."""


@dataclass(frozen=True)
class Ruling:
    """What an evaluation led to."""

    verdict: Verdict
    evidence: Evidence
    reason: Reason
    sentence: str
    """For a person, without subject or full stop: "request-success-rate 97.1% is below 99%"."""
    checks: tuple[CheckResult, ...] = ()
    failed_checks: int = 0
    """Failed checks of the whole rollout so far; 0 for a judge that doesn't count so."""
    weighing: Weighing | None = None
    """Of a judge that weighs evidence."""


class Judge(Protocol):
    """Decides on evidence; pure."""

    def asks(self, policy: Policy, evidence: Evidence | None, standing: Standing) -> Sequence[Query]:
        """What this evaluation needs to know."""

    def fold(
        self, policy: Policy, evidence: Evidence | None, evaluation: Mapping[Query, Sample], standing: Standing
    ) -> Ruling:
        """The ruling after this evaluation. Evidence of another judge or format counts as none."""
