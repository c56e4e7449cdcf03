"""Status in a file: JSON, versioned, replaced as a whole.

A save compares the version under a lock on the folder, writes beside the file, and renames: a reader meets the old
state or the new one, whole, also after a crash. `inbox.py` and `lock.py` keep their files beside it.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from canary.api.status import Status
from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.engine.observed import Stored

from .invalid import wrong_fields

FORMAT = 1
"""Of the file; a newer one is not touched."""


@dataclass(frozen=True)
class FileStore:
    """The state of one Canary in one file."""

    path: Path
    name: str
    """Of the Canary; a file that speaks of another one is refused."""

    @classmethod
    def at(cls, path: Path) -> "FileStore | None":
        """The store of whichever Canary the file speaks of, or None where there is no file."""
        found = cls(path, "")._read()
        return None if found is None else cls(path, str(found.get("name")))

    def load(self) -> Stored | None:
        """What was saved last. Raises Rejected for a file that isn't a state, Unreachable where it can't be read."""
        found = self._read()
        if found is None:
            return None
        if found.get("name") != self.name:
            raise Rejected(f"{self.path} is the state of {found.get('name')}, not of {self.name}")
        try:
            return Stored(Status.model_validate(found.get("status")), str(found.get("version")))
        except ValidationError as error:
            raise Rejected(self._unreadable(wrong_fields(error))) from error

    def save(self, status: Status, version: str | None) -> str:
        """See the port. Raises Conflict, Rejected or Unreachable."""
        try:
            with self._folder_locked():
                return self._compare_and_write(status, version)
        except OSError as error:
            raise Unreachable(f"{self.path} can't be written: {error.strerror}") from error

    def _compare_and_write(self, status: Status, version: str | None) -> str:
        found = self._read()
        there = None if found is None else str(found.get("version"))
        if there != version:
            raise Conflict(f"{self.path} was saved by another run (version {there}, not {version})")
        following = int(there or 0) + 1
        data = {"format": FORMAT, "name": self.name, "version": following, "status": status.wire()}
        replace_file(self.path, json.dumps(data, indent=1) + "\n")
        return str(following)

    def _read(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unreachable(f"{self.path} can't be read: {error.strerror}") from error
        except ValueError as error:
            raise Rejected(self._unreadable(str(error))) from error
        if not isinstance(found, dict) or not isinstance(found.get("format"), int):
            raise Rejected(self._unreadable("it isn't canary's"))
        if found["format"] > FORMAT:
            raise Rejected(f"{self.path} was written by a newer canary; use that one")
        if not str(found.get("version")).isdecimal():
            raise Rejected(self._unreadable("its version is no number"))
        return found

    def _unreadable(self, why: str) -> str:
        return f"{self.path} is not a state that can be read ({why}); move it away to begin anew"

    @contextmanager
    def _folder_locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def replace_file(path: Path, text: str) -> None:
    """Writes beside the file, makes sure that it is on disk, and renames it over."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
