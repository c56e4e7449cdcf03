"""Status in the Canary object itself, through its status subresource, and CanaryActions as the inbox beside it.

A save names the resourceVersion that was read, so that no decision stands on a spec that has changed since: then the
reconcile decides again. What a newer canary wrote into the status and we don't know stays. While a rollout runs, a
finalizer keeps the object.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import ValidationError

from canary.api.action import ActionResource, CanaryAction, Verb
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Status
from canary.engine.errors import CanaryError, Rejected, Unreachable, Unreadable
from canary.engine.observed import Stored
from canary.engine.verbs import KEPT, removable
from canary.kube.client import Client, Object
from canary.kube.errors import Failure, NotFound, VersionConflict
from canary.kube.names import NamespacedName
from canary.kube.resources import CANARIES, CANARY_ACTIONS
from canary.ports import Inbox, Store

from .projection import FINALIZER, CanarySeen
from .status_json import complaint, fitting, wrong_field

_FREE = frozenset({"evidence"})
"""Parts of a status whose inner fields are no model's: what isn't in them any more goes."""


class CanaryReflector(Protocol):
    """A reflector of Canary objects."""

    def get(self, namespace: str, name: str) -> CanarySeen | None: ...

    def put(self, found: Object) -> None: ...


@dataclass(frozen=True)
class CanaryStore(Store):
    """The port Store on one Canary object. Its client should be fenced by the leader's Lease."""

    client: Client
    canaries: CanaryReflector
    namespace: str
    name: str
    uid: str | None = None
    """Of the Canary; another one that took its name since isn't it."""

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
            mends = f"kubectl edit cny {self.name} -n {self.namespace} --subresource=status"
            raise Unreadable(f"{wrong_field(error)}; nothing moves until that is mended: {mends}") from error

    def save(self, status: Status, version: str | None) -> str:
        """See the port. Raises Conflict where spec or status have changed since, and Unreachable."""
        seen, client = self._seen(), self.client.urgent() if _decreases(status) else self.client
        if seen is None:
            raise Unreachable(f"{self} doesn't exist any more")
        version = version or seen.version
        change = difference(_status(seen), fitting(status).model_dump(mode="json", by_alias=True))
        try:
            with self._read_again(client):
                if (status.rollout is not None or status.reverts) and not seen.guarded:
                    version = self._finalizers(client, version, (*seen.finalizers, FINALIZER))
                return self._kept(client.merge_status(CANARIES, self.namespace, self.name, version, change))
        except Rejected as error:
            raise Unreachable(str(error)) from error

    def complain(self, why: str, now: datetime, reason: Reason = Unreadable.reason) -> None:
        """Says in the object what keeps it from being looked after, once; what was kept stays. Raises as the port."""
        seen = self._seen()
        if seen is None:
            return
        change = difference(_status(seen), complaint(seen, why, now, reason))
        if not change:
            return
        with self._read_again(self.client):
            self._kept(self.client.merge_status(CANARIES, self.namespace, self.name, seen.version, change))

    def release(self) -> None:
        """Takes the finalizer off again, if it is on. Raises Conflict, Unreachable or Rejected."""
        seen = self._seen()
        if seen is None or not seen.guarded:
            return
        with self._read_again(self.client), suppress(NotFound):
            self._finalizers(self.client, seen.version, tuple(one for one in seen.finalizers if one != FINALIZER))

    def __str__(self) -> str:
        return f"Canary {self.namespace}/{self.name}"

    def _seen(self) -> CanarySeen | None:
        found = self.canaries.get(self.namespace, self.name)
        return found if found is not None and self.uid in (None, found.uid) else None

    @contextmanager
    def _read_again(self, client: Client) -> Iterator[None]:
        """Reads the object from the server after a conflict, because what is kept was old; unless that fails."""
        try:
            yield
        except VersionConflict:
            with suppress(Failure):
                self.canaries.put(client.get(CANARIES, self.namespace, self.name))
            raise

    def _finalizers(self, client: Client, version: str, wanted: tuple[str, ...]) -> str:
        change = {"metadata": {"finalizers": list(wanted)}}
        return self._kept(client.merge(CANARIES, self.namespace, self.name, version, change))

    def _kept(self, found: Object) -> str:
        self.canaries.put(found)
        return str(found["metadata"]["resourceVersion"])


def _status(seen: CanarySeen) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(seen.status or b"{}")
    return found


def _decreases(status: Status) -> bool:
    """Whether the intent is to expose no user any more: it goes before all others."""
    return status.rollout is not None and status.rollout.end is not None and status.rollout.desired == Traffic()


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


SKEW = timedelta(seconds=30)
"""The largest difference between the clocks of two API servers: one stamps a Canary, the other an action for it."""


class Actions(Protocol):
    """A reflector of CanaryActions."""

    def items(self, namespace: str | None = None) -> Sequence[tuple[tuple[str, str], CanaryAction]]: ...


def asked(found: Mapping[str, Any]) -> CanaryAction | None:
    """The projection of a CanaryAction object; None for one that can't be understood."""
    try:
        return ActionResource.model_validate({"kind": "CanaryAction", **found}).action(verified=False)
    except ValueError:
        return None


@dataclass(frozen=True)
class ActionInbox(Inbox):
    """The port Inbox of one Canary: CanaryActions, created once and never changed. Once taken they are removed after
    an hour.

    Where many were taken, the oldest are removed at once, which makes room for those that wait
    (`engine/verbs.py`). Those from before a Canary was created were for another one of its name: they aren't
    read, and removed as well. Those for a Canary that isn't there are removed by `controller/garbage_collection.py`.

    The author is verified if an admission policy prevents actions in another user's name; `verified` asks for
    that as of the time at which the action was made.
    """

    client: Client
    actions: Actions
    canary: NamespacedName
    created: datetime
    """When the Canary was created."""
    verified: Callable[[datetime], bool]
    """Whether authors of actions of a time are proved. May raise Unreachable."""

    def read(self) -> Sequence[CanaryAction]:
        found = (action for _, action in self._named() if not self._foreign(action))
        mine = sorted(found, key=lambda action: (action.at, action.id))
        judged = (self._judged(action) for action in mine)
        return tuple(action for action in judged if action is not None)

    def remove_taken(self, status: Status, now: datetime) -> int:
        """See the port; also removes what was for an earlier Canary of the name, once it is older than KEPT."""
        named = self._named()
        mine = {action.id for action in removable((one for _, one in named if not self._foreign(one)), status, now)}
        removed = 0
        for name, action in named:
            if action.id in mine or (self._foreign(action) and now - action.at >= KEPT):
                with suppress(CanaryError):
                    with suppress(NotFound):
                        self.client.delete(CANARY_ACTIONS, self.canary[0], name)
                    removed += 1
        return removed

    def _judged(self, action: CanaryAction) -> CanaryAction | None:
        """None for an approval whose author can't be looked into now: refused, it would be lost for good."""
        try:
            return action.but(verified=bool(action.author) and self.verified(action.at))
        except Unreachable:
            return None if action.verb is Verb.APPROVE else action

    def _foreign(self, action: CanaryAction) -> bool:
        """Whether it was for an earlier Canary of the name.

        In doubt it wasn't: a Canary that has just been created refuses it with a word, as no rollout is running.
        """
        return action.at < self.created - SKEW

    def _named(self) -> list[tuple[str, CanaryAction]]:
        """By the names of their objects, the actions for a Canary of this name."""
        found = self.actions.items(self.canary[0])
        return [(name, action) for (_, name), action in found if action.target == self.canary[1]]
