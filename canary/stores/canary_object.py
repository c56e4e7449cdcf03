"""One Canary object as commands see it: read from the server when they ask, and changed in nothing but `version`.

`canary.py` is the controller's own side of it. People's requests are CanaryActions beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from canary.api.action import CanaryAction
from canary.api.canary import Canary, CanarySpec, Metadata, TargetRef
from canary.api.reason import Reason
from canary.api.status import Message, Status
from canary.engine.errors import Conflict, Rejected
from canary.engine.observed import Stored
from canary.kube import requests
from canary.kube.client import Client, Object, written
from canary.kube.errors import NotFound, Unserved, VersionConflict
from canary.kube.requests import ApiVerb, Request
from canary.kube.resources import CANARIES, CANARY_ACTIONS, EVENTS

from .status_json import wrong_field

PAGE = 500
"""Canaries of a list that are in memory as a whole at once."""
ATTEMPTS = 5
"""How often a change meets an object that was written in between: a controller writes its status often."""
_ASKED = {"verb", "rollout", "version", "revision", "step", "author", "comment"}


@dataclass(frozen=True)
class CanaryObject:
    """A Canary of the cluster, by its name."""

    client: Client
    namespace: str
    name: str

    def read(self) -> Canary:
        """As it is now, with its status. Raises NotFound, Rejected for a status that can't be read, Unreachable."""
        return canary_of(self.client.get(CANARIES, self.namespace, self.name))

    def load(self) -> Stored:
        """Its status. Raises as `read` does."""
        found = self.client.get(CANARIES, self.namespace, self.name)
        return Stored(status_of(found), str(found["metadata"]["resourceVersion"]), written(found, "status"))

    def post(self, action: CanaryAction) -> str:
        """Creates a CanaryAction; returns its uid, by which status will know it. Raises Rejected, Unreachable."""
        asked = action.model_dump(mode="json", include=_ASKED, exclude_none=True)
        body = {
            "metadata": {"generateName": f"{self.name[:200]}-{action.verb}-", "namespace": self.namespace},
            "spec": {"canary": self.name, **asked},
        }
        return str(self.client.create(CANARY_ACTIONS, self.namespace, body)["metadata"]["uid"])

    def want(self, version: str) -> Canary:
        """Sets `spec.version` and nothing else; returns the object afterwards.

        Changes of other fields are kept; another client's `version` isn't overwritten. Raises
        Conflict then, Rejected, Unreachable.
        """
        found = self.client.get(CANARIES, self.namespace, self.name)
        first = _version(found)
        for _ in range(ATTEMPTS):
            if _version(found) == version:
                return canary_of(found)
            if _version(found) != first:
                raise Conflict(f"another client has just set spec.version of {self.name} to {_version(found)}")
            try:
                resource_version = str(found["metadata"]["resourceVersion"])
                change = {"spec": {"version": version}}
                return canary_of(self.client.merge(CANARIES, self.namespace, self.name, resource_version, change))
            except VersionConflict:
                found = self.client.get(CANARIES, self.namespace, self.name)
        raise Conflict(f"{self.name} is changed by another client again and again; try again")

    def events(self, uid: str) -> tuple[Message, ...]:
        """Events of the object with this uid, oldest first. Raises Rejected, Unreachable."""
        request = Request(
            ApiVerb.LIST, EVENTS, self.namespace, query=(("fieldSelector", f"involvedObject.uid={uid}"),)
        )
        found = self.client.send(request).get("items") or ()
        return tuple(sorted((_event(one) for one in found), key=lambda event: (event.at, event.id)))


def canary_of(found: Object) -> Canary:
    """The object; of a spec that can't be understood only what names version and target. Raises Rejected."""
    metadata, spec = Metadata.model_validate(found["metadata"]), found.get("spec") or {}
    try:
        understood = CanarySpec.model_validate(spec)
    except ValidationError:
        ref, version = spec.get("targetRef") or {}, spec.get("version")
        target = TargetRef(kind=str(ref.get("kind") or "unknown"), name=str(ref.get("name") or "unknown"))
        understood = CanarySpec(target_ref=target, version=None if version is None else str(version))
    return Canary(metadata=metadata, spec=understood, status=status_of(found))


def status_of(found: Object) -> Status:
    """The status of the object. Raises Rejected for one that can't be read."""
    try:
        return Status.model_validate(found.get("status") or {})
    except ValidationError as error:
        name = "{namespace}/{name}".format(**found["metadata"])
        raise Rejected(f"Canary {name}: {wrong_field(error)}; was it written by a newer canary?") from error


def _version(found: Object) -> str | None:
    version = (found.get("spec") or {}).get("version")
    return None if version is None else str(version)


def _event(found: dict[str, Any]) -> Message:
    at = found.get("eventTime") or found.get("lastTimestamp") or found["metadata"]["creationTimestamp"]
    return Message(
        id=found["metadata"]["name"],
        type="Warning" if found.get("type") == "Warning" else "Normal",
        reason=Reason(str(found.get("reason") or "")),
        message=str(found.get("message") or ""),
        at=datetime.fromisoformat(at).astimezone(UTC),
    )


def found_by_name(client: Client, namespace: str, name: str) -> Object | None:
    """None where there is no such Canary, or where the cluster doesn't know the kind."""
    try:
        return client.get(CANARIES, namespace, name)
    except (NotFound, Unserved):
        return None


def every(client: Client, namespace: str) -> Iterator[Object]:
    """Every Canary; none where the cluster doesn't know the kind."""
    after = ""
    while True:
        try:
            page = client.send(requests.listing(CANARIES, namespace, limit=PAGE, after=after))
        except Unserved:
            return
        yield from page.get("items") or ()
        after = str((page.get("metadata") or {}).get("continue") or "")
        if not after:
            return
