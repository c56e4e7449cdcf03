"""Requests as data: what is asked of the API server, before `client.py` sends it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from .resources import Resource

Data = Mapping[str, Any]

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

STRICT = (("fieldValidation", "Strict"),)
"""Without it an unknown field of a custom resource is pruned, with a warning that nobody reads."""


class Verb(StrEnum):
    """As RBAC has them."""

    GET = "get"
    LIST = "list"
    WATCH = "watch"
    CREATE = "create"
    PATCH = "patch"
    DELETE = "delete"


METHODS = {
    Verb.GET: "GET",
    Verb.LIST: "GET",
    Verb.WATCH: "GET",
    Verb.CREATE: "POST",
    Verb.PATCH: "PATCH",
    Verb.DELETE: "DELETE",
}


@dataclass(frozen=True)
class Request:
    """One call."""

    verb: Verb
    resource: Resource
    namespace: str = ""
    """Empty for what has none, and for lists and watches of all namespaces."""
    name: str = ""
    """Empty for lists and creations."""
    body: Any = None
    query: tuple[tuple[str, str], ...] = ()
    content_type: str = JSON
    subresource: str = ""

    @property
    def method(self) -> str:
        return METHODS[self.verb]

    @property
    def path(self) -> str:
        parts = ["namespaces", self.namespace] if self.namespace else []
        parts += [each for each in (self.resource.plural, self.name, self.subresource) if each]
        return "/".join((self.resource.root, *(quote(part, safe="") for part in parts)))

    @property
    def writes(self) -> bool:
        return self.verb in (Verb.CREATE, Verb.PATCH, Verb.DELETE)

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"{self.verb} {self.resource.kind}{name}" + (f" in {self.namespace}" if self.namespace else "")


def get(resource: Resource, namespace: str, name: str) -> Request:
    """One object."""
    return Request(Verb.GET, resource, namespace, name)


def matching(labels: Mapping[str, str] | None) -> str:
    """A label selector for those that have all of these."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def listing(resource: Resource, namespace: str, selector: str = "", limit: int = 0, after: str = "") -> Request:
    """Those that `selector` lets through, in kubectl's words: `app=shop,version in (v1, v2)`.

    With a limit it is one page; its `metadata.continue` is the `after` of the next.
    """
    asked = (("labelSelector", selector), ("limit", str(limit or "")), ("continue", after))
    return Request(Verb.LIST, resource, namespace, query=tuple(each for each in asked if each[1]))


def watch(resource: Resource, namespace: str, version: str, seconds: int, selector: str = "") -> Request:
    """What happens after this resourceVersion, with bookmarks; the server ends it after `seconds`."""
    asked = (("watch", "true"), ("allowWatchBookmarks", "true"), ("resourceVersion", version))
    chosen = (("labelSelector", selector),) if selector else ()
    return Request(Verb.WATCH, resource, namespace, query=(*asked, ("timeoutSeconds", str(seconds)), *chosen))


def create(resource: Resource, namespace: str, body: Data) -> Request:
    """A new object; `body` without apiVersion and kind."""
    whole = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
    return Request(Verb.CREATE, resource, namespace, body=whole, query=STRICT)


def patch(resource: Resource, namespace: str, name: str, operations: Sequence[Data]) -> Request:
    """A JSON patch (RFC 6902); where one of its tests fails, nothing is changed."""
    body = [dict(operation) for operation in operations]
    return Request(Verb.PATCH, resource, namespace, name, body, STRICT, JSON_PATCH)


def merge(resource: Resource, namespace: str, name: str, version: str, change: Data) -> Request:
    """A merge patch (RFC 7386) onto exactly this resourceVersion."""
    metadata = {**change.get("metadata", {}), "resourceVersion": version}
    return Request(Verb.PATCH, resource, namespace, name, {**change, "metadata": metadata}, STRICT, MERGE_PATCH)


def merge_status(resource: Resource, namespace: str, name: str, version: str, status: Data) -> Request:
    """A merge patch of the status only, which is a resource of its own, onto exactly this resourceVersion."""
    return replace(merge(resource, namespace, name, version, {"status": status}), subresource="status")


def delete(resource: Resource, namespace: str, name: str) -> Request:
    """The end of an object."""
    return Request(Verb.DELETE, resource, namespace, name)
