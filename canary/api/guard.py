"""Guards: conditions of the user's own that a raise must meet. `engine/guards.py` asks them."""

from typing import Annotated

from pydantic import Field

from .model import Model

Expression = Annotated[str, Field(min_length=1, max_length=2048)]


class Guard(Model):
    """A condition that holds every raise until it is true; it never holds a rollback."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """What status and messages call it."""
    expression: Expression
    """CEL over `now`, `canary`, `step` and `rollout` that says whether traffic may rise; at most 2048 characters."""
    message: Annotated[str, Field(max_length=256)] = ""
    """What people are told while it holds; made from the name unless given."""


Guards = Annotated[tuple[Guard, ...], Field(max_length=16)]
"""As many as one Canary or one policy may have."""
