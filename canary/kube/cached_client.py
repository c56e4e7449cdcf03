"""A client that asks the server only for kinds without a watch: the rest is answered from what reflectors keep.

    get, find    of a watched kind: from memory; Unavailable if the watch is out of touch, from the server if urgent
    create, patch, apply, scale
                 our own write is seen at once; a patch that met another version looks at the server first

So an idle rollout costs no request, and the adapters don't know the difference. Lists by label go to the server, and
so does everything until a kind has been listed once.
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from canary.engine.observed import Cause

from .client import Client, Object
from .errors import Failure, NotFound, Unavailable, VersionConflict
from .requests import Data
from .resources import Resource

STALE = 30.0
"""Seconds for which what was seen last may be taken for what is, while a watch can't be had."""


class WatchHealth(Protocol):
    """Whether what a reflector keeps of a kind is up to date."""

    @property
    def synced(self) -> bool:
        """Whether it has listed all there is, once."""

    @property
    def trouble(self) -> str | None:
        """Why it can't list or watch now."""

    @property
    def last_seen(self) -> float:
        """When the server last showed a sign of life, by time.monotonic; infinitely long ago before that."""


class Kept(WatchHealth, Protocol):
    """What is kept of a kind that is followed, as JSON."""

    def get(self, namespace: str, name: str) -> bytes | None: ...

    def items(self, namespace: str | None = None) -> Sequence[tuple[tuple[str, str], bytes]]: ...

    def put(self, found: Object) -> None: ...


@dataclass(frozen=True)
class CachedClient(Client):
    """See the module."""

    kept: Mapping[Resource, Kept] = field(default_factory=lambda: MappingProxyType({}))
    parsed: dict[tuple[Resource, str], tuple[tuple[bytes, ...], list[Object]]] = field(default_factory=dict)
    """Lists as they were read last, by kind and namespace: all readers share them, and none may change them."""

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object; of a watched kind only what its projection keeps. Raises NotFound, Unavailable and others."""
        kept = self.kept.get(resource)
        if kept is None or not self._knows(resource, kept):
            return super().get(resource, namespace, name)
        found = kept.get(namespace, name)
        if found is None:
            raise NotFound(Cause.ABSENT, f"there is no {resource.kind} {name} in namespace {namespace}")
        return _unpacked(found)

    def find(self, resource: Resource, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """Those with all these labels; without labels, of a watched kind, from memory."""
        kept = self.kept.get(resource)
        if kept is None or labels or not self._knows(resource, kept):
            return super().find(resource, namespace, labels)
        there = tuple(found for _, found in kept.items(namespace))
        known = self.parsed.get((resource, namespace))
        if known is None or known[0] != there:  # identical ones compare by identity, which is quick
            known = self.parsed[resource, namespace] = there, [_unpacked(found) for found in there]
        return known[1]

    def create(self, resource: Resource, namespace: str, body: Data) -> Object:
        """As the client's; the answer is what is kept from now on."""
        found = super().create(resource, namespace, body)
        self._put(resource, found)
        return found

    def patch(self, resource: Resource, namespace: str, name: str, operations: Sequence[Data]) -> Object:
        """As the client's; the answer is what is kept from now on."""
        try:
            found = super().patch(resource, namespace, name, operations)
        except (VersionConflict, NotFound):
            self.look(resource, namespace, name)
            raise
        self._put(resource, found)
        return found

    def apply(self, resource: Resource, namespace: str, name: str, body: Data) -> Object:
        """As the client's; the answer is what is kept from now on."""
        found = super().apply(resource, namespace, name, body)
        self._put(resource, found)
        return found

    def scale(self, resource: Resource, namespace: str, name: str, replicas: int) -> None:
        """As the client's; the workload is looked at again."""
        super().scale(resource, namespace, name, replicas)
        self.look(resource, namespace, name)

    def fresh(self, resource: Resource, namespace: str, name: str) -> Object:
        """As the client's; the answer is what is kept from now on."""
        found = super().get(resource, namespace, name)
        self._put(resource, found)
        return found

    def look(self, resource: Resource, namespace: str, name: str) -> None:
        """Asks the server, because what is kept may be old. Leaves it as it is where the server can't be asked."""
        if resource not in self.kept:
            return
        with suppress(Failure):
            self.fresh(resource, namespace, name)

    def _knows(self, resource: Resource, kept: Kept) -> bool:
        """Whether what is kept is what is; where it can't be relied on, raises Unavailable, unless it is urgent."""
        silent = time.monotonic() - kept.last_seen
        in_touch = kept.trouble is None or silent <= STALE
        if not kept.synced or in_touch or self.hurry:
            return kept.synced and in_touch
        raise Unavailable(
            Cause.UNAVAILABLE, f"{resource.kind} objects weren't seen for {silent:.0f}s: {kept.trouble}"
        )

    def _put(self, resource: Resource, found: Object) -> None:
        kept = self.kept.get(resource)
        if kept is not None:
            kept.put(found)


def _unpacked(found: bytes) -> Object:
    made: Object = json.loads(found)
    return made
