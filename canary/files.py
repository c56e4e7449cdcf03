"""Reads files that others may replace while a rollout runs: regular files only, up to a size, and never waiting.

A FIFO would block the process that opens it, and a device such as /dev/zero has no end.
"""

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

LARGEST = 64 * 1024 * 1024
"""Bytes; a route file with ten thousand routes has about five million."""


class Irregular(OSError):
    """What stands at the path is not a regular file, or is too large to be ours."""


@dataclass(frozen=True)
class Content:
    """What one read of a file found."""

    data: bytes
    owner: int
    """The user id of the file's owner."""
    written: datetime
    """When its content was changed last."""


def read(path: Path, largest: int = LARGEST) -> Content:
    """The whole file. Raises OSError; Irregular for a FIFO, a device, or more than `largest` bytes."""
    with _opened(path) as file:
        data = file.read(largest + 1)
        about = os.fstat(file.fileno())
    if len(data) > largest:
        raise Irregular(0, f"it is larger than {largest} bytes", str(path))
    return Content(data, about.st_uid, datetime.fromtimestamp(about.st_mtime, UTC))


def tail(path: Path, most: int) -> bytes:
    """The last bytes of the file, at most so many. Raises OSError; Irregular as `read` does."""
    with _opened(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - most))
        return file.read(most)


def _opened(path: Path) -> BinaryIO:
    # O_NONBLOCK: opening a FIFO returns at once, and a regular file does not know the flag.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Irregular(0, "it is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")
