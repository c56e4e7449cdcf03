"""What commands show of the revisions that a primary has had, and whose pod templates are kept."""

from datetime import datetime

from .model import Model


class PromotedRevision(Model):
    """A revision that a primary has had; `canary rollback --to` goes back to it."""

    number: int
    """Its number, in the order of the promotions."""
    revision: str
    """Its name in status and messages."""
    images: tuple[str, ...] = ()
    """The images of its containers."""
    promoted: datetime | None = None
    """When it was first copied to the primary."""
    serving: bool = False
    """Whether the primary has it now."""
