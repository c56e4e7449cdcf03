"""What bootstrap is asked with, and what it hands out, wherever a rollout runs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.api.revision import PromotedRevision
from canary.api.status import Message, Status, Version
from canary.engine.observed import Missing, Stored
from canary.manifests.reading import ANY
from canary.manifests.target import ManifestTarget
from canary.ports import Notifier, Parts
from canary.stores.presence import Presence

READS = 6
"""Reads of one reconcile that run side by side: version, route, two workloads, actions, metrics."""


@dataclass(frozen=True)
class Place:
    """What a user names: files, and where to look."""

    manifests: Sequence[Path] = ()
    state: Path | None = None
    """A state file; None for the one beside the manifest, or for the cluster."""
    policy: str | None = None
    prometheus: str | None = None
    """Overrides the manifest's `metricsServer`."""
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    version: str | None = None
    """Overrides the manifest's `version`."""
    revision: str | None = None
    """Overrides the manifest's `revision`."""
    notify: Sequence[str] = ()
    """URLs that a run sends its alerts to."""
    name: str | None = None
    """Of the Canary, if the manifests have several."""

    @property
    def target(self) -> ManifestTarget:
        """What the manifests say, with what overrides them. Raises Invalid."""
        return ManifestTarget(
            self.manifests, self.policy, self.prometheus, self.version, self.revision, name=self.name
        )

    @property
    def named(self) -> ManifestTarget:
        """The same for commands beside a run, which only need to know what moves. Raises Invalid.

        A pipeline may give the version to the run alone.
        """
        return replace(self, version=self.version or ANY).target


@dataclass(frozen=True)
class Past:
    """What a user says about the recorded rollout."""

    start: datetime | None = None
    end: datetime | None = None
    stable: str | None = None
    """The name by which metrics know the stable version; None for what the manifest says."""
    canary: str | None = None
    samples: Path | None = None
    """A file of samples instead of a Prometheus."""


class Loads(Protocol):
    """Reads a status."""

    def load(self) -> Stored | None:
        """What was saved last, or None. Raises Rejected or Unreachable."""


@dataclass(frozen=True)
class Followed:
    """A Canary object of a cluster, for commands that follow it or set its version."""

    read: Callable[[], Canary | None]
    """As it is now; None where it is gone. Raises Rejected or Unreachable."""
    desired_version: Callable[[Canary], Version | Missing]
    """The version that it wants, with the revision that is behind it now."""
    post: Callable[[CanaryAction], str]
    """As Memory's."""
    want: Callable[[str], Canary]
    """Sets `spec.version`. Raises Conflict, Rejected or Unreachable."""
    events: Callable[[], Sequence[Message]]
    """Its Events, oldest first. Raises Rejected or Unreachable."""
    destinations: Callable[[Canary], frozenset[str]]
    """Versions that requests can be sent to; empty if that isn't known."""
    canary: Canary
    """As it was when it was opened."""
    presence: Callable[[], Presence | None] = lambda: None
    """As Memory's."""
    put_back: Callable[[str], bool] | None = None
    """As Run's."""


@dataclass(frozen=True)
class Memory:
    """What a run remembers, for commands that look at it or ask something of it."""

    name: str
    """Of the Canary."""
    store: Loads
    post: Callable[[CanaryAction], str]
    """Adds an action; returns the id under which status will know it. Raises Unreachable or Rejected."""
    holder: Callable[[], str | None]
    """Who runs now and since when, or None."""
    author: str
    """Who asks from here."""
    howto: str
    """How a command names this rollout: `-f shop.yaml`."""
    status: Status
    """As it was when it was opened."""
    proves: bool = False
    """Whether the place that actions are added to proves who added them, or says itself that it doesn't."""
    namespace: str = ""
    """In the cluster; empty for a state file."""
    object: Followed | None = None
    """The Canary object, where it is one; None for a run of the command."""
    saved: datetime | None = None
    """When the status was saved, if that is known."""
    presence: Callable[[], Presence | None] = lambda: None
    """The process that works on the rollout; None if it isn't known. Raises nothing."""
    promoted: Callable[[], Sequence[PromotedRevision]] = tuple
    """The kept revisions of a target that has a primary, newest first; else none. Raises Rejected or Unreachable."""
    run: "Memory | None" = None
    """The run that holds the target of a Canary object at this moment."""

    def read(self) -> Status:
        """As it is now. Raises Rejected or Unreachable."""
        stored = self.store.load()
        return Status() if stored is None else stored.status


def keeping(post: Callable[[CanaryAction], None]) -> Callable[[CanaryAction], str]:
    """For places that take an action under the id that it comes with."""

    def posted(action: CanaryAction) -> str:
        post(action)
        return action.id

    return posted


@dataclass(frozen=True)
class Run:
    """What `canary run` needs."""

    parts: Parts
    lock: Callable[[float], AbstractContextManager[Callable[[], None]]]
    """Holds the target, waiting this many seconds for another run. Raises Conflict, saying who runs.

    What it gives raises Conflict once the lock is another's."""
    post: Callable[[CanaryAction], None]
    author: str
    howto: str
    put_back: Callable[[str], bool] | None = None
    """Gives the target the pod template of a kept revision; False where it has it. Raises Conflict, Rejected or
    Unreachable. None for a target that has no primary."""

    server: str | None = None
    """The Prometheus that its metrics are asked of, unless a template names another server."""

    @property
    def name(self) -> str:
        """Of the Canary."""
        return self.parts.target.resolved().manifest.metadata.name

    def retry(self) -> None:
        """Asks to try again what failed, if anything did."""
        stored = self.parts.store.load()
        if stored is None or stored.status.failed is None or stored.status.rollout is not None:
            return
        now = self.parts.clock.now()
        id_ = f"{now:%Y%m%dT%H%M%S.%f}-retry"
        self.post(CanaryAction(id=id_, target=self.name, verb=Verb.RETRY, author=self.author, at=now))


def headers_of(manifest: ManifestTarget) -> Callable[[str, str], Mapping[str, Sequence[str]] | None]:
    """Finds the headers of a MetricTemplate in the files, as they are now."""

    def found(namespace: str, name: str) -> Mapping[str, Sequence[str]] | None:
        templates = manifest.resolved().templates
        template = templates.get(f"{namespace}/{name}") or templates.get(name)
        return None if template is None else template.spec.provider.headers

    return found


class Silent(Notifier):
    """Sends no notifications: a run prints its messages itself."""

    def notify(self, messages: Sequence[Message]) -> None:
        return None
