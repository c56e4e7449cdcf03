"""The file that Envoy reads its route configuration from (file-based RDS): read, compared by hash, replaced.

Envoy notices renames only, so a change is a new file moved over the old one; that also makes it whole or not at
all. `splice.py` edits the text, `routes.py` what it means.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canary import files
from canary.engine.errors import Conflict, Invalid, Rejected, Unreachable

from .splice import Syntax, data_of, parse, respelled

_SYNTAX = {".yaml": Syntax.YAML, ".yml": Syntax.YAML, ".json": Syntax.JSON}
"""By extension, as Envoy does it."""


@dataclass(frozen=True)
class RouteDocument:
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


@dataclass(frozen=True)
class Loaded:
    """The file as Envoy loaded it last."""

    content: bytes
    target: Path
    """Where it was, without symbolic links."""
    stat: os.stat_result


class RouteFile:
    """The file at `path`; a symbolic link is followed, and stays a link."""

    def __init__(self, path: Path, name: str) -> None:
        """`name` is the RouteConfiguration's. Raises Invalid for a file that isn't YAML or JSON by extension."""
        self.path = path
        self._name = name
        syntax = _SYNTAX.get(path.suffix.lower())
        if syntax is None:
            raise Invalid(f"{path.name} must end in .yaml, .yml or .json: Envoy derives the format from it")
        self._syntax = syntax
        self._kept: Loaded | None = None

    def content(self) -> bytes:
        """What is in the file now. Raises OSError."""
        return files.read(self.path).data

    def keep(self, content: bytes) -> None:
        """Remembers what Envoy has loaded and where it stands, unless another content stands there by now: `restore`
        must not write to where a link leads that was put there since. Raises OSError."""
        target = Path(os.path.realpath(self.path))
        if files.read(target).data == content:
            self._kept = Loaded(content, target, target.stat())

    def kept(self) -> RouteDocument | None:
        """What Envoy had loaded last; None where this process saw nothing of the kind. Raises Rejected."""
        return None if self._kept is None else self._document(self._kept.content)

    def changed(self) -> int:
        """When the file came to its place, in milliseconds since 1970, by the file system. Raises OSError."""
        return self.path.stat().st_ctime_ns // 1_000_000

    def read(self) -> RouteDocument:
        """Raises Unreachable where there is no such file, and Rejected where it isn't what Envoy could read."""
        try:
            return self._document(self.content())
        except OSError as error:
            raise Unreachable(f"{self.path} can't be read: {error.strerror}") from None

    def _document(self, content: bytes) -> RouteDocument:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise Rejected(f"{self.path} is not text in UTF-8") from None
        whole = data_of(parse(text, self._syntax))
        return RouteDocument(text, token_of(content), self._syntax, whole, self._config(whole))

    def replace(self, document: RouteDocument, text: str) -> None:
        """Moves a file with the new text over the old one, with the old one's mode and, if allowed, its owner.

        Raises Conflict if the file isn't what `document` read any more, and Unreachable where it can't be written.
        """
        target = Path(os.path.realpath(self.path))
        try:
            self._move_over(target, text, target.stat(), document.token)
        except OSError as error:
            raise Unreachable(f"{self.path} can't be written: {error.strerror}") from None

    def restore(self, text: str) -> None:
        """Puts the text in the place of what can't be read, which is kept as FILE.unreadable. Raises Unreachable."""
        assert self._kept is not None
        target = self._kept.target  # never where a link leads that was put there since
        aside = target.with_name(f"{target.name}.unreadable")
        try:
            aside.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                os.link(target, aside, follow_symlinks=False)
            self._move_over(target, text, self._kept.stat, None)
        except OSError as error:
            raise Unreachable(f"{self.path} can't be written: {error.strerror}") from None

    def _move_over(self, target: Path, text: str, before: os.stat_result, token: str | None) -> None:
        """With the mode and, if allowed, the owner of `before`. Raises Conflict if the content isn't of `token`."""
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as new:
            try:
                new.write(text.encode())
                new.flush()
                _take_after(new.fileno(), before)
                os.fsync(new.fileno())
                if token is not None and token_of(self.content()) != token:
                    raise Conflict(f"{self.path} was changed by another client")
                os.replace(new.name, target)
            except BaseException:
                os.unlink(new.name)
                raise
        _sync(target.parent)

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


def token_of(content: bytes) -> str:
    """Hash of the bytes."""
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
