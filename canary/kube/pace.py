"""How fast one client may ask: so many requests a second, and who is first in line. Shared by its threads.

Requests that lower exposure overtake all others that wait. What the server asks to wait after a 429 holds everybody
back but those: they only wait out their own.
"""

import math
import threading
import time
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count


class Pace:
    """A token bucket with a line of its own for what is urgent; without limits it never lets anybody wait."""

    def __init__(self, qps: float = math.inf, burst: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """On average `qps` requests a second, `burst` at once."""
        if qps <= 0 or burst < 1:
            raise ValueError("a pace needs qps above 0 and a burst of at least 1")
        self.qps = qps
        self.burst = burst
        self._clock = clock
        self._changed = threading.Condition()
        self._line: list[tuple[bool, int]] = []
        """A heap of those who wait, urgent ones first."""
        self._numbers = count()
        self._tokens, self._counted = float(burst), clock()
        self._paused = -math.inf
        """Until when only urgent ones go."""

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        with self._changed:
            return len(self._line)

    def turn(self, urgent: bool, within: float) -> bool:
        """Waits for its turn, at most `within` seconds; False where it didn't come."""
        if math.isinf(self.qps):
            return True
        until = self._clock() + within
        with self._changed:
            mine = (not urgent, next(self._numbers))
            heappush(self._line, mine)
            self._changed.notify_all()
            try:
                return self._stand(mine, until)
            finally:
                self._leave(mine)

    def pause(self, seconds: float) -> None:
        """Nobody goes for so long, but who is urgent."""
        with self._changed:
            self._paused = max(self._paused, self._clock() + seconds)

    def _stand(self, mine: tuple[bool, int], until: float) -> bool:
        while True:
            now = self._clock()
            needed = self._needed(mine, now) if self._line[0] == mine else math.inf
            if needed <= 0:
                self._tokens -= 1
                return True
            if now >= until:
                return False
            self._changed.wait(min(needed, until - now))

    def _needed(self, mine: tuple[bool, int], now: float) -> float:
        """Seconds until the first in line may go."""
        self._tokens = min(float(self.burst), self._tokens + (now - self._counted) * self.qps)
        self._counted = now
        paused = self._paused - now if mine[0] else 0.0
        return max(paused, (1 - self._tokens) / self.qps)

    def _leave(self, mine: tuple[bool, int]) -> None:
        if self._line[0] == mine:
            heappop(self._line)
        else:
            self._line.remove(mine)
            heapify(self._line)
        self._changed.notify_all()
