"""The target of a manifest on disk: read again whenever the file changes, because `version` and `revision`
are what the user wants *now*."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from canary.api.status import Version
from canary.engine.desired import Desired, desired
from canary.engine.errors import Invalid
from canary.engine.observed import Kind, Missing

from .reading import load

Stamp = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of each file."""


@dataclass
class ManifestTarget:
    """What the files say, and what they said when they could be read last."""

    paths: Sequence[Path]
    policy: str | None = None
    metrics_server: str | None = None
    """Overrides the manifest's `metricsServer`."""
    stamp: Stamp = ()
    value: Desired = field(init=False)
    broken: str | None = None
    """Why the files can't be read now."""

    def __post_init__(self) -> None:
        self.stamp, self.value = self._stamp(), self._load()

    def desired(self) -> Desired:
        """The Canary; the last that could be read, where it can't be now. (The first one raised Invalid.)"""
        self._refresh()
        return self.value

    def wanted(self) -> Version | Missing:
        """The version and revision that the files ask for now."""
        self._refresh()
        if self.broken is not None:
            return Missing(Kind.INVALID, self.broken)
        spec = self.value.canary.spec
        return Version(name=spec.version or "", revision=spec.revision)

    def _refresh(self) -> None:
        stamp = self._stamp()
        if stamp == self.stamp and self.broken is None:
            return
        try:
            self.value, self.broken = self._load(), None
        except Invalid as error:
            self.broken = str(error).splitlines()[0]
        self.stamp = stamp

    def _stamp(self) -> Stamp:
        try:
            stats = [path.stat() for path in self.paths]
        except OSError:
            return ()
        return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats)

    def _load(self) -> Desired:
        given = load([str(path) for path in self.paths], self.policy, self.metrics_server)
        return desired(given.canary, given.policy, given.templates)
