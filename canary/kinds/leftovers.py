"""CanaryActions for Canaries that aren't there, misspelt or deleted: nobody takes them, so the leader removes them.

A Canary that isn't seen may be another shard's, so the server is asked before. One that is created in between doesn't
miss them: it reads only what was made after it (`inbox.py`).
"""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from canary.api.action import CanaryAction
from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.kube.client import Client
from canary.kube.errors import Absent
from canary.kube.resources import CANARIES, CANARY_ACTIONS

from .inbox import KEPT
from .sharing import Key
from .store import Canaries

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
"""What an object may be called (RFC 1123); anything else would ask the server for something else."""

log = logging.getLogger(__name__)


class Actions(Protocol):
    """A reflector of CanaryActions."""

    def items(self) -> Sequence[tuple[Key, CanaryAction]]: ...


@dataclass(frozen=True)
class Leftovers:
    """Of all namespaces that are looked after."""

    client: Client
    canaries: Canaries
    actions: Actions

    def remove(self, now: datetime) -> int:
        """Removes those that are older than KEPT. Returns how many; what fails is left to the next time."""
        removed = 0
        try:
            for canary, names in self._old(now).items():
                removed += self._removed(canary, names)
        except (Conflict, Unreachable) as error:
            log.info("CanaryActions that nobody takes aren't all removed yet: %s", error)
        return removed

    def _old(self, now: datetime) -> Mapping[Key, Sequence[str]]:
        """By Canary that isn't seen, the names of its actions."""
        found: dict[Key, list[str]] = {}
        for (namespace, name), action in self.actions.items():
            canary = (namespace, action.target)
            if now - action.at >= KEPT and self.canaries.get(*canary) is None:
                found.setdefault(canary, []).append(name)
        return found

    def _removed(self, canary: Key, names: Sequence[str]) -> int:
        """How many. Raises Conflict or Unreachable, which the next one would meet as well."""
        try:
            if self._exists(canary):
                return 0
            for name in names:
                with suppress(Absent):
                    self.client.delete(CANARY_ACTIONS, canary[0], name)
        except Rejected as error:
            log.warning("CanaryActions for %s/%s, which isn't there, can't be removed: %s", *canary, error)
            return 0
        log.info("CanaryActions for %s/%s, which isn't there, are removed: %d", *canary, len(names))
        return len(names)

    def _exists(self, canary: Key) -> bool:
        if not _NAME.fullmatch(canary[1]):
            return False
        try:
            self.client.get(CANARIES, *canary)
        except Absent:
            return False
        return True
