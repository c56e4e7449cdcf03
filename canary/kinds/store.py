"""Status in the Canary object itself, through its status subresource.

A save names the resourceVersion that was read, so that no decision stands on a spec that has changed since: then the
tick decides again. What a newer canary wrote into the status and we don't know stays. While a rollout runs, a
finalizer keeps the object.
"""

import json
from datetime import datetime
from typing import Any, Protocol

from pydantic import ValidationError

from canary.api.plan import Traffic
from canary.api.status import Status
from canary.engine import room
from canary.engine.errors import Rejected, Unreachable, Unreadable
from canary.engine.observed import Stored
from canary.kube.client import Client, Object
from canary.kube.errors import Absent, Changed, Failure
from canary.kube.resources import CANARIES

from .seen import FINALIZER, CanarySeen
from .unreadable import complaint, wrong_field

_FREE = frozenset({"evidence"})
"""Parts of a status whose inner fields are no model's: what isn't in them any more goes."""


class Canaries(Protocol):
    """A reflector of Canary objects."""

    def get(self, namespace: str, name: str) -> CanarySeen | None: ...

    def put(self, found: Object) -> None: ...


class CanaryStore:
    """The port Store on one Canary object. Its client should be guarded by the leader's Lease."""

    def __init__(self, client: Client, canaries: Canaries, namespace: str, name: str, uid: str | None = None) -> None:
        """`uid`: of the one that is meant; another one that took its name since isn't it."""
        self._client = client
        self._canaries = canaries
        self._namespace = namespace
        self._name = name
        self._uid = uid

    @property
    def guarded(self) -> bool:
        """Whether our finalizer is on the object, as it was seen last."""
        seen = self._seen()
        return seen is not None and seen.guarded

    def load(self) -> Stored | None:
        """See the port: what was seen last. Raises Unreadable."""
        seen = self._seen()
        if seen is None or not seen.status:
            return None
        try:
            return Stored(Status.model_validate_json(seen.status), seen.version)
        except ValidationError as error:
            mends = f"kubectl edit cny {self._name} -n {self._namespace} --subresource=status"
            raise Unreadable(f"{wrong_field(error)}; nothing moves until that is mended: {mends}") from error

    def save(self, status: Status, version: str | None) -> str:
        """See the port. Raises Conflict where spec or status have changed since, and Unreachable."""
        seen, client = self._seen(), self._client.urgent() if _lowers(status) else self._client
        if seen is None:
            raise Unreachable(f"{self} isn't there any more")
        try:
            version = version or seen.version
            if status.rollout is not None and not seen.guarded:
                version = self._finalizers(client, version, (*seen.finalizers, FINALIZER))
            change = difference(
                json.loads(seen.status or b"{}"), room.fitting(status).model_dump(mode="json", by_alias=True)
            )
            return self._kept(client.merge_status(CANARIES, self._namespace, self._name, version, change))
        except Changed:
            self._look(client)
            raise
        except Rejected as error:
            raise Unreachable(str(error)) from error

    def complain(self, why: str, now: datetime, reason: str = Unreadable.reason) -> None:
        """Says in the object what keeps it from being looked after, once; what was kept stays. Raises as the port."""
        seen = self._seen()
        if seen is None:
            return
        told, before = complaint(seen, why, now, reason), json.loads(seen.status or b"{}")
        change = difference({name: before.get(name) for name in told}, told)
        if not change:
            return
        try:
            self._kept(self._client.merge_status(CANARIES, self._namespace, self._name, seen.version, change))
        except Changed:
            self._look(self._client)
            raise

    def release(self) -> None:
        """Takes the finalizer off again, if it is on. Raises Conflict, Unreachable or Rejected."""
        seen = self._seen()
        if seen is None or not seen.guarded:
            return
        try:
            self._finalizers(self._client, seen.version, tuple(one for one in seen.finalizers if one != FINALIZER))
        except Changed:
            self._look(self._client)
            raise
        except Absent:
            return

    def __str__(self) -> str:
        return f"Canary {self._namespace}/{self._name}"

    def _seen(self) -> CanarySeen | None:
        found = self._canaries.get(self._namespace, self._name)
        return found if found is not None and self._uid in (None, found.uid) else None

    def _look(self, client: Client) -> None:
        """Reads the object from the server, because what is kept may be old; leaves it where that fails."""
        try:
            self._canaries.put(client.get(CANARIES, self._namespace, self._name))
        except Failure:
            return

    def _finalizers(self, client: Client, version: str, wanted: tuple[str, ...]) -> str:
        change = {"metadata": {"finalizers": list(wanted)}}
        return self._kept(client.merge(CANARIES, self._namespace, self._name, version, change))

    def _kept(self, found: Object) -> str:
        self._canaries.put(found)
        return str(found["metadata"]["resourceVersion"])


def _lowers(status: Status) -> bool:
    """Whether it is the intent to expose nobody any more: that goes before all others."""
    return status.rollout is not None and status.rollout.end is not None and status.rollout.meant == Traffic()


def difference(before: dict[str, Any], after: dict[str, Any], free: bool = False) -> dict[str, Any]:
    """The merge patch (RFC 7386) that leads from one to the other; what `after` doesn't know is left alone.

    `after` has a null for each field that it knows and hasn't. With `free` all that it hasn't goes.
    """
    change: dict[str, Any] = {key: None for key in before if free and key not in after}
    for key, value in after.items():
        there = before.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            inner = difference(there, value, free or key in _FREE)
            if inner:
                change[key] = inner
        elif (bare := _bare(value)) != there:
            change[key] = bare
    return change


def _bare(value: Any) -> Any:
    """Without nulls, which a merge patch would keep inside of lists."""
    if isinstance(value, dict):
        return {key: _bare(inner) for key, inner in value.items() if inner is not None}
    return [_bare(inner) for inner in value] if isinstance(value, list) else value
