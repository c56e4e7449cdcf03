"""What bootstrap is asked with, and what it hands out, wherever a rollout runs."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.api.status import Message, Status, Version
from canary.engine.observed import Missing, Stored
from canary.rollout.ports import Parts

POLL = 0.1
"""Seconds between two looks at signals and the inbox while a run waits."""
READS = 6
"""Reads of one tick that run side by side: version, route, two workloads, actions, metrics."""


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


class Loads(Protocol):
    """Reads a status."""

    def load(self) -> Stored | None:
        """What was saved last, or None. Raises Rejected or Unreachable."""


@dataclass(frozen=True)
class Followed:
    """A Canary object of a cluster, for commands that follow it or say what it shall want."""

    read: Callable[[], Canary | None]
    """As it is now; None where it is gone. Raises Rejected or Unreachable."""
    wanted: Callable[[Canary], Version | Missing]
    """The version that it wants, with the revision that is behind it now."""
    post: Callable[[CanaryAction], str]
    """As Memory's."""
    want: Callable[[str], Canary]
    """Sets `spec.version`. Raises Conflict, Rejected or Unreachable."""
    events: Callable[[], Sequence[Message]]
    """Its Events, oldest first. Raises Rejected or Unreachable."""
    destinations: Callable[[Canary], frozenset[str]]
    """Versions that requests can be sent to; empty where that can't be told."""
    canary: Canary
    """As it was when it was opened."""


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
    lock: Callable[[float], AbstractContextManager[object]]
    """Holds the target, waiting this many seconds for another run. Raises Conflict, saying who runs."""
    post: Callable[[CanaryAction], None]
    author: str
    howto: str

    @property
    def name(self) -> str:
        """Of the Canary."""
        return self.parts.target.desired().canary.metadata.name

    def retry(self) -> None:
        """Asks to try again what failed, if anything did."""
        stored = self.parts.store.load()
        if stored is None or stored.status.failed is None or stored.status.rollout is not None:
            return
        now = self.parts.clock.now()
        id_ = f"{now:%Y%m%dT%H%M%S.%f}-retry"
        self.post(CanaryAction(id=id_, target=self.name, verb=Verb.RETRY, author=self.author, at=now))


class WallClock:
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not woken():
            time.sleep(min(left, POLL))


class Silent:
    """Tells nobody: what a run has to say is on its own output already."""

    def tell(self, messages: Sequence[Message]) -> None:
        return None
