"""What looks leave in the status: a judge's memory, and the last look for people to see."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from .analysis import Range
from .model import Model


class Evidence(Model):
    """What a judge remembers between looks: opaque to all others, versioned by the judge."""

    judge: str
    """Who wrote it."""
    version: int
    """The judge's own format number."""
    data: dict[str, Any] = Field(default_factory=dict)
    """The judge's."""
    up_to: datetime | None = None
    """Time of the last look that is in it."""


class CheckResult(Model):
    """What one metric said in the last look, for people to see."""

    metric: str
    """Name of the metric."""
    result: Literal["passed", "failed", "missing"]
    """`missing` is neither a pass nor a failure."""
    canary: float | None = None
    """Value of the canary."""
    stable: float | None = None
    """Value of the stable version, where it was read."""
    range: Range = Range()
    """What passes."""
    detail: str = ""
    """Why the value is missing, or what is not in it."""


class LookResult(Model):
    """The last look, for people to see and for the ticks until the next one."""

    at: datetime
    """Its nominal time."""
    verdict: Literal["pass", "hold", "roll back"]
    """The judge's."""
    reason: str
    """PascalCase, stable."""
    message: str
    """The judge's sentence."""
    checks: tuple[CheckResult, ...] = ()
    """One for each metric."""
