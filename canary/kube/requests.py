"""Requests as data: what is asked of the API server, before `client.py` sends it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    CREATE = "create"
    PATCH = "patch"
    DELETE = "delete"


METHODS = {
    Verb.GET: "GET",
    Verb.LIST: "GET",
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
    """Empty for what has none."""
    name: str = ""
    """Empty for lists and creations."""
    body: Any = None
    query: tuple[tuple[str, str], ...] = ()
    content_type: str = JSON

    @property
    def method(self) -> str:
        return METHODS[self.verb]

    @property
    def path(self) -> str:
        parts = ["namespaces", self.namespace] if self.namespace else []
        parts += [self.resource.plural] + ([self.name] if self.name else [])
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


def listing(resource: Resource, namespace: str, labels: Mapping[str, str] | None = None) -> Request:
    """Those of a namespace that have all these labels; all of them for None."""
    selector = ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))
    return Request(Verb.LIST, resource, namespace, query=(("labelSelector", selector),) if selector else ())


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


def delete(resource: Resource, namespace: str, name: str) -> Request:
    """The end of an object."""
    return Request(Verb.DELETE, resource, namespace, name)
