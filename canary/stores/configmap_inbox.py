"""People's actions in a cluster: one ConfigMap each, created once and never changed, beside the state's.

Nobody proves who the author of a ConfigMap is, so each is unverified. Only the run that holds the lock writes the
state; everybody else only adds an action here. Once taken, it lies there for an hour, for people to see.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from pydantic import ValidationError

from canary.api.action import CanaryAction
from canary.api.status import Status
from canary.engine.errors import CanaryError
from canary.engine.people import was_taken
from canary.kube.client import Client, Object
from canary.kube.errors import Absent, Changed, Failure
from canary.kube.resources import CONFIG_MAPS

from .objects import Objects

KEPT = timedelta(hours=1)
"""How long an action that was taken still lies there."""
FRESH = 2.0
"""Seconds for which a look at the actions holds: a run that waits looks ten times a second."""


class ConfigMapInbox:
    """The port Inbox on the labelled ConfigMaps of one target."""

    def __init__(self, client: Client, objects: Objects, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._objects = objects
        self._clock = clock
        self._seen: Sequence[Object] = ()
        self._seen_at: float | None = None

    def read(self) -> Sequence[CanaryAction]:
        """What lies there, at most FRESH seconds ago; what lay there last, where it can't be read now."""
        if self._seen_at is None or self._clock() - self._seen_at >= FRESH:
            self._seen_at = self._clock()
            with suppress(CanaryError):
                self.look()
        return tuple(action for found in self._seen if (action := self._action(found)) is not None)

    def look(self) -> None:
        """Looks now. Raises Forbidden, Unreachable and others, which `read` keeps to itself."""
        self._seen = self._client.find(CONFIG_MAPS, self._objects.namespace, self._objects.selector("action"))
        self._seen_at = self._clock()

    def post(self, action: CanaryAction) -> None:
        """Adds an action; to add it twice is to add it once. Raises Unreachable, Rejected."""
        objects = self._objects
        metadata = objects.metadata(objects.action(action.id), "action")
        text = action.model_dump_json(by_alias=True, exclude_none=True)
        try:
            body = {"metadata": metadata, "data": {"action": text}, "immutable": True}
            self._client.create(CONFIG_MAPS, objects.namespace, body)
        except Changed:
            return

    def author(self) -> str:
        """Who posts from here, as the API server sees it; empty where it can't tell."""
        try:
            return self._client.me()
        except Failure:
            return ""

    def remove_taken(self, status: Status, now: datetime) -> int:
        """Removes what was taken and is older than KEPT; for the lock's holder. Returns how many; never raises."""
        try:
            self.look()
            old = [one for one in self._seen if self._taken(one, status) and now - _created(one) >= KEPT]
            for one in old:
                self._remove(one["metadata"]["name"])
        except (CanaryError, ValueError):
            return 0
        return len(old)

    def _remove(self, name: str) -> None:
        try:
            self._client.delete(CONFIG_MAPS, self._objects.namespace, name)
        except Absent:
            return

    def _taken(self, found: Object, status: Status) -> bool:
        action = self._action(found)
        return action is not None and was_taken(action, status)

    def _action(self, found: Object) -> CanaryAction | None:
        """The action, if it can be read and lies under the name that its id gives it: an id has one place."""
        try:
            action = CanaryAction.model_validate_json((found.get("data") or {}).get("action", ""))
        except (ValidationError, TypeError):
            return None
        named = found["metadata"]["name"] == self._objects.action(action.id)
        return action.but(verified=False) if named else None


def _created(found: Object) -> datetime:
    return datetime.fromisoformat(found["metadata"]["creationTimestamp"])
