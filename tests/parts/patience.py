"""Time limits of tests that a busy machine doesn't break: time in which processes wait for a CPU counts less."""

import os
import time
from collections.abc import Callable
from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")
LEAST = 0.2
"""What a second counts at least, so that a wait ends also on a machine that is never quiet."""


def waited_for_cpu() -> float | None:
    """Seconds since boot in which at least one process waited for a CPU (Linux' PSI, `some`); None if not known."""
    try:
        first = PRESSURE.read_text().splitlines()[0]
        return int(first.rpartition("total=")[2]) / 1e6
    except (OSError, IndexError, ValueError):
        return None


class Busyness:
    """How busy the machine was since it was made: 0 on a quiet one, up to 1 where processes always wait for a CPU."""

    def __init__(self) -> None:
        self._at, self._waited = time.monotonic(), waited_for_cpu() or 0.0

    @property
    def share(self) -> float:
        """Of the time that has passed since then."""
        return ((waited_for_cpu() or 0.0) - self._waited) / (time.monotonic() - self._at)


class Stopwatch:
    """Seconds of a quiet machine since it was made; of a busy one they are more than these, by at most 1 / LEAST."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, waited: Callable[[], float | None] = waited_for_cpu
    ) -> None:
        self._seconds = 0.0
        self._read_clock, self._read_waited = clock, waited
        self._at, self._waited = clock(), waited()

    @property
    def seconds(self) -> float:
        """Until now."""
        now, waited = self._read_clock(), self._read_waited()
        passed = now - self._at
        if waited is None or self._waited is None:
            busy = 1 - 1 / max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        else:
            busy = (waited - self._waited) / passed if passed > 0 else 0.0
        self._seconds += passed * max(LEAST, 1 - busy)
        self._at, self._waited = now, waited
        return self._seconds


class Patience:
    """Runs out after `seconds` on a quiet machine, and later on a busy one: at most after `seconds / LEAST`."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[], float | None] = waited_for_cpu,
    ) -> None:
        self._allowed, self._watch = seconds, Stopwatch(clock, waited)

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self._watch.seconds >= self._allowed
