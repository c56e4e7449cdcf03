"""Traffic states and the steps between them: what `analysis.steps` is written in and what status pins.

`engine/strategies.py` turns every front end into a `Plan`; `engine/next_traffic.py` says what comes next in one.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .duration import Duration
from .model import Model
from .webhooks import HookRequest

Percent = Annotated[int, Field(ge=0, le=100)]
Text = Annotated[str, Field(max_length=1024)]
"""What is compared with requests; the bound lets the API server reckon what its own checks cost."""


Suffix = Annotated[str, Field(max_length=500)]
"""Routers match it as a regular expression, where each character may take two."""


class Answer(StrEnum):
    """What to do if a wait has lasted too long."""

    HOLD = "hold"
    ROLLBACK = "rollback"
    PROMOTE = "promote"


class Patience(Model):
    """How long to tolerate something, and what follows."""

    after: Duration | None = None
    """How long; default: the larger of 15m and 3 × interval, for `onInconclusive` 1h."""
    then: Answer = Answer.ROLLBACK
    """What follows: `rollback` (default), `hold` (until `analysis.deadline`) or `promote` (such evaluations pass)."""


class StringMatch(Model):
    """A condition for a header or query parameter; exactly one of these fields."""

    exact: Text | None = None
    """The whole value."""
    prefix: Text | None = None
    """The beginning of the value."""
    suffix: Suffix | None = None
    """The end of the value."""
    regex: Text | None = None
    """An RE2 expression that matches the whole value."""


class Match(Model):
    """Requests that go to the canary with any weight. All conditions of one entry must hold."""

    headers: dict[str, StringMatch] = Field(default_factory=dict, max_length=20)
    """By header name in lower case; cookies are matched through the header `cookie`."""
    query_params: dict[str, StringMatch] = Field(default_factory=dict, max_length=20)
    """By query parameter."""
    source_labels: dict[str, str] = Field(default_factory=dict)
    """Only requests from pods with these labels (Istio)."""


Matches = Annotated[tuple[Match, ...], Field(max_length=20)]


class Cookie(Model):
    """A cookie that a route sets."""

    name: str
    """Its name."""
    value: str = ""
    """Its value, another one in each rollout."""
    attributes: str = ""
    """All that follows the value in a Set-Cookie header."""

    def __str__(self) -> str:
        return f"{self.name}={self.value}" + (f"; {self.attributes}" if self.attributes else "")


class Affinity(Model):
    """Cookies that keep users on the version that they met."""

    canary: Cookie
    """The cookie of users who met the canary."""
    primary: Cookie | None = None
    """The cookie of users who met the stable version."""


class Traffic(Model):
    """A complete traffic state of the canary, never a difference to another state."""

    weight: Percent = 0
    """The canary's share of the requests to canary and stable, in per cent."""
    mirror: Percent = 0
    """Share of requests that is copied to the canary, in per cent; its answers are discarded."""
    match: Matches = ()
    """Requests that match any of these go to the canary with any weight."""
    match_weight: Percent | None = None
    """The canary's share of the requests that match, in per cent; None for all of them."""
    affinity: Affinity | None = None
    """Users whom the weight has sent to a version stay there."""


class ApprovalGate(Model):
    """A gate that people open with `canary approve`."""

    count: Annotated[int, Field(ge=1)] = 1
    """How many different people must approve."""


class WebhookGate(HookRequest):
    """A gate that a webhook opens with 200, 201 or 202."""


class OpaGate(HookRequest):
    """A gate that a rule of an Open Policy Agent opens with `true`, or with an object whose `allow` is true."""


class Gate(Model):
    """Something that a step waits for when it is otherwise complete. It never blocks a rollback."""

    name: Annotated[str, Field(max_length=63)] = ""
    """Its name in status and messages; default `approval`."""
    approval: ApprovalGate | None = None
    """A gate that users open."""
    webhook: WebhookGate | None = None
    """A gate that a webhook opens; it is called again after each interval."""
    opa: OpaGate | None = None
    """A gate that a policy opens: `url` is that of a rule in the data API; the payload of webhooks is its `input`."""
    timeout: Duration | None = None
    """How long the gate may stay closed; default `analysis.deadline`."""
    on_timeout: Answer = Answer.ROLLBACK
    """What follows then: `rollback`, `promote` (the gate counts as open) or `hold` (no time limit)."""

    @property
    def called(self) -> str:
        """Its name in status and messages."""
        return self.name or "approval"

    @property
    def needed(self) -> int:
        """Approvals that open it."""
        if self.request is not None:
            return 0
        return self.approval.count if self.approval else 1

    @property
    def request(self) -> HookRequest | None:
        """The call that opens it; None for approvals."""
        return self.webhook or self.opa


class Step(Model):
    """One step: a complete traffic state, and the conditions to end it."""

    traffic: Traffic = Traffic()
    """The traffic while the step lasts."""
    hold: Duration = timedelta()
    """How long the traffic must have been in place."""
    iterations: Annotated[int, Field(ge=0)] = 1
    """How many evaluations must have passed."""
    gates: tuple[Gate, ...] = ()
    """All must be open to end the step."""
    copies: bool | None = None
    """The analysed template is copied to the primary, and the step lasts until the primary is ready."""


class Plan(Model):
    """All steps of a rollout: step 0 is the start at weight 0, `promotion` follows the last analysed step."""

    steps: tuple[Step, ...]
    """The start and the analysed steps, in order."""
    promotion: tuple[Step, ...] = ()
    """Steps from the last analysed step to 100%, with hold times but without gates."""
