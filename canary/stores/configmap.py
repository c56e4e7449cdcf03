"""Status in a ConfigMap, found by every run, on any machine (`objects.py` names it).

A save needs the state that was read. It names the resourceVersion; if that has changed, the text must be one that we
know. So a label that another client adds is no conflict, and neither is our own save whose answer was
lost. `lease.py` has the lock.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any, Self

from pydantic import ValidationError

from canary.api.action import CanaryAction
from canary.api.status import Status
from canary.engine.errors import CanaryError, Conflict, Rejected, Unreachable, Unreadable
from canary.engine.observed import Stored
from canary.engine.verbs import removable
from canary.kube.client import Client, Object, written
from canary.kube.errors import Failure, NotFound, VersionConflict
from canary.kube.resources import CONFIG_MAPS
from canary.ports import Inbox, Store

from . import status_json
from .objects import Objects

FORMAT = 1
"""Of the state; a newer one is not touched."""
ATTEMPTS = 5
"""How often a save goes on after others changed what is none of our business."""


class ConfigMapStore(Store):
    """The port Store on one ConfigMap. Its client should be fenced by the lock."""

    def __init__(self, client: Client, objects: Objects) -> None:
        self._client = client
        self.objects = objects
        self._ours: set[str] = set()
        """Checksums of states that may stand there without another writer: read, saved, perhaps saved."""

    @classmethod
    def at(cls, client: Client, namespace: str, kind: str, target: str) -> Self | None:
        """The store of whichever Canary moves this target, or None where nothing has run."""
        found = cls(client, Objects(namespace, kind, target, ""))._read()
        return (
            None if found is None else cls(client, Objects(namespace, kind, target, _data(found).get("canary", "")))
        )

    def load(self) -> Stored | None:
        """See the port. Raises Rejected for what isn't a state that can be read, and Unreachable."""
        found = self._read()
        if found is None:
            return None
        data = _data(found)
        if data.get("canary") != self.objects.canary:
            raise Rejected(f"{self} is the state of Canary {data.get('canary')}, not of {self.objects.canary}")
        try:
            status = Status.model_validate_json(data.get("status", ""))
        except ValidationError as error:
            raise Rejected(self._unreadable(status_json.wrong_fields(error))) from error
        self._ours = {_digest(data["status"])}
        return Stored(status, _version(found), written(found))

    def save(self, status: Status, version: str | None) -> str:
        """See the port. What the cluster refuses now, it may accept later, so that is Unreachable as well."""
        text = status_json.text(status_json.fitting(status))
        try:
            for _ in range(ATTEMPTS):
                try:
                    saved = self._write(text, version)
                except VersionConflict:
                    version = self._moved_on()
                except NotFound:
                    if version is None:
                        raise  # there isn't even a namespace
                    version = None
                else:
                    self._ours = {_digest(text)}
                    return _version(saved)
        except Unreadable:
            raise
        except Rejected as error:
            raise Unreachable(str(error)) from error
        raise Unreachable(f"{self} is changed by another client again and again")

    def __str__(self) -> str:
        return f"ConfigMap {self.objects.namespace}/{self.objects.name}"

    def _write(self, text: str, version: str | None) -> Object:
        objects = self.objects
        data = {"format": str(FORMAT), "canary": objects.canary, "status": text}
        self._ours.add(_digest(text))
        if version is None:
            body = {"metadata": objects.metadata(objects.name, "state"), "data": data}
            return self._client.create(CONFIG_MAPS, objects.namespace, body)
        return self._client.merge(CONFIG_MAPS, objects.namespace, objects.name, version, {"data": data})

    def _moved_on(self) -> str | None:
        """The version of the object with our own state; None if it was deleted: it is created again.

        Raises Conflict where it is another state.
        """
        found = self._read()
        if found is None:
            return None
        if _digest(_data(found).get("status", "")) not in self._ours:
            raise Conflict(f"{self} was saved by another run")
        return _version(found)

    def _read(self) -> Object | None:
        try:
            found = self._client.get(CONFIG_MAPS, self.objects.namespace, self.objects.name)
        except NotFound:
            return None
        written = _data(found).get("format", "")
        if not written.isdigit():
            raise Unreadable(self._unreadable("it isn't canary's"))
        if int(written) > FORMAT:
            raise Unreadable(f"{self} was written by a newer canary; use that one")
        return found

    def _unreadable(self, why: str) -> str:
        return f"{self} is not a state that can be read ({why}); delete it to start from the beginning"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _data(found: Object) -> dict[str, str]:
    data: Any = found.get("data")
    return data if isinstance(data, dict) else {}


def _version(found: Object) -> str:
    return str(found["metadata"]["resourceVersion"])


FRESH = 2.0
"""Seconds for which a read of the actions is used: a run that waits reads ten times a second."""


class ConfigMapInbox(Inbox):
    """The port Inbox on the labelled ConfigMaps of one target, each created once and never changed.

    The author of a ConfigMap can't be verified. Only the run that holds the lock writes the
    state; all others only add an action here. Once taken, it lies there for an hour, for people to see; of many only
    the newest do. When an action was made is what the API server says: the clocks of those who ask differ.
    """

    def __init__(self, client: Client, objects: Objects, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._objects = objects
        self._clock = clock
        self._seen: Sequence[Object] = ()
        self._seen_at: float | None = None
        self._posted: dict[str, Object] = {}
        """What this process added, by name: it counts at once, even if a list that began earlier lacks it."""

    def read(self) -> Sequence[CanaryAction]:
        """What lies there, at most FRESH seconds ago; what lay there last, where it can't be read now."""
        if self._seen_at is None or self._clock() - self._seen_at >= FRESH:
            self._seen_at = self._clock()
            with suppress(CanaryError):
                self.look()
        seen = {one["metadata"]["name"]: one for one in self._seen}
        there = {**seen, **{name: one for name, one in self._posted.items() if name not in seen}}
        return tuple(action for one in there.values() if (action := self._action(one)) is not None)

    def look(self) -> None:
        """Reads now. Raises Forbidden, Unreachable and others, which `read` keeps to itself."""
        self._seen = self._client.find(CONFIG_MAPS, self._objects.namespace, self._objects.selector("action"))
        self._seen_at = self._clock()

    def post(self, action: CanaryAction) -> None:
        """Adds an action; to add it twice is to add it once. Raises Unreachable, Rejected."""
        objects = self._objects
        metadata = objects.metadata(objects.action(action.id), "action")
        text = action.model_dump_json(by_alias=True, exclude_none=True)
        try:
            body = {"metadata": metadata, "data": {"action": text}, "immutable": True}
            self._posted[objects.action(action.id)] = self._client.create(CONFIG_MAPS, objects.namespace, body)
        except VersionConflict:
            self._seen_at = None  # it is there already, and the next read lists it

    def author(self) -> str:
        """Who posts from here, as the API server sees it; empty where it can't tell."""
        try:
            return self._client.me()
        except Failure:
            return ""

    def remove_taken(self, status: Status, now: datetime) -> int:
        """See the port; for the lock's holder."""
        mine = {self._objects.action(one.id) for one in removable(self.read(), status, now)}
        gone = [name for one in self._seen if (name := one["metadata"]["name"]) in mine and self._removed(name)]
        self._seen = [one for one in self._seen if one["metadata"]["name"] not in gone]
        self._posted = {name: one for name, one in self._posted.items() if name not in gone}
        return len(gone)

    def _removed(self, name: str) -> bool:
        try:
            with suppress(NotFound):
                self._client.delete(CONFIG_MAPS, self._objects.namespace, name)
        except CanaryError:
            return False
        return True

    def _action(self, found: Object) -> CanaryAction | None:
        """The action, if it can be read and lies under the name that its id gives it: an id has one place."""
        metadata = found["metadata"]
        try:
            action = CanaryAction.model_validate_json((found.get("data") or {}).get("action", ""))
            created = datetime.fromisoformat(metadata["creationTimestamp"])
        except (ValidationError, TypeError, ValueError, KeyError):
            return None
        named = metadata["name"] == self._objects.action(action.id)
        return action.but(verified=False, at=created) if named else None
