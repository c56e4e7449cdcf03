"""Reads the ConfigMaps and Secrets that a target's pods read.

ConfigMaps are watched by the controller, so that they cost no request. Secrets are never listed or watched: they are
read by name, and only a digest of them is remembered, for a few seconds.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from canary.engine.observed import Cause
from canary.kube.client import Client, Object
from canary.kube.errors import Forbidden, NotFound
from canary.kube.resources import CONFIG_MAPS, SECRETS, Resource
from canary.primary.configs import CONFIG_MAP, SECRET, Config, ConfigRef, digest, tracked

log = logging.getLogger(__name__)
KINDS: Mapping[str, Resource] = {CONFIG_MAP: CONFIG_MAPS, SECRET: SECRETS}
REMEMBERED = 10.0
"""Seconds for which the controller believes the digest of a Secret; it asks again before an increase."""
_warned: set[tuple[str, str]] = set()
"""Kinds that may not be read, by namespace, once this was logged."""


@dataclass
class Configs:
    """Those of one namespace."""

    client: Client
    namespace: str
    remembered: float = 0.0
    """Seconds for which the digest of a Secret is believed."""
    clock: Callable[[], float] = time.monotonic
    blind: bool = False
    """Whether some may not be read: then their edits aren't seen."""
    _secrets: dict[str, tuple[float, Object | None]] = field(default_factory=dict)
    """When they were read, without their contents; None for one that isn't there or may not be read."""

    def seen(self, references: Iterable[ConfigRef]) -> dict[Config, Object]:
        """Those that are tracked, with their digests. Raises NotFound for a mandatory one, and others."""
        return self._all(references, self._seen)

    def fresh(self, references: Iterable[ConfigRef]) -> dict[Config, Object]:
        """The same as the server has them now, with their contents."""
        return self._all(references, self._fresh)

    def _all(
        self, references: Iterable[ConfigRef], read: Callable[[ConfigRef], Object | None]
    ) -> dict[Config, Object]:
        found = {one.config: each for one in references if (each := read(one)) is not None}
        return {one: each for one, each in found.items() if tracked(one.kind, each)}

    def _seen(self, one: ConfigRef) -> Object | None:
        if one.kind != SECRET:
            return self._read(one, self.client.get)
        known = self._secrets.get(one.name)
        if known is None or self.clock() - known[0] >= self.remembered:
            self._fresh(one)
            known = self._secrets[one.name]
        return known[1]

    def _fresh(self, one: ConfigRef) -> Object | None:
        found = self._read(one, self.client.fresh)
        if one.kind == SECRET:
            self._secrets[one.name] = self.clock(), found and _without_contents(found)
        return found

    def _read(self, one: ConfigRef, read: Callable[[Resource, str, str], Object]) -> Object | None:
        try:
            return read(KINDS[one.kind], self.namespace, one.name)
        except NotFound:
            if one.optional:
                return None
            raise NotFound(Cause.ABSENT, f"its pods need the {one.config}, which doesn't exist") from None
        except Forbidden as error:
            self.blind = True
            if (self.namespace, one.kind) not in _warned:
                _warned.add((self.namespace, one.kind))
                log.warning("edits of %ss of namespace %s aren't seen: %s", one.kind, self.namespace, error)
            return None


def _without_contents(found: Mapping[str, Any]) -> Object:
    return {"metadata": found["metadata"], "type": found.get("type"), "digest": digest(found)}
