"""The file that Envoy reads its route configuration from (file-based RDS): read, compared by hash, replaced.

Envoy notices renames only, so a change is a new file moved over the old one; that also makes it whole or not at
all. `splice.py` edits the text, `routes.py` what it means.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canary.engine.errors import Conflict, Invalid, Rejected, Unreachable

from .spans import Syntax, data_of, parse
from .splice import respelled

_SYNTAX = {".yaml": Syntax.YAML, ".yml": Syntax.YAML, ".json": Syntax.JSON}
"""By extension, as Envoy does it."""


@dataclass(frozen=True)
class Document:
    """The file as it was read: a DiscoveryResponse that holds the RouteConfiguration."""

    text: str
    token: str
    syntax: Syntax
    whole: Any
    config: Mapping[str, Any]
    """The RouteConfiguration itself, plain data."""

    def holding(self, config: Mapping[str, Any]) -> str:
        """The text with another RouteConfiguration in the place of this one. Raises Rejected."""
        return respelled(self.text, self.syntax, _swapped(self.whole, self.config, config))


class RouteFile:
    """The file at `path`; a symbolic link is followed, and stays a link."""

    def __init__(self, path: Path, name: str) -> None:
        """`name` is the RouteConfiguration's. Raises Invalid for a file that isn't YAML or JSON by extension."""
        self.path = path
        self._name = name
        syntax = _SYNTAX.get(path.suffix.lower())
        if syntax is None:
            raise Invalid(f"{path.name} must end in .yaml, .yml or .json: Envoy tells the format by it")
        self._syntax = syntax

    def token(self) -> str:
        """Hash of the bytes. Raises OSError."""
        return _hash(self.path.read_bytes())

    def changed(self) -> int:
        """When the file came to its place, in milliseconds since 1970, by the file system. Raises OSError."""
        return self.path.stat().st_ctime_ns // 1_000_000

    def read(self) -> Document:
        """Raises Unreachable where there is no such file, and Rejected where it isn't what Envoy could read."""
        try:
            content = self.path.read_bytes()
            text = content.decode()
        except OSError as error:
            raise Unreachable(f"{self.path} can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Rejected(f"{self.path} is not text in UTF-8") from None
        whole = data_of(parse(text, self._syntax))
        return Document(text, _hash(content), self._syntax, whole, self._config(whole))

    def replace(self, document: Document, text: str) -> None:
        """Moves a file with the new text over the old one, with the old one's mode and, if allowed, its owner.

        Raises Conflict if the file isn't what `document` read any more, and Unreachable where it can't be written.
        """
        target = Path(os.path.realpath(self.path))
        try:
            before = target.stat()
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as new:
                try:
                    new.write(text.encode())
                    new.flush()
                    _take_after(new.fileno(), before)
                    os.fsync(new.fileno())
                    if self.token() != document.token:
                        raise Conflict(f"{self.path} was changed by somebody else")
                    os.replace(new.name, target)
                except BaseException:
                    os.unlink(new.name)
                    raise
            _sync(target.parent)
        except OSError as error:
            raise Unreachable(f"{self.path} can't be written: {error.strerror}") from None

    def _config(self, whole: Any) -> Mapping[str, Any]:
        resources = (whole.get("resources") if isinstance(whole, dict) else None) or []
        found = [_inner(one) for one in resources if isinstance(one, dict)]
        named = [one for one in found if one.get("name") == self._name]
        if len(named) == 1:
            return named[0]
        there = ", ".join(sorted(str(one.get("name")) for one in found)) or "nothing"
        many = "twice" if named else f"no route configuration {self._name}; it holds {there}"
        raise Rejected(f"{self.path} has {many}" if not named else f"{self.path} has {self._name} {many}")


def _inner(resource: dict[str, Any]) -> dict[str, Any]:
    """The RouteConfiguration, also out of an envoy.service.discovery.v3.Resource."""
    inner = resource.get("resource")
    return inner if isinstance(inner, dict) else resource


def _swapped(whole: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
    """`whole` with `new` where the very object `old` stands."""
    if whole is old:
        return new
    if isinstance(whole, dict):
        return {key: _swapped(value, old, new) for key, value in whole.items()}
    return [_swapped(value, old, new) for value in whole] if isinstance(whole, list) else whole


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _take_after(new: int, before: os.stat_result) -> None:
    """Envoy may run as another user than we do, and must be able to read the new file as it read the old one."""
    os.fchmod(new, before.st_mode & 0o7777)
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.fchown(new, before.st_uid, before.st_gid)
        except PermissionError:
            return


def _sync(folder: Path) -> None:
    """So that the rename outlives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
