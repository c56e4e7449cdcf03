"""People's actions beside a state file: `FILE.actions/<id>.json`, created once and never changed.

Only the run that holds the lock writes the state; everybody else only adds an action here.
"""

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from canary.api.action import CanaryAction
from canary.engine.errors import Unreachable

from .file import replace_file


@dataclass(frozen=True)
class FileInbox:
    """The folder of actions of one state file."""

    state: Path

    @property
    def folder(self) -> Path:
        return self.state.with_name(self.state.name + ".actions")

    def read(self) -> Sequence[CanaryAction]:
        """All actions that can be read; the file's owner says whether the author is who they say they are."""
        try:
            files = sorted(self.folder.glob("*.json"))
        except OSError:
            return ()
        return tuple(action for file in files if (action := _read(file)) is not None)

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
        action = CanaryAction.model_validate_json(file.read_text("utf-8"))
        owner = _user(file.stat().st_uid)
    except (OSError, ValidationError, ValueError):
        return None
    return action.but(id=file.stem, verified=action.author == owner)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
