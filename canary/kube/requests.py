"""Requests as data: what is asked of the API server, before `client.py` sends it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from .resources import SELF_SUBJECT_REVIEWS, Resource

Data = Mapping[str, Any]

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
MANAGER = "canary"
"""The field manager of server-side apply."""

STRICT = (("fieldValidation", "Strict"),)
"""Without it an unknown field of a custom resource is pruned, with a warning that is lost."""


class ApiVerb(StrEnum):
    """As RBAC has them."""

    GET = "get"
    LIST = "list"
    WATCH = "watch"
    CREATE = "create"
    PATCH = "patch"
    DELETE = "delete"


METHODS = {ApiVerb.CREATE: "POST", ApiVerb.PATCH: "PATCH", ApiVerb.DELETE: "DELETE"}
"""Of HTTP, for verbs that write; all others are GET."""


@dataclass(frozen=True)
class Request:
    """One call."""

    verb: ApiVerb
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
        return METHODS.get(self.verb, "GET")

    @property
    def path(self) -> str:
        parts = ["namespaces", self.namespace] if self.namespace else []
        parts += [each for each in (self.resource.plural, self.name, self.subresource) if each]
        return "/".join((self.resource.root, *(quote(part, safe="") for part in parts)))

    @property
    def writes(self) -> bool:
        """Whether it changes anything; a review is created to be answered, and is kept nowhere."""
        return self.verb in METHODS and self.resource != SELF_SUBJECT_REVIEWS

    def of(self, resource: Resource) -> "Request":
        """The same about another version of its kind."""
        whole = self.verb is ApiVerb.CREATE or self.content_type == APPLY
        named = {**self.body, "apiVersion": resource.api_version} if whole else self.body
        return replace(self, resource=resource, body=named)

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"{self.verb} {self.resource.kind}{name}" + (f" in {self.namespace}" if self.namespace else "")


def get(resource: Resource, namespace: str, name: str) -> Request:
    """One object."""
    return Request(ApiVerb.GET, resource, namespace, name)


def matching(labels: Mapping[str, str] | None) -> str:
    """A label selector for those that have all of these."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def listing(resource: Resource, namespace: str, selector: str = "", limit: int = 0, after: str = "") -> Request:
    """Those that `selector` lets through, in kubectl's words: `app=shop,version in (v1, v2)`.

    With a limit it is one page; its `metadata.continue` is the `after` of the next.
    """
    asked = (("labelSelector", selector), ("limit", str(limit or "")), ("continue", after))
    return Request(ApiVerb.LIST, resource, namespace, query=tuple(each for each in asked if each[1]))


def watch(resource: Resource, namespace: str, version: str, seconds: int, selector: str = "") -> Request:
    """What happens after this resourceVersion, with bookmarks; the server ends it after `seconds`."""
    asked = (("watch", "true"), ("allowWatchBookmarks", "true"), ("resourceVersion", version))
    chosen = (("labelSelector", selector),) if selector else ()
    return Request(ApiVerb.WATCH, resource, namespace, query=(*asked, ("timeoutSeconds", str(seconds)), *chosen))


def create(resource: Resource, namespace: str, body: Data) -> Request:
    """A new object; `body` without apiVersion and kind."""
    whole = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
    return Request(ApiVerb.CREATE, resource, namespace, body=whole, query=STRICT)


def patch(resource: Resource, namespace: str, name: str, operations: Sequence[Data]) -> Request:
    """A JSON patch (RFC 6902); where one of its tests fails, nothing is changed."""
    body = [dict(operation) for operation in operations]
    return Request(ApiVerb.PATCH, resource, namespace, name, body, STRICT, JSON_PATCH)


def merge(
    resource: Resource, namespace: str, name: str, version: str, change: Data, subresource: str = ""
) -> Request:
    """A merge patch (RFC 7386) onto exactly this resourceVersion; the status is a resource of its own."""
    metadata = {**change.get("metadata", {}), "resourceVersion": version}
    body = {**change, "metadata": metadata}
    return Request(ApiVerb.PATCH, resource, namespace, name, body, STRICT, MERGE_PATCH, subresource)


def apply(resource: Resource, namespace: str, name: str, body: Data) -> Request:
    """Server-side apply: these fields get these values, and those that were applied before and aren't here go."""
    whole = {**body, "apiVersion": resource.api_version, "kind": resource.kind}
    query = (("fieldManager", MANAGER), ("force", "true"), *STRICT)
    return Request(ApiVerb.PATCH, resource, namespace, name, whole, query, APPLY)


def scale(resource: Resource, namespace: str, name: str, replicas: int) -> Request:
    """The desired replicas of a workload, through its `scale` subresource."""
    body = {"spec": {"replicas": replicas}}
    return Request(ApiVerb.PATCH, resource, namespace, name, body, STRICT, MERGE_PATCH, "scale")


def delete(resource: Resource, namespace: str, name: str) -> Request:
    """The end of an object."""
    return Request(ApiVerb.DELETE, resource, namespace, name)
