"""What a reflector remembers: a projection of each object, with the resourceVersion that it is from.

ResourceVersions of one kind compare as integers: Kubernetes promises it since 1.35, and etcd has always made it so.
`reflector.py` fills this.
"""

import threading
from collections.abc import Iterator, Sequence
from sys import intern
from typing import Generic, NamedTuple, TypeVar

from .names import NamespacedName

T = TypeVar("T")


class Change(NamedTuple, Generic[T]):
    """An object at the last event, and now."""

    before: T | None
    after: T | None


class Cache(Generic[T]):
    """By namespace and name. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, dict[str, tuple[int, T | None]]] = {}
        """None stands only where our own write ended an object's being kept, until the watch has seen it."""
        self._unhandled: dict[NamespacedName, T | None] = {}
        """What stood there before a write of our own, until the watch has seen that write."""
        self._seen = 0
        """The resourceVersion that the watch has come to."""

    def get(self, namespace: str, name: str) -> T | None:
        with self._lock:
            found = self._kept.get(namespace, {}).get(name)
        return None if found is None else found[1]

    def items(self, namespace: str | None) -> Sequence[tuple[NamespacedName, T]]:
        """Of one namespace, or of all for None."""
        with self._lock:
            chosen = self._kept if namespace is None else {namespace: self._kept.get(namespace, {})}
            return [
                ((space, name), value)
                for space, found in chosen.items()
                for name, (_, value) in found.items()
                if value is not None
            ]

    def wrote(self, key: NamespacedName, version: int, value: T | None) -> None:
        """The answer to our own write: it counts at once, unless the watch has come further."""
        with self._lock:
            before = self._at(key)
            if version <= max(self._seen, before[0] if before else 0):
                return
            self._unhandled.setdefault(key, before[1] if before else None)
            self._kept.setdefault(intern(key[0]), {})[key[1]] = (version, value)

    def saw(self, key: NamespacedName, version: int, value: T | None) -> Change[T] | None:
        """What a list or a watch says; None where that is no news. A write of our own that is newer stays."""
        with self._lock:
            before = self._at(key)
            if before is not None and version < before[0]:
                return None
            handled = self._unhandled.pop(key) if key in self._unhandled else before[1] if before else None
            self._put(key, version, value)
        return None if handled == value else Change(handled, value)

    def reached(self, version: int) -> None:
        """The watch has come to here."""
        with self._lock:
            self._seen = max(self._seen, version)

    def set_back(self, version: int) -> None:
        """A list is at this resourceVersion; where that is older than what we saw, it counts nevertheless.

        The server's memory was restored from a backup, and its versions go on from there.
        """
        with self._lock:
            if version >= self._seen:
                return
            self._seen = 0
            for found in self._kept.values():
                found.update({name: (0, value) for name, (_, value) in found.items()})

    def left_over(self, seen: set[NamespacedName], version: int) -> Iterator[tuple[NamespacedName, Change[T]]]:
        """Takes out what a whole list of this resourceVersion didn't have; yields what of that was there."""
        with self._lock:
            gone = [(space, name) for space, found in self._kept.items() for name in found]
        for key in gone:
            change = self.saw(key, version, None) if key not in seen else None
            if change is not None:
                yield key, change

    def _put(self, key: NamespacedName, version: int, value: T | None) -> None:
        namespace, name = key
        if value is not None:
            self._kept.setdefault(intern(namespace), {})[name] = (version, value)
            return
        found = self._kept.get(namespace, {})
        found.pop(name, None)
        if not found:
            self._kept.pop(namespace, None)

    def _at(self, key: NamespacedName) -> tuple[int, T | None] | None:
        return self._kept.get(key[0], {}).get(key[1])
