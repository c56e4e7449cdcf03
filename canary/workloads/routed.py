"""What the primaries of all targets have in common: their routes, and the removal of what was made for them.

Routes that were there before are changed in exactly the version that was read.
"""

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from canary.api.canary import Canary
from canary.engine.errors import Invalid, Rejected
from canary.kube.client import Client, Object
from canary.kube.errors import NotFound
from canary.kube.resources import SERVICES, Resource
from canary.ports import Primary
from canary.primary.names import MARK, ORIGINAL, Names
from canary.primary.provisioning import MADE, Provisioning, mark
from canary.primary.reading import annotation, original

from .pods import metadata

Data = Mapping[str, Any]
Checked = Callable[[], AbstractContextManager[None]]
"""Makes the checks before a write, and lets its requests through meanwhile."""


NOT_SHARED = (
    "spec.service.name: the Services and routes of {} are those of the Canary {}; write another name, or delete that "
    "Canary with revertOnDeletion"
)


class RoutedPrimary(Primary):
    """The port Primary as far as it is the same for all kinds of targets."""

    def __init__(
        self, client: Client, canary: Callable[[], Canary], namespace: str, routes: Provisioning, checked: Checked
    ) -> None:
        self._client = client
        self._canary = canary
        self._namespace = namespace
        self._routes = routes
        self._checked = checked

    @abstractmethod
    def _own(self, names: Names) -> Sequence[tuple[Resource, str]]:
        """All that may be canary's, in the order in which it is removed."""

    def _there(self, resource: Resource, name: str) -> Object | None:
        try:
            return self._client.get(resource, self._namespace, name)
        except NotFound:
            return None

    def _whole(self, resource: Resource, name: str) -> Object | None:
        """An object as the server has it, whole."""
        with suppress(NotFound):
            return self._client.fresh(resource, self._namespace, name)
        return None

    def _unmade(self, target: Data | None) -> list[str]:
        """Routes, and what is beside them, that are missing or made of another `spec.service`.

        With the target also adopted routes that another client has pointed at the Service again.
        """
        current, missing = mark(self._canary()), []
        for resource, name in self._routes.named(self._canary()):
            one = self._there(resource, name)
            made = one is not None and annotation(one, MADE) == current
            if one is None or not made or (target is not None and self._pointed_back(resource, one, target)):
                missing.append(f"{resource.kind} {name}")
        return missing

    def _pointed_back(self, resource: Resource, found: Data, target: Data) -> bool:
        if resource != self._routes.routes or original(found) is None:
            return False
        return bool(valid(lambda: self._routes.adopt(found, self._canary(), target))["spec"] != found["spec"])

    def _ours(self, names: Names) -> tuple[str, ...]:
        there = [(resource, name, self._there(resource, name)) for resource, name in self._own(names)]
        foreign = bool(self._foreign(names))
        return tuple(
            f"{resource.kind} {name}"
            for resource, name, found in there
            if annotation(found, MARK) == self._canary().metadata.name
            or (original(found) is not None and not foreign)
        )

    def _foreign(self, names: Names) -> str:
        """Another Canary that has the Services; empty if none has. What it has adopted is nothing of this one's."""
        own = (names.apex, names.primary_host, names.canary_host)
        marks = (annotation(self._there(SERVICES, one), MARK) for one in own)
        return next((mark for mark in marks if mark not in ("", self._canary().metadata.name)), "")

    def _remove_own(self, names: Names) -> None:
        for resource, name in self._own(names):
            found = self._there(resource, name)
            if found is None or annotation(found, MARK) != self._canary().metadata.name:
                continue
            if original(found) is not None:  # empties what server-side apply has put in
                self._client.apply(resource, self._namespace, name, {"metadata": {"name": name}})
            else:
                self._delete(resource, name)

    def _delete(self, resource: Resource, name: str) -> None:
        with suppress(NotFound):
            self._client.delete(resource, self._namespace, name)

    def _routed(self, canary: Canary, target: Object) -> None:
        """Routes that are there already are changed in exactly the version that was read."""
        noted = {MADE: mark(canary)}
        beside, route = valid(lambda: self._routes.make(canary, target))
        for kind, one in beside:
            self._client.apply(kind, self._namespace, metadata(one)["name"], _marked(one, noted))
        resource, name = self._routes.routes, str(metadata(route)["name"])
        try:
            found = self._client.fresh(resource, self._namespace, name)
        except NotFound:
            self._client.create(resource, self._namespace, _marked(route, noted))
            return
        made = annotation(found, MARK) == canary.metadata.name
        spec = (route if made else self._routes.adopt(found, canary, target))["spec"]
        if not made and original(found) is None:
            noted |= {ORIGINAL: json.dumps(self._routes.note(found))}
        annotations = {**(metadata(found).get("annotations") or {}), **noted}
        self._client.patch(resource, self._namespace, name, [
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata(found)["resourceVersion"]},
            {"op": "replace", "path": "/spec", "value": spec},
            {"op": "add", "path": "/metadata/annotations", "value": annotations},
        ])  # fmt: skip

    def _unrouted(self, canary: Canary, target: Object) -> None:
        resource, name = self._routes.routes, Names.of(canary).apex
        try:
            found = self._client.fresh(resource, self._namespace, name)
        except NotFound:
            return
        before = original(found)
        if before is None and annotation(found, MARK) == canary.metadata.name:
            self._delete(resource, name)
            return
        if before is None:
            return
        own = (MADE, ORIGINAL)
        annotations = {key: one for key, one in metadata(found)["annotations"].items() if key not in own}
        self._client.patch(resource, self._namespace, name, [
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata(found)["resourceVersion"]},
            {"op": "replace", "path": "/spec", "value": self._routes.give_back(found, before, canary, target)},
            {"op": "add", "path": "/metadata/annotations", "value": annotations},
        ])  # fmt: skip


def valid(make: Callable[[], Any]) -> Any:
    """Raises Rejected in place of Invalid: what a port may raise."""
    try:
        return make()
    except Invalid as error:
        raise Rejected(str(error)) from error


def _marked(made: Data, annotations: Mapping[str, str]) -> Object:
    about = metadata(made)
    marked = {**about, "annotations": {**(about.get("annotations") or {}), **annotations}}
    return {"metadata": marked, "spec": made["spec"]}
