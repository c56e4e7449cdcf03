"""CanaryAction: what a person asks of a rollout, as the engine has it and as a Kubernetes object (`ActionResource`).

Created once, never changed; status records the ids taken.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from .canary import API_VERSION, Metadata
from .model import Model
from .names import ObjectName


class Verb(StrEnum):
    """The action."""

    APPROVE = "approve"
    REJECT = "reject"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    SKIP = "skip"
    ROLLBACK = "rollback"
    RETRY = "retry"

    @property
    def words(self) -> str:
        """As a sentence has it: `roll back`."""
        return "roll back" if self is Verb.ROLLBACK else self.value


class CanaryAction(Model):
    """One action of a user, for the revision and the step that the user saw."""

    id: str
    """Unique id; the status records it when the action was processed."""
    target: str
    """Name of the Canary."""
    verb: Verb
    """The action."""
    rollout: int | None = None
    """Number of the rollout; default: any."""
    version: str | None = None
    """Version of the canary; default: any."""
    revision: str | None = None
    """Revision of the canary; default: any."""
    step: int | None = None
    """Number of the step; default: any."""
    author: str = ""
    """Name of the author."""
    verified: bool = False
    """Whether the author was verified."""
    comment: str = ""
    """The reason."""
    alert: str = ""
    """Name of the alert that asks; empty for a person."""
    at: datetime
    """Time of creation."""


class ActionSpec(Model):
    """The action. It never changes."""

    canary: ObjectName
    """Name of the Canary, in the same namespace."""
    verb: Verb
    """The action."""
    rollout: Annotated[int, Field(ge=0)] | None = None
    """Number of the rollout (`status.rollout.number`); default: any."""
    version: str | None = None
    """Version of the canary; default: any."""
    revision: str | None = None
    """Revision of the canary; default: any."""
    step: Annotated[int, Field(ge=0)] | None = None
    """Number of the step (`status.rollout.step`); default: any."""
    author: Annotated[str, Field(max_length=1024)] = ""
    """Name of the author, as the API server knows it."""
    comment: Annotated[str, Field(max_length=300)] = ""
    """The reason."""
    alert: Annotated[str, Field(max_length=300)] = ""
    """Name of the alert that asks for a rollback; the controller writes it for an alert that was reported to it."""


class ActionResource(Model):
    """An action of a user for a Canary, such as an approval."""

    api_version: str = API_VERSION
    """`canary-controller.dev/v1beta1`."""
    kind: Literal["CanaryAction"] = "CanaryAction"
    """`CanaryAction`."""
    metadata: Metadata
    """Name (or `generateName`) and namespace."""
    spec: ActionSpec
    """The action and its author."""

    def action(self, verified: bool) -> CanaryAction:
        """What the engine reads. `verified`: the API server made sure that the author is who created the object.

        ValueError for an object that no API server has kept: only that gives it an identity and a time.
        """
        created = self.metadata.creation_timestamp
        if not self.metadata.uid or created is None:
            raise ValueError(f"the CanaryAction {self.metadata.name} has no uid or no creationTimestamp")
        asked = self.spec.model_dump(exclude={"canary"})
        return CanaryAction(
            id=self.metadata.uid,
            target=self.spec.canary,
            at=created,
            verified=verified and bool(self.spec.author),
            **asked,
        )
