"""Whether Envoy refused what is in the route file, and its words. `routers/envoy.py` asks after each read.

Envoy counts refusals (`update_failure`: it could not parse the file, `update_rejected`: it would not serve it) and
the time of its last success; its words stand in its log, and nowhere else.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from .admin import Admin, literal
from .discovery import RouteFile
from .stats import values

_REFUSED = ("update_failure", "update_rejected")
_ENTRY = re.compile(
    r"^\[[^\n]*Filesystem config update (?:failure|rejected): (.*?)(?=^\[\d{4}-|\Z)", re.MULTILINE | re.DOTALL
)
_TAIL = 256 * 1024
"""As much of the log as is searched for the last refusal, in bytes."""
_LONGEST = 1000
"""As many of Envoy's words as are passed on, in characters: it may quote the whole file."""


@dataclass(frozen=True)
class Taken:
    """How Envoy took the file."""

    rejected: str | None
    """Its words, where it refused what is in the file now."""


class Refusals:
    """Watches one RouteConfiguration's subscription."""

    def __init__(self, admin: Admin, name: str, file: RouteFile, log: Path | None) -> None:
        self._admin = admin
        self._name = name
        self._file = file
        self._log = log
        self._success = 0
        self._known: dict[str, int] = {}
        """Refusals of earlier files, from when the file at hand was seen to be loaded."""

    def seen(self) -> Taken | None:
        """None where Envoy has no subscription of this name. Raises Unanswered, and OSError for the file."""
        changed = self._file.changed()
        answer = self._admin.stats(rf"^http\..*\.rds\.{literal(self._name)}\.(update_(failure|rejected|time))$")
        found = values(answer)
        if not found:
            return None
        counts = {kind: sum(int(v) for name, v in found.items() if name.endswith(kind)) for kind in _REFUSED}
        success = max((int(v) for name, v in found.items() if name.endswith("update_time")), default=0)
        loaded = success >= changed
        if loaded or success < self._success:  # or a new life of Envoy, which counts from zero
            self._known = counts if loaded else {}
        self._success = success
        risen = {kind: count for kind, count in counts.items() if count > self._known.get(kind, 0)}
        if loaded or not risen:
            return Taken(None)
        return Taken(self._words() or self._counted(risen))

    def _words(self) -> str | None:
        """The last refusal in the log; Envoy may need a moment to write it there."""
        if self._log is None:
            return None
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, log.seek(0, 2) - _TAIL))
                entries = _ENTRY.findall(log.read().decode(errors="replace"))
        except OSError:
            return None
        words = " ".join(entries[-1].split()) if entries else None
        return words[:_LONGEST] if words else None

    def _counted(self, risen: dict[str, int]) -> str:
        rose = " and ".join(
            f"{kind} rose from {self._known.get(kind, 0)} to {count}" for kind, count in risen.items()
        )
        return f"Envoy refused the file ({rose}); its log has the words"
