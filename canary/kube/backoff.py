"""How long to wait before the next try: twice as long each time, with jitter, and never longer than a limit."""

import random
from dataclasses import dataclass


@dataclass
class Backoff:
    """In seconds."""

    first: float = 0.5
    longest: float = 30.0
    failures: int = 0

    def next(self, least: float = 0.0) -> float:
        """After another failure: between half and all of what is due, so that many don't come back at once.

        `least` is what the server asked for.
        """
        due = min(self.first * 2.0**self.failures, self.longest)
        self.failures = min(self.failures + 1, 30)
        return least + due * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """After a success."""
        self.failures = 0
