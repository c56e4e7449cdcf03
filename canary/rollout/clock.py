"""Real time, for runs and commands that wait. `drive.py` is the loop of a run."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from canary.ports import Clock

POLL = 0.1
"""Seconds between two looks at signals and the inbox while a run waits."""


class WallClock(Clock):
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not woken():
            time.sleep(min(left, POLL))
