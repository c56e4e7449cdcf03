"""CanaryAction: what a person asks of a rollout. Created once, never changed; status records the ids taken."""

from datetime import datetime
from enum import StrEnum

from .model import Model


class Verb(StrEnum):
    """What is asked."""

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
    """One request of a person, for the revision and the step that the person saw."""

    id: str
    """Unique; status records it once the action was taken."""
    target: str
    """Name of the Canary."""
    verb: Verb
    """What is asked."""
    rollout: int | None = None
    """Number of the rollout that it is for; any unless given."""
    version: str | None = None
    """Canary version that it is for; any unless given."""
    revision: str | None = None
    """Canary revision that it is for; any unless given."""
    step: int | None = None
    """Step that it is for; any unless given."""
    author: str = ""
    """Who asks."""
    verified: bool = False
    """Whether something other than the author says so."""
    comment: str = ""
    """Why."""
    at: datetime
    """When it was asked."""
