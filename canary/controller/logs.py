"""What the controller logs: a line for each decision with an Event, repeated errors every ten minutes, no secrets.

`set_up` formats all that is logged in this process, as text or as JSON lines; `Decisions` is called after each turn.
Every decision, also those that are no news, is there at the level debug.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TextIO

from canary.engine.errors import Unreadable
from canary.kube.names import NamespacedName
from canary.rollout.reconcile import Turn

REPEAT = timedelta(minutes=10)
"""How often the same trouble of the same Canary is logged."""
TROUBLE = "Trouble"
"""The reason with which a line says what went wrong."""
ABOUT = "canary"
"""The `extra` under which a record says which Canary it is about: namespace, name, phase, weight, reason."""
QUIET = ("apscheduler", "urllib3", "kubernetes", "requests")
"""Libraries whose information is none about rollouts."""

log = logging.getLogger("canary.decisions")


class Format(StrEnum):
    """Of log lines."""

    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def set_up(format_: Format, level: Level, stream: TextIO) -> None:
    """Everything that this process logs goes to `stream`, in this form; a second call replaces the first."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if format_ is Format.JSON else TextLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


class TextLines(logging.Formatter):
    """`2026-03-14T15:09:26.535Z INFO shop/reviews Progressing 30% StepPassed: 20% passed 3 evaluations; on to
    30%`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and an indented one for each of a traceback: no text can pretend to be a line of ours."""
        lines = [f"{_time(record)} {record.levelname} {_head(record)}{_one_line(record.getMessage())}"]
        lines += [f"  {_one_line(line)}" for line in _traceback(self, record).splitlines()]
        return scrubbed("\n".join(lines))


class JsonLines(logging.Formatter):
    """An object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """`traceback` is there only with an error."""
        found: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower()}
        found |= {key: value for key, value in about(record).items() if value is not None}
        found |= {"logger": record.name, "message": scrubbed(record.getMessage())}
        traceback = _traceback(self, record)
        return json.dumps(found | ({"traceback": scrubbed(traceback)} if traceback else {}), ensure_ascii=False)


def about(record: logging.LogRecord) -> Mapping[str, Any]:
    """What a record says of a Canary."""
    found: Mapping[str, Any] = getattr(record, ABOUT, {})
    return found


def scrubbed(text: str) -> str:
    """Without the user names and passwords of URLs, and without bearer tokens."""
    return _BEARER.sub(r"\1 …", _USER_INFO.sub(r"\1", text))


_USER_INFO = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://)[^\s/?#@'\"]*(?:@[^\s/?#@'\"]*)*@", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer)\s+(?=[^\s'\",]*[0-9])[^\s'\",]{12,}", re.IGNORECASE)


@dataclass
class Logged:
    """What was logged of one Canary."""

    messages: frozenset[str] = frozenset()
    """Ids of messages that may be sent again."""
    trouble: dict[str, datetime] = field(default_factory=dict)
    """When a sentence was logged last, not longer ago than it is kept back."""


@dataclass
class Decisions:
    """A Watcher that logs. A Canary's turns come one after the other; those of several come from several threads."""

    said: dict[NamespacedName, Logged] = field(default_factory=dict)

    def reconciled(self, key: NamespacedName, turn: Turn, seconds: float, late: float | None) -> None:
        """The messages of this turn, each once, even if a notification failed; and errors."""
        before = self.said.setdefault(key, Logged())
        where = {**_named(key), **_standing(turn)}
        for message in turn.messages:
            if message.id not in before.messages:
                level = logging.WARNING if message.type == "Warning" else logging.INFO
                _write(level, message.beside, {**where, "reason": message.reason})
        before.messages = frozenset(one.id for one in (*turn.messages, *turn.record.status.outbox))
        _warn(before.trouble, turn.trouble, turn.at, {**where, "reason": TROUBLE})
        if not turn.messages:
            _write(logging.DEBUG, turn.decision.sentence, {**where, "reason": turn.decision.reason})

    def hindered(self, key: NamespacedName, why: str, at: datetime) -> None:
        """What isn't removed blocks the deletion of a Canary, or its target for others: users have to know why."""
        _warn(self.said.setdefault(key, Logged()).trouble, (why,), at, {**_named(key), "reason": TROUBLE})

    def unread(self, key: NamespacedName, why: str, at: datetime) -> None:
        """As trouble is."""
        _warn(self.said.setdefault(key, Logged()).trouble, (why,), at, {**_named(key), "reason": Unreadable.reason})

    def crashed(self, key: NamespacedName, error: Exception) -> None:
        """With the traceback: the reconcile failed unexpectedly."""
        log.error("reconcile failed", exc_info=error, extra={ABOUT: _named(key)})

    def forgot(self, key: NamespacedName) -> None:
        """The Canary is gone."""
        self.said.pop(key, None)


def _write(level: int, sentence: str, fields: Mapping[str, Any]) -> None:
    log.log(level, "%s", sentence, extra={ABOUT: fields})


def _warn(logged: dict[str, datetime], trouble: Iterable[str], now: datetime, fields: Mapping[str, Any]) -> None:
    """Logs the sentences that weren't logged lately; forgets those from before."""
    for sentence, at in list(logged.items()):
        if now - at >= REPEAT:
            del logged[sentence]
    for sentence in trouble:
        if sentence not in logged:
            logged[sentence] = now
            _write(logging.WARNING, sentence, fields)


def _named(key: NamespacedName) -> dict[str, Any]:
    return {"namespace": key[0], "name": key[1]}


def _standing(turn: Turn) -> dict[str, Any]:
    status = turn.decision.status
    weight = status.rollout.desired.weight if status.rollout else None
    return {"phase": status.phase.value, "weight": weight}


def _head(record: logging.LogRecord) -> str:
    """`shop/reviews Progressing 30% StepPassed: `, of what is known."""
    one = about(record)
    if not one:
        return ""
    weight = one.get("weight")
    share = "" if weight is None else f"{weight}%"
    words = (f"{one['namespace']}/{one['name']}", one.get("phase"), share, one.get("reason"))
    return f"{' '.join(word for word in words if word)}: "


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
    return f"{at.isoformat(timespec='milliseconds')}Z"


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def _one_line(text: str) -> str:
    """What others write must not end a line, nor steer a terminal."""
    return _CONTROL.sub(" ", text)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""
