"""Whether the clock was set back: who waits for a time of day would wait that much longer. For one thread."""

import time
from collections.abc import Callable

LEAST = 1.0
"""Seconds; less is how clocks are kept right."""


class Leaps:
    """Compares the clock with one that nobody sets. Forward is no leap here: what is late is called at once."""

    def __init__(self, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steady = steady
        self._ahead = clock() - steady()

    def back(self) -> bool:
        """Whether it was set back since the last call."""
        before, self._ahead = self._ahead, self._clock() - self._steady()
        return before - self._ahead >= LEAST
