"""When a request may be sent: the rate limit of one client with the order of its waiting requests, and backoff.

Requests that decrease exposure go before all others that wait. The wait after a 429 delays all other requests;
an urgent request waits only for its own 429.
"""

import math
import random
import threading
import time
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count


class RateLimiter:
    """A token bucket with a separate queue for urgent requests; without limits none waits. Threads share it."""

    def __init__(self, qps: float = math.inf, burst: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """On average `qps` requests a second, `burst` at once."""
        if qps <= 0 or burst < 1:
            raise ValueError("a pace needs qps above 0 and a burst of at least 1")
        self.qps = qps
        self.burst = burst
        self._clock = clock
        self._changed = threading.Condition()
        self._line: list[tuple[bool, int]] = []
        """Those who wait in their order, urgent ones first."""
        self._numbers = count()
        self._tokens, self._counted = float(burst), clock()
        self._paused = -math.inf
        """Until when only urgent ones go."""

    def turn(self, urgent: bool, within: float) -> bool:
        """Waits for its turn, at most `within` seconds; False where it didn't come."""
        if math.isinf(self.qps):
            return True
        until = self._clock() + within
        with self._changed:
            mine = (not urgent, next(self._numbers))
            insort(self._line, mine)
            self._changed.notify_all()
            try:
                return self._stand(mine, until)
            finally:
                self._line.remove(mine)
                self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """For this time only urgent requests are sent."""
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


@dataclass
class Backoff:
    """How long to wait before the next try: twice as long each time, with jitter, up to a limit. In seconds."""

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
