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


@contextmanager
def held(state: Path, patience: float = 0.0) -> Iterator[None]:
    """Holds the lock of a state file, waiting `patience` seconds for whoever holds it.

    Raises Conflict, saying who holds it and since when, or Unreachable.
    """
    path = state.with_name(state.name + ".lock")
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
    """Who runs and since when, or None where nobody does."""
    try:
        with held(state):
            return None
    except Conflict as error:
        return str(error)
    except Unreachable:
        return None


def _wait(descriptor: int, path: Path, patience: float) -> None:
    until = time.monotonic() + patience
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
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(mine).encode(), 0)


def _who(path: Path) -> str:
    try:
        found = json.loads(path.read_text("utf-8"))
        return f"another run holds the target: process {found['pid']} on {found['host']}, since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"another run holds the target ({path})"
