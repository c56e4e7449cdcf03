"""CanaryAction as a Kubernetes object, which people create; `action.py` has what the engine makes of it."""

from typing import Annotated, Literal

from pydantic import Field

from .action import CanaryAction, Verb
from .canary import API_VERSION, Metadata
from .model import Model


class ActionSpec(Model):
    """What is asked; it never changes."""

    canary: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the Canary, in the same namespace."""
    verb: Verb
    """What is asked."""
    rollout: Annotated[int, Field(ge=0)] | None = None
    """Number of the rollout that it is for (`status.rollout.number`); any unless given."""
    version: str | None = None
    """Canary version that it is for; any unless given."""
    revision: str | None = None
    """Canary revision that it is for; any unless given."""
    step: Annotated[int, Field(ge=0)] | None = None
    """Step that it is for (`status.rollout.step`); any unless given."""
    author: Annotated[str, Field(max_length=1024)] = ""
    """Who asks, as the API server knows them."""
    comment: Annotated[str, Field(max_length=300)] = ""
    """Why; as long as what is kept of it."""


class ActionResource(Model):
    """A person's request to a Canary, such as an approval."""

    api_version: str = API_VERSION
    """`canary-controller.dev/v1beta1`."""
    kind: Literal["CanaryAction"] = "CanaryAction"
    """`CanaryAction`."""
    metadata: Metadata
    """Name and namespace; `generateName` will do."""
    spec: ActionSpec
    """What is asked, and by whom."""

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
