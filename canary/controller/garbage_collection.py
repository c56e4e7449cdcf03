"""Removes what belongs to Canaries that are gone, or were never there.

CanaryActions for Canaries that don't exist (misspelt or deleted): the leader removes them. A
Canary that isn't seen may be another shard's, so the server is asked before. One that is created in between doesn't
miss them: it reads only what was made after it (`stores/canary.py`).

Canaries that are gone though their rollouts may have been running: their targets are released. That is retried
and again, in a thread that begins with the first of them and ends with the last: what watches Canaries doesn't wait.
"""

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock, Thread

from canary.api.names import PATTERN
from canary.engine.errors import CanaryError, Conflict, Rejected, Unreachable
from canary.engine.verbs import KEPT
from canary.kube.client import Client
from canary.kube.errors import NotFound
from canary.kube.names import NamespacedName
from canary.kube.resources import CANARIES, CANARY_ACTIONS
from canary.stores.canary import Actions, CanaryReflector

from .ownership import Ownership

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GarbageCollector:
    """Of all namespaces that are looked after."""

    client: Client
    canaries: CanaryReflector
    actions: Actions

    def remove(self, now: datetime) -> int:
        """Removes those that are older than KEPT. Returns how many; what fails is left to the next time."""
        removed = 0
        try:
            for canary, names in self._old(now).items():
                removed += self._removed(canary, names)
        except (Conflict, Unreachable) as error:
            log.info("CanaryActions without a Canary can't all be removed yet: %s", error)
        return removed

    def _old(self, now: datetime) -> Mapping[NamespacedName, Sequence[str]]:
        """By Canary that isn't seen, the names of its actions."""
        found: dict[NamespacedName, list[str]] = {}
        for (namespace, name), action in self.actions.items():
            canary = (namespace, action.target)
            if now - action.at >= KEPT and self.canaries.get(*canary) is None:
                found.setdefault(canary, []).append(name)
        return found

    def _removed(self, canary: NamespacedName, names: Sequence[str]) -> int:
        """How many. Raises Conflict or Unreachable, which the next one would meet as well."""
        try:
            if self._exists(canary):
                return 0
            for name in names:
                with suppress(NotFound):
                    self.client.delete(CANARY_ACTIONS, canary[0], name)
        except Rejected as error:
            log.warning("CanaryActions for %s/%s, which doesn't exist, can't be removed: %s", *canary, error)
            return 0
        log.info("CanaryActions for %s/%s, which doesn't exist, removed: %d", *canary, len(names))
        return len(names)

    def _exists(self, canary: NamespacedName) -> bool:
        if not re.fullmatch(PATTERN, canary[1]):  # it would ask the server for something else
            return False
        try:
            self.client.get(CANARIES, *canary)
        except NotFound:
            return False
        return True


PAUSE = 2.0
"""Seconds after a release that failed."""


@dataclass
class Releases:
    """See the module."""

    wait: Callable[[float], None] = time.sleep
    _line: deque[tuple[Ownership, Callable[[], None]]] = field(default_factory=deque)
    _thread: Thread | None = None
    _lock: Lock = field(default_factory=Lock)

    def add(self, ownership: Ownership, leads: Callable[[], None]) -> None:
        """One more is gone; `leads` raises Conflict once the term is over in which it was looked after."""
        with self._lock:
            self._line.append((ownership, leads))
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._work, name="departed", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (one := self._next()) is not None:
            if not _released(*one):
                with self._lock:
                    self._line.append(one)
                self.wait(PAUSE)

    def _next(self) -> tuple[Ownership, Callable[[], None]] | None:
        with self._lock:
            if self._line:
                return self._line.popleft()
            self._thread = None
            return None


def _released(ownership: Ownership, leads: Callable[[], None]) -> bool:
    """Tries; whether nothing is left that could be tried."""
    try:
        ownership.release()
    except CanaryError as error:
        log.info("the target of a Canary that is gone isn't given back yet: %s", error)
        try:
            leads()
        except CanaryError as lost:
            return isinstance(lost, Conflict)
        return False
    return True
