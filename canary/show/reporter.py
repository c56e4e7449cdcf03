"""What the three outputs of a run have in common; `lines.py`, `records.py` and `live.py` are the three."""

from typing import Protocol

from canary.rollout.ending import Ending
from canary.rollout.tick import Turn


class Reporter(Protocol):
    """Sees each turn of a run, and how it ended."""

    def __call__(self, turn: Turn) -> None:
        """Shows what is new in this turn."""

    def close(self, ending: Ending) -> None:
        """Shows how the run ended; nothing is shown after it."""
