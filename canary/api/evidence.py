"""What evaluations store in the status: the judge's evidence, and the last evaluation for users."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from .analysis import Range
from .duration import Duration
from .model import Model
from .reason import Reason


class Evidence(Model):
    """What a judge remembers between evaluations: opaque to all others, versioned by the judge."""

    judge: str
    """Who wrote it."""
    version: int
    """The judge's own format number."""
    data: dict[str, Any] = Field(default_factory=dict)
    """The judge's."""
    up_to: datetime | None = None
    """Time of the last evaluation that is in it."""


class ValueBounds(Model):
    """What a value lies between, as far as the requests so far tell."""

    low: float
    """In the unit of the value."""
    high: float
    """As `low`."""


class CheckResult(Model):
    """What one metric said in the last evaluation, for people to see."""

    metric: str
    """Name of the metric."""
    result: Literal["passed", "failed", "missing"]
    """`missing` is neither a pass nor a failure."""
    canary: float | None = None
    """Value of the canary."""
    stable: float | None = None
    """Value of the stable version, where it was read."""
    canary_bounds: ValueBounds | None = None
    """Of the canary's value, from a judge that knows them."""
    stable_bounds: ValueBounds | None = None
    """Of stable's value."""
    range: Range = Range()
    """The range that passes."""
    detail: str = ""
    """Why the value is missing, or what is not in it."""
    dry_run: bool | None = None
    """Whether it is only shown, and counts for nothing."""


class Weighing(Model):
    """The evidence of a judge that weighs it, for people to see."""

    evidence: float
    """How much more likely a worse canary makes what was seen than one as good as stable; 1 is none."""
    bar: float
    """Evidence that rolls back."""
    requests: int
    """To the canary in this step, of the metric that needs the most."""
    needed: int | None = None
    """About how many of them end the step if no more of them fail; absent where no number does."""
    remaining: Duration | None = None
    """How long until then at the present traffic; absent if there is none."""


class EvaluationResult(Model):
    """The last evaluation, for people to see and for the reconciles until the next one."""

    at: datetime
    """Its nominal time."""
    verdict: Literal["pass", "hold", "roll back"]
    """The judge's."""
    reason: Reason
    """PascalCase, stable."""
    message: str
    """The judge's sentence."""
    checks: tuple[CheckResult, ...] = ()
    """One for each metric."""
    weighing: Weighing | None = None
    """From a judge that weighs evidence."""
