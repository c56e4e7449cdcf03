"""Status in a file: JSON, versioned, replaced as a whole.

A save compares the version under a lock on the folder, writes beside the file, and renames: a reader meets the old
state or the new one, whole, also after a crash. The actions of people (`FileInbox`) and the
lock (`lock.py`) lie beside it.
"""

import fcntl
import json
import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from canary import files
from canary.api.action import CanaryAction
from canary.api.status import Status
from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.engine.observed import Stored
from canary.engine.verbs import removable
from canary.ports import Inbox, Store

from .status_json import wrong_fields

FORMAT = 1
"""Of the file; a newer one is not touched."""


@dataclass(frozen=True)
class FileStore(Store):
    """The state of one Canary in one file."""

    path: Path
    name: str
    """Of the Canary; a file that speaks of another one is refused."""

    @classmethod
    def at(cls, path: Path) -> "FileStore | None":
        """The store of whichever Canary the file speaks of, or None where there is no file."""
        found = cls(path, "")._read()
        return None if found is None else cls(path, str(found[0].get("name")))

    def load(self) -> Stored | None:
        """What was saved last. Raises Rejected for a file that isn't a state, Unreachable where it can't be read."""
        read = self._read()
        if read is None:
            return None
        found, written = read
        if found.get("name") != self.name:
            raise Rejected(f"{self.path} is the state of {found.get('name')}, not of {self.name}")
        try:
            status = Status.model_validate(found.get("status"))
        except ValidationError as error:
            raise Rejected(self._unreadable(wrong_fields(error))) from error
        return Stored(status, str(found.get("version")), written)

    def save(self, status: Status, version: str | None) -> str:
        """See the port. A file that was deleted is written again; Rejected where what stands there is no state."""
        try:
            with self._folder_locked():
                return self._compare_and_write(status, version)
        except OSError as error:
            raise _refusal(error, f"{self.path} can't be written") from error

    def _compare_and_write(self, status: Status, version: str | None) -> str:
        found = self._read()
        there = None if found is None else str(found[0].get("version"))
        if there not in (version, None):
            raise Conflict(f"{self.path} was saved by another run (version {there}, not {version})")
        following = int(version or 0) + 1
        data = {"format": FORMAT, "name": self.name, "version": following, "status": status.wire()}
        replace_file(self.path, json.dumps(data, indent=1) + "\n")
        return str(following)

    def _read(self) -> tuple[dict[str, Any], datetime] | None:
        """What is in the file, and since when; None where there is no file."""
        try:
            content = files.read(self.path)
            found = json.loads(content.data.decode())
        except FileNotFoundError:
            return None
        except files.Irregular as error:
            raise Rejected(self._unreadable(str(error.strerror))) from error
        except OSError as error:
            raise _refusal(error, f"{self.path} can't be read") from error
        except (ValueError, RecursionError) as error:
            raise Rejected(self._unreadable(str(error))) from error
        if not isinstance(found, dict) or not isinstance(found.get("format"), int):
            raise Rejected(self._unreadable("it isn't canary's"))
        if found["format"] > FORMAT:
            raise Rejected(f"{self.path} was written by a newer canary; use that one")
        if not str(found.get("version")).isdecimal():
            raise Rejected(self._unreadable("its version is no number"))
        return found, content.written

    def _unreadable(self, why: str) -> str:
        return f"{self.path} is not a state that can be read ({why}); move it away to start from the beginning"

    @contextmanager
    def _folder_locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _refusal(error: OSError, sentence: str) -> Rejected | Unreachable:
    """Rejected where a file stands in place of a folder, or the reverse: that doesn't pass by itself."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return Rejected(f"{sentence}: a file stands in place of a folder")
    if isinstance(error, IsADirectoryError):
        return Rejected(f"{sentence}: a folder stands in place of the file")
    return Unreachable(f"{sentence}: {error.strerror}")


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


LARGEST = 64 * 1024
"""Bytes of one action; the longest comment is a small part of it."""


@dataclass(frozen=True)
class FileInbox(Inbox):
    """The folder of actions of one state file: `FILE.actions/<id>.json`, created once and never changed.

    Only the run that holds the lock writes the state; all others only add an action here. Once taken, it lies there
    for an hour, for people to see; of many only the newest do. When an action was made is what the file says.
    """

    state: Path

    @property
    def folder(self) -> Path:
        return self.state.with_name(self.state.name + ".actions")

    def read(self) -> Sequence[CanaryAction]:
        """All actions that can be read; the file's owner says whether the author is who they say they are."""
        try:
            found = sorted(self.folder.glob("*.json"))
        except OSError:
            return ()
        return tuple(action for file in found if (action := _read(file)) is not None)

    def remove_taken(self, status: Status, now: datetime) -> int:
        """See the port; for the lock's holder."""
        gone = 0
        for action in removable(self.read(), status, now):
            with suppress(OSError):
                (self.folder / f"{action.id}.json").unlink()
                gone += 1
        return gone

    def post(self, action: CanaryAction) -> None:
        """Adds an action. Raises Unreachable."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(self.folder / f"{action.id}.json", action.model_dump_json(by_alias=True, exclude_none=True))
        except OSError as error:
            raise Unreachable(f"{self.folder} can't be written: {error.strerror}") from error


def me() -> str:
    """The user of this process, as the inbox will see it."""
    return _user(os.geteuid())


def _read(file: Path) -> CanaryAction | None:
    try:
        found = files.read(file, LARGEST)
        action = CanaryAction.model_validate_json(found.data)
    except (OSError, ValidationError, ValueError):
        return None
    return action.but(id=file.stem, verified=action.author == _user(found.owner), at=found.written)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
