"""One run at a time: a lock on `FILE.lock` that the kernel takes back when its holder dies, however it dies."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from canary.engine.errors import Conflict, Unreachable

AGAIN = 0.2
"""Seconds between two tries to take the lock."""
BLINK = 0.3
"""Seconds that every run waits at least: somebody who only asks for the holder has the lock for a moment."""


@contextmanager
def held(state: Path, patience: float = 0.0) -> Iterator[None]:
    """Holds the lock of a state file, waiting `patience` seconds for whoever holds it.

    Raises Conflict, saying who holds it and since when, or Unreachable.
    """
    path = _beside(state)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Unreachable(f"{path} can't be written: {error.strerror}") from error
    try:
        _wait(descriptor, path, patience)
        yield
    finally:
        os.close(descriptor)


def holder(state: Path) -> str | None:
    """Who runs and since when, or None where nobody does. Writes nothing."""
    path = _beside(state)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _who(path)
    finally:
        os.close(descriptor)
    return None


def _beside(state: Path) -> Path:
    return state.with_name(state.name + ".lock")


def _wait(descriptor: int, path: Path, patience: float) -> None:
    until = time.monotonic() + max(patience, BLINK)
    while True:
        try:
            return _take(descriptor, path)
        except Conflict:
            if time.monotonic() >= until:
                raise
            time.sleep(AGAIN)


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(_who(path)) from error
    mine = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(mine).encode(), 0)
    except OSError as error:
        raise Unreachable(f"{path} can't be written: {error.strerror}") from error


def _who(path: Path) -> str:
    try:
        found = json.loads(path.read_text("utf-8"))
        return f"another run holds the target: process {found['pid']} on {found['host']}, since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"another run holds the target ({path})"
