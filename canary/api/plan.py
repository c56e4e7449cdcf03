"""Traffic states and the steps between them: what `analysis.steps` is written in and what status pins.

`engine/strategies.py` turns every front end into a `Plan`; `engine/plan.py` says what comes next in one.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .duration import Duration
from .model import Model

Percent = Annotated[int, Field(ge=0, le=100)]
Text = Annotated[str, Field(max_length=1024)]
"""What is compared with requests; the bound lets the API server reckon what its own checks cost."""


class Answer(StrEnum):
    """What to do when a wait has lasted too long."""

    HOLD = "hold"
    ROLLBACK = "rollback"
    PROMOTE = "promote"


class StringMatch(Model):
    """How a header or query parameter is compared; exactly one of the three, as in Istio's StringMatch."""

    exact: Text | None = None
    """The whole value."""
    prefix: Text | None = None
    """The beginning of the value."""
    regex: Text | None = None
    """An RE2 expression that matches the whole value."""


class Match(Model):
    """Which requests go to the canary whatever the weight: all of the conditions of one entry hold."""

    headers: dict[str, StringMatch] = Field(default_factory=dict, max_length=20)
    """By header name in lower case; cookies are matched through the header `cookie`."""
    query_params: dict[str, StringMatch] = Field(default_factory=dict, max_length=20)
    """By query parameter."""
    source_labels: dict[str, str] = Field(default_factory=dict)
    """Only requests from pods with these labels (Istio)."""


Matches = Annotated[tuple[Match, ...], Field(max_length=20)]


class Traffic(Model):
    """A complete traffic state: all that the routes say of the canary, never a difference to another state."""

    weight: Percent = 0
    """Share of the pair's requests that the canary serves, in per cent."""
    mirror: Percent = 0
    """Share of requests that is copied to the canary, its answers thrown away, in per cent."""
    match: Matches = ()
    """Requests that match any of these go to the canary whatever the weight."""


class ApprovalGate(Model):
    """A gate that people open with `canary approve`."""

    count: Annotated[int, Field(ge=1)] = 1
    """How many different people must approve."""


class Gate(Model):
    """Asked when all else allows to leave a step; it never holds a rollback."""

    name: Annotated[str, Field(max_length=63)] = ""
    """What status and messages call it; `approval` unless given."""
    approval: ApprovalGate | None = None
    """Opened by people."""
    timeout: Duration | None = None
    """How long the gate may stay closed; `analysis.deadline` unless given."""
    on_timeout: Answer = Answer.ROLLBACK
    """What follows then: `rollback`, `promote` (the gate counts as open) or `hold` (wait without end)."""


class Step(Model):
    """One step: a complete traffic state, and what it takes to leave it."""

    traffic: Traffic = Traffic()
    """The traffic while the step lasts."""
    hold: Duration = timedelta()
    """How long the traffic must have been in place."""
    looks: Annotated[int, Field(ge=0)] = 1
    """How many looks must have passed."""
    gates: tuple[Gate, ...] = ()
    """All must be open to leave the step."""


class Plan(Model):
    """The whole way up: step 0 is the start at weight 0, `promotion` is what follows the last analysed step."""

    steps: tuple[Step, ...]
    """The start and the analysed steps, in order."""
    promotion: tuple[Step, ...] = ()
    """From the last analysed step to 100%, held but not gated."""
