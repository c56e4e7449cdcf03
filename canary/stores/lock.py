"""One run at a time: a lock on `FILE.lock` that the kernel takes back when its holder dies, however it dies.

A run holds two: that of the route file that it moves, and that of the state file where it keeps what it decides.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import quote

from canary import files
from canary.engine.errors import Conflict, Unreachable

AGAIN = 0.2
"""Seconds between two tries to take the lock from another run."""
BLINK = 0.3
"""Seconds that every run waits at least: a command that only asks for the holder has the lock for a moment."""
SOON = 0.002
"""Seconds between two tries in that time. Commands that ask all the time leave gaps, often short ones."""
_LARGEST = 64 * 1024


@contextmanager
def held(file: Path, patience: float = 0.0, state: Path | None = None) -> Iterator[Callable[[], None]]:
    """Hold the lock of a file, waiting `patience` seconds for another holder; `state` is named to others.

    Raises Conflict, saying who holds it and since when, or Unreachable. What is yielded raises Conflict once the
    lock file is another one than the file that was locked.
    """
    path = _beside(file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Unreachable(f"{path} can't be written: {error.strerror}") from error
    try:
        _wait(descriptor, path, patience)
        _sign(descriptor, path, state)
        yield lambda: _check(descriptor, path)
    finally:
        os.close(descriptor)


def holder(file: Path) -> str | None:
    """The run and its start, or None. Writes nothing."""
    path = _beside(file)
    return _who(path) if _is_held(path) else None


def signature(file: Path) -> str:
    """The process that holds the lock, or held it last; empty if that isn't known."""
    found = _signed(_beside(file))
    return f"process {found['pid']} on {found['host']}" if {"pid", "host"} <= found.keys() else ""


def state_of_holder(file: Path) -> Path | None:
    """The state file of the run that holds the lock now, if there is one."""
    path = _beside(file)
    named = _signed(path).get("state") if _is_held(path) else None
    return Path(named) if isinstance(named, str) else None


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _beside(file: Path) -> Path:
    return file.with_name(file.name + ".lock")


def _check(descriptor: int, path: Path) -> None:
    try:
        same = os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        same = False
    if not same:
        raise Conflict(f"{path} was removed or replaced while this run held it")


def _wait(descriptor: int, path: Path, patience: float) -> None:
    start = time.monotonic()
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            waited = time.monotonic() - start
            if waited >= max(patience, BLINK):
                raise Conflict(_who(path)) from error
            time.sleep(SOON if waited < BLINK else AGAIN)


def _sign(descriptor: int, path: Path, state: Path | None) -> None:
    mine = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        **({} if state is None else {"state": os.path.abspath(state)}),
    }
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(mine).encode(), 0)
    except OSError as error:
        raise Unreachable(f"{path} can't be written: {error.strerror}") from error


def _who(path: Path) -> str:
    found = _signed(path)
    try:
        said = f"another run holds the target: process {found['pid']} on {found['host']}, since {found['since']}"
    except KeyError:
        return f"another run holds the target ({path})"
    return f"{said}, with its state in {found['state']}" if "state" in found else said


def _signed(path: Path) -> dict[str, object]:
    """What the holder wrote; empty where that can't be read."""
    try:
        found = json.loads(files.read(path, _LARGEST).data)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


FOLDER = ".canary"


@dataclass(frozen=True)
class StatePaths:
    """Where the state and the lock of a route file lie: beside the file itself, also where a link names it.

    In a folder of their own: Envoy reads the route file again whenever a file is renamed beside it.
    """

    routes: Path
    """The route file, without symbolic links."""

    @classmethod
    def of(cls, manifest: Path, routes: str) -> Self:
        return cls(Path(os.path.realpath(manifest.parent / routes)))

    @property
    def lock(self) -> Path:
        """What a run that moves the route file locks."""
        return self.routes.parent / FOLDER / self.routes.name

    def state(self, canary: str) -> Path:
        """The state file of the Canary of this name, unless the user names another one."""
        return self.lock.with_name(f"{self.routes.name}.{quote(canary, safe='')}.state.json")

    @contextmanager
    def held(self, state: Path, patience: float) -> Iterator[Callable[[], None]]:
        """Holds the target and the state file. Raises Conflict or Unreachable."""
        with held(self.lock, patience, state) as check, held(state, patience):
            yield check
