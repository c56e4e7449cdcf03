"""Webhooks: how they are written, and what a rollout keeps of its calls; `engine/hooks.py` says when each is due."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from .duration import Duration
from .model import Model
from .names import HOOK_URL, ObjectName

Texts = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=50)]
Url = Annotated[str, Field(max_length=2048, json_schema_extra={"pattern": HOOK_URL})]
"""Lint's check of webhooks explains it."""


class HookType(StrEnum):
    """Flagger's types, and what each does here."""

    CONFIRM_ROLLOUT = "confirm-rollout"
    """Gate of the start."""
    PRE_ROLLOUT = "pre-rollout"
    """Check before the first increase."""
    ROLLOUT = "rollout"
    """Check in each evaluation."""
    CONFIRM_TRAFFIC_INCREASE = "confirm-traffic-increase"
    """Gate of each step."""
    CONFIRM_PROMOTION = "confirm-promotion"
    """Gate of the last step."""
    POST_ROLLOUT = "post-rollout"
    """Notification of the end."""
    ROLLBACK = "rollback"
    """Request to roll back."""
    EVENT = "event"
    """Notification of each message."""


NOTIFY = frozenset({HookType.POST_ROLLOUT, HookType.EVENT})
"""Types that change nothing in a rollout."""


class HookSecret(Model):
    """A Secret with credentials for a webhook, in the namespace of the Canary."""

    name: ObjectName
    """Its name. Keys: `token`, or `username` and `password`; `hmacKey`; `ca.crt`; `tls.crt` and `tls.key`."""


class HookRequest(Model):
    """How a webhook is called."""

    url: Url
    """URL to which the payload is posted."""
    timeout: Duration | None = None
    """Time limit of a request; default 10s."""
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    """Number of retries after connection errors, 429 and 5xx."""
    disable_tls: bool = Field(default=False, alias="disableTLS")
    """Skip the verification of the server's certificate."""
    metadata: Texts = Field(default_factory=dict)
    """Data that is sent with the payload."""
    secret_ref: HookSecret | None = None
    """Credentials for the request: a token, a password, a key for signatures, certificates."""


class Webhook(HookRequest):
    """A hook, with Flagger's fields."""

    type: str = "rollout"
    """When it is called, and what its answer decides: `confirm-rollout`, `pre-rollout`, `rollout`,
    `confirm-traffic-increase`, `confirm-promotion`, `rollback`, `post-rollout` or `event`."""
    name: str
    """Its name in messages."""
    mute_alert: bool = False
    """Send no alert while the gate of this hook is closed."""


class HookRun(Model):
    """The calls of one hook in a rollout: whether one is under way, and the last answer."""

    key: str
    """What tells the hooks of a rollout apart."""
    name: str
    """Type and name of the hook."""
    asked: datetime | None = None
    """Start of the latest call; absent while none is wanted."""
    result: Literal["", "passed", "failed"] = ""
    """The last answer; empty before the first one."""
    detail: str = ""
    """The status code, or why there was none."""
    at: datetime | None = None
    """Time of the last answer; before `asked` while a call is under way."""

    @property
    def pending(self) -> bool:
        """Whether a call is under way."""
        return self.asked is not None and (self.at is None or self.at < self.asked)

    @property
    def answered(self) -> bool:
        """Whether the latest call was answered, and its answer is still to be used."""
        return self.asked is not None and not self.pending

    @property
    def passed(self) -> bool:
        """Whether it was answered with a yes."""
        return self.answered and self.result == "passed"
