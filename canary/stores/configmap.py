"""Status in a ConfigMap, found again by whoever runs, from whichever machine (`objects.py` names it).

A save must meet the state that was read: it names the resourceVersion, and where that has moved on, only the very
text that we know may stand there. So a label that somebody adds is no conflict, and neither is our own save whose
answer got lost. `configmap_inbox.py` has people's actions beside it, `lease.py` the lock.
"""

from hashlib import sha256
from typing import Any, Self

from pydantic import ValidationError

from canary.api.status import Status
from canary.engine import room
from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.engine.observed import Stored
from canary.kube.client import Client, Object
from canary.kube.errors import Absent, Changed
from canary.kube.resources import CONFIG_MAPS

from .invalid import wrong_fields
from .objects import Objects

FORMAT = 1
"""Of the state; a newer one is not touched."""
ATTEMPTS = 5
"""How often a save goes on after others changed what is none of our business."""


class ConfigMapStore:
    """The port Store on one ConfigMap. Its client should be guarded by the lock."""

    def __init__(self, client: Client, objects: Objects) -> None:
        self._client = client
        self._objects = objects
        self._ours: set[str] = set()
        """Checksums of states that may stand there without another writer: read, saved, perhaps saved."""

    @classmethod
    def at(cls, client: Client, namespace: str, kind: str, target: str) -> Self | None:
        """The store of whichever Canary moves this target, or None where nothing has run."""
        found = cls(client, Objects(namespace, kind, target, ""))._read()
        return (
            None if found is None else cls(client, Objects(namespace, kind, target, _data(found).get("canary", "")))
        )

    @property
    def objects(self) -> Objects:
        return self._objects

    def load(self) -> Stored | None:
        """See the port. Raises Rejected for what isn't a state that can be read, and Unreachable."""
        found = self._read()
        if found is None:
            return None
        data = _data(found)
        if data.get("canary") != self._objects.canary:
            raise Rejected(f"{self} is the state of Canary {data.get('canary')}, not of {self._objects.canary}")
        try:
            status = Status.model_validate_json(data.get("status", ""))
        except ValidationError as error:
            raise Rejected(self._unreadable(wrong_fields(error))) from error
        self._ours = {_digest(data["status"])}
        return Stored(status, _version(found))

    def save(self, status: Status, version: str | None) -> str:
        """See the port. Raises Conflict, and Unreachable also for what the cluster refuses: what lowers goes on."""
        text = room.text(room.fitting(status))
        try:
            for _ in range(ATTEMPTS):
                try:
                    saved = self._write(text, version)
                except Changed:
                    version = self._moved_on()
                except Absent:
                    if version is None:
                        raise  # there isn't even a namespace
                    version = None
                else:
                    self._ours = {_digest(text)}
                    return _version(saved)
        except Rejected as error:
            raise Unreachable(str(error)) from error
        raise Unreachable(f"{self} is changed again and again by somebody else")

    def __str__(self) -> str:
        return f"ConfigMap {self._objects.namespace}/{self._objects.name}"

    def _write(self, text: str, version: str | None) -> Object:
        objects = self._objects
        data = {"format": str(FORMAT), "canary": objects.canary, "status": text}
        self._ours.add(_digest(text))
        if version is None:
            body = {"metadata": objects.metadata(objects.name, "state"), "data": data}
            return self._client.create(CONFIG_MAPS, objects.namespace, body)
        return self._client.merge(CONFIG_MAPS, objects.namespace, objects.name, version, {"data": data})

    def _moved_on(self) -> str | None:
        """The version in which our own state stands there now; None where somebody deleted it: we make it anew.

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
            found = self._client.get(CONFIG_MAPS, self._objects.namespace, self._objects.name)
        except Absent:
            return None
        written = _data(found).get("format", "")
        if not written.isdigit():
            raise Rejected(self._unreadable("it isn't canary's"))
        if int(written) > FORMAT:
            raise Rejected(f"{self} was written by a newer canary; use that one")
        return found

    def _unreadable(self, why: str) -> str:
        return f"{self} is not a state that can be read ({why}); delete it to begin anew"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _data(found: Object) -> dict[str, str]:
    data: Any = found.get("data")
    return data if isinstance(data, dict) else {}


def _version(found: Object) -> str:
    return str(found["metadata"]["resourceVersion"])
