"""Which Canaries move which VirtualServices: those that they name, and those that these turned out to refer to."""

from collections.abc import Iterable
from threading import Lock

from canary.istio.scope import Ref

from .sharing import Key


class Movers:
    """Safe to share between threads."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, set[Key]]] = {}
        """By namespace and name of a VirtualService."""
        self._refs: dict[Key, set[Ref]] = {}
        self._lock = Lock()

    def add(self, key: Key, refs: Iterable[Ref]) -> None:
        """It moves these as well; no news for a Canary that isn't known (any more)."""
        with self._lock:
            if key in self._refs:
                self._put(key, refs)

    def replace(self, key: Key, refs: Iterable[Ref]) -> None:
        """It moves these, and no others that were known of it."""
        with self._lock:
            self._drop(key)
            self._refs[key] = set()
            self._put(key, refs)

    def remove(self, key: Key) -> None:
        """The Canary is gone."""
        with self._lock:
            self._drop(key)

    def of(self, *refs: Ref) -> set[Key]:
        """Those that move any of these."""
        with self._lock:
            return {key for ref in refs for key in self._keys.get(ref.namespace, {}).get(ref.name, ())}

    def near(self, namespace: str) -> set[Key]:
        """Those that move something in a namespace."""
        with self._lock:
            return {key for keys in self._keys.get(namespace, {}).values() for key in keys}

    def __len__(self) -> int:
        return len(self._refs) + len(self._keys)

    def _put(self, key: Key, refs: Iterable[Ref]) -> None:
        for ref in refs:
            self._refs[key].add(ref)
            self._keys.setdefault(ref.namespace, {}).setdefault(ref.name, set()).add(key)

    def _drop(self, key: Key) -> None:
        for ref in self._refs.pop(key, ()):
            names = self._keys[ref.namespace]
            names[ref.name].discard(key)
            if not names[ref.name]:
                del names[ref.name]
            if not names:
                del self._keys[ref.namespace]
