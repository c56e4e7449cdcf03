"""The target of a manifest on disk: read again whenever the file changes, because `version` and `revision`
are what the user wants *now*."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISREG

from canary.api.status import Version
from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Missing
from canary.engine.resolved import ResolvedSpec, resolve_spec
from canary.engine.targets import target_of
from canary.ports import Target

from .linting import load

Stamp = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of each file; of a pipe, which can be read only once, the inode."""


@dataclass
class ManifestTarget(Target):
    """What the files say, and what they said when they could be read last."""

    paths: Sequence[Path]
    policy: str | None = None
    metrics_server: str | None = None
    """Overrides the manifest's `metricsServer`."""
    version: str | None = None
    """Overrides the manifest's `version`: a pipeline knows it, and needs no templates."""
    revision: str | None = None
    """Overrides the manifest's `revision`."""
    name: str | None = None
    """Of the Canary, if the files have several."""
    stamp: Stamp = ()
    value: ResolvedSpec = field(init=False)
    broken: str | None = None
    """Why the files can't be read now."""

    def __post_init__(self) -> None:
        self.stamp, self.value = self._stamp(), self._load()

    def resolved(self) -> ResolvedSpec:
        """The Canary; the last that could be read, where it can't be now. (The first one raised Invalid.)"""
        self._refresh()
        return self.value

    def desired_version(self) -> Version | Missing:
        """The version and revision that the files ask for now."""
        self._refresh()
        if self.broken is not None:
            return Missing(Cause.INVALID, self.broken)
        manifest = self.value.manifest
        _, name = target_of(manifest).names(manifest)
        return Version(name=name, revision=manifest.spec.revision)

    def _refresh(self) -> None:
        stamp = self._stamp()
        if stamp == self.stamp and self.broken is None:
            return
        try:
            self._check_files()
            self.value, self.broken = self._load(), None
        except Invalid as error:
            self.broken = str(error).splitlines()[0]
        self.stamp = stamp

    def _stamp(self) -> Stamp:
        try:
            stats = [path.stat() for path in self.paths]
        except OSError:
            return ()
        return tuple(
            (one.st_ino, one.st_size, one.st_mtime_ns) if S_ISREG(one.st_mode) else (one.st_ino, 0, 0)
            for one in stats
        )

    def _check_files(self) -> None:
        """Raises Invalid for what would block or never end; the first read may be of a pipe."""
        wrong = next((path for path in self.paths if path.exists() and not path.is_file()), None)
        if wrong is not None:
            raise Invalid(f"{wrong} is not a regular file any more")

    def _load(self) -> ResolvedSpec:
        given = load(
            [str(path) for path in self.paths],
            self.policy,
            self.name,
            metrics_server=self.metrics_server,
            version=self.version,
            revision=self.revision,
        )
        return resolve_spec(given.canary, given.policy, given.templates)


def in_namespace(found: ResolvedSpec, namespace: str) -> ResolvedSpec:
    """The same spec in this namespace, also if it was written for another."""
    metadata = found.manifest.metadata.but(namespace=namespace)
    return replace(found, manifest=found.manifest.but(metadata=metadata))


@dataclass(frozen=True)
class NamespacedTarget(Target):
    """What the manifest wants, in the namespace that it is used in; the revision is what really runs."""

    manifest: ManifestTarget
    namespace: str
    revision: Callable[[str], str | Missing]
    """The revision that runs behind a version now."""

    def resolved(self) -> ResolvedSpec:
        """See the port; the namespace is the one that it is used in."""
        return in_namespace(self.manifest.resolved(), self.namespace)

    def desired_version(self) -> Version | Missing:
        version = self.manifest.desired_version()
        if isinstance(version, Missing):
            return version
        revision = self.revision(version.name)
        return revision if isinstance(revision, Missing) else version.but(revision=revision)
