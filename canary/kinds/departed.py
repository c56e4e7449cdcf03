"""Canaries that are gone though their rollouts may have been running: their targets are given back.

That is tried again and again, in a thread that begins with the first of them and ends with the last: whoever watches
Canaries waits for nobody.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock, Thread

from canary.engine.errors import CanaryError, Conflict

from .tenancy import Tenancy

PAUSE = 2.0
"""Seconds after a release that failed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Departure:
    """Of one Canary."""

    tenancy: Tenancy
    leads: Callable[[], None]
    """Raises Conflict once the term is over in which the Canary was looked after."""

    def done(self) -> bool:
        """Tries; whether nothing is left that could be tried."""
        try:
            self.tenancy.release()
        except CanaryError as error:
            log.info("the target of a Canary that is gone isn't given back yet: %s", error)
            return self._over()
        return True

    def _over(self) -> bool:
        try:
            self.leads()
        except CanaryError as error:
            return isinstance(error, Conflict)
        return False


@dataclass
class Departed:
    """See the module."""

    wait: Callable[[float], None] = time.sleep
    _line: deque[Departure] = field(default_factory=deque)
    _thread: Thread | None = None
    _lock: Lock = field(default_factory=Lock)

    def add(self, tenancy: Tenancy, leads: Callable[[], None]) -> None:
        """One more is gone."""
        with self._lock:
            self._line.append(Departure(tenancy, leads))
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._work, name="departed", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (one := self._next()) is not None:
            if not one.done():
                with self._lock:
                    self._line.append(one)
                self.wait(PAUSE)

    def _next(self) -> Departure | None:
        with self._lock:
            if self._line:
                return self._line.popleft()
            self._thread = None
            return None
