"""Whether a process is at work on a rollout, in a sentence: by the lock of its target, a Lease or a file."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from canary.engine.errors import CanaryError

from . import lock
from .file import FileStore
from .lease import RunLease, holding

RUN = "canary run with the same manifest"
"""How a run's rollout goes on after the run was killed."""
CONTROLLERS = "-l app.kubernetes.io/name=canary"
"""Selects the controller's pods."""


@dataclass(frozen=True)
class Presence:
    """Whether a process moves the traffic of a rollout now, and which one."""

    active: bool
    sentence: str
    """`process 4711 on ci runs it`, or since when no process does."""
    howto: str = ""
    """The command with which it goes on; empty while one is active."""

    def __str__(self) -> str:
        return f"{self.sentence}; go on with: {self.howto}" if self.howto else self.sentence


def of_lease(lock: RunLease) -> Presence | None:
    """Who is at work on a target, by its Lease; None where that can't be read."""
    try:
        found = holding(lock, datetime.now(UTC))
    except CanaryError:
        return None
    if found is None:
        return Presence(False, "no process has taken the target", RUN)
    if found.leader and found.seen is None:
        return None  # the leader's Lease may not be read
    if found.alive:
        return Presence(True, f"{found.who} {'leads' if found.leader else 'runs it'}")
    if not found.leader:
        return _absent("no run is active", found.seen, found.who, RUN)
    howto = f"kubectl -n {found.leader.partition('/')[0]} get pods {CONTROLLERS}"
    return _absent("no controller is the leader", found.seen, found.who, howto)


def of_file(state: Path, store: FileStore) -> Presence | None:
    """By the lock that the kernel frees, and the time of the last save."""
    try:
        stored, who = store.load(), lock.signature(state)
    except CanaryError:
        return None
    if lock.holder(state) is not None:
        return Presence(True, f"{who or 'a process'} runs it")
    return _absent("no run is active", stored.at if stored is not None else None, who, RUN)


def _absent(sentence: str, seen: datetime | None, last: str, howto: str) -> Presence:
    since = f" since {seen:%Y-%m-%d %H:%M:%S} UTC" if seen else ""
    return Presence(False, f"{sentence}{since}{f' (the last was {last})' if last else ''}", howto)
