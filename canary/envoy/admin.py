"""Envoy's admin interface over HTTP: kept connections, a time-out on every call, and failures as `Missing`.

Only reads: nothing here ever POSTs. `stats.py` and the adapters make sense of the answers.
"""

import json
import re
import socket
from collections import deque
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead, RemoteDisconnected
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from canary.engine.errors import Invalid, Unreachable
from canary.engine.observed import Kind, Missing

_DETAIL = 200
"""As much of an answer that isn't one as a person is shown, in characters."""


class Unanswered(Unreachable):
    """The admin interface gave no answer that can be used; `missing` says why."""

    def __init__(self, kind: Kind, detail: str) -> None:
        self.missing = Missing(kind, detail)
        super().__init__(str(self.missing))


class Admin:
    """Asks one Envoy. Safe to share between threads: each call has a connection to itself."""

    def __init__(self, url: str, timeout: float = 1.0) -> None:
        """`url` such as http://127.0.0.1:9901; `timeout` in seconds, for connecting and for each read."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(f"{url!r} is not the URL of an admin interface, such as http://127.0.0.1:9901")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._timeout = timeout
        self._secure = parts.scheme == "https"
        self._address = (parts.hostname, parts.port)
        self._base = parts.path.rstrip("/")
        self._idle: deque[HTTPConnection] = deque()

    def json(self, path: str, **query: str) -> Any:
        """The parsed answer to a GET. Raises Unanswered."""
        text = self.text(path, **query)
        try:
            return json.loads(text)
        except ValueError:
            raise Unanswered(Kind.RUBBISH, f"{self.url}{path} answered {_shown(text)}") from None

    def stats(self, pattern: str, **query: str) -> Mapping[str, Any]:
        """The statistics whose names match the expression (RE2). Raises Unanswered."""
        answer = self.json("/stats", format="json", filter=pattern, **query)
        if not isinstance(answer, dict) or not isinstance(answer.get("stats"), list):
            raise Unanswered(Kind.RUBBISH, f"{self.url}/stats holds no list of stats")
        return answer

    def dump(self, **query: str) -> list[dict[str, Any]]:
        """The entries of /config_dump, already cut to `resource` and `mask`. Raises Unanswered."""
        answer = self.json("/config_dump", **query)
        entries = answer.get("configs", []) if isinstance(answer, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Unanswered(Kind.RUBBISH, f"{self.url}/config_dump holds no list of configs")
        return entries

    def text(self, path: str, **query: str) -> str:
        """The answer to a GET. Raises Unanswered."""
        target = f"{self._base}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        try:
            status, body = self._get(target)
        except (OSError, HTTPException) as error:
            _unanswered(error, self.url, self._timeout)
        if status != 200:
            raise Unanswered(_kind(status), f"{self.url}{path} answered {status}: {_shown(body)}")
        return body

    def close(self) -> None:
        """Closes the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _get(self, target: str) -> tuple[int, str]:
        """Envoy may have closed a kept connection in the meantime: then, and only then, once more on a new one."""
        try:
            kept = self._idle.pop()
        except IndexError:
            return self._exchange(self._connection(), target)
        try:
            return self._exchange(kept, target)
        except (RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            return self._exchange(self._connection(), target)

    def _exchange(self, connection: HTTPConnection, target: str) -> tuple[int, str]:
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace")
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return answer.status, body

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._secure else HTTPConnection
        return kind(*self._address, timeout=self._timeout)


def stat_name(name: str) -> str:
    """A name as it stands inside the names of statistics, where Envoy writes a colon as `_`."""
    return name.replace(":", "_")


def literal(name: str) -> str:
    """An expression (RE2) that matches the name as it stands in statistics."""
    return re.sub(r"([^A-Za-z0-9_-])", r"\\\1", stat_name(name))


def _unanswered(error: Exception, url: str, timeout: float) -> NoReturn:
    match error:
        case TimeoutError():
            raise Unanswered(Kind.TIMED_OUT, f"Envoy's admin at {url} didn't answer within {timeout:g}s") from None
        case socket.gaierror():
            raise Unanswered(Kind.REFUSED, f"the name in {url} can't be resolved") from None
        case IncompleteRead():
            raise Unanswered(Kind.PARTIAL, f"{url} broke off in mid-answer") from None
        case OSError():  # RemoteDisconnected is one, too
            why = error.strerror or str(error)
            raise Unanswered(Kind.REFUSED, f"Envoy's admin at {url}: {why}") from None
        case _:
            raise Unanswered(Kind.RUBBISH, f"{url} doesn't speak HTTP: {_shown(str(error))}") from None


def _kind(status: int) -> Kind:
    if status in (401, 403):
        return Kind.DENIED
    return Kind.UNAVAILABLE if status >= 500 else Kind.INVALID


def _shown(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _DETAIL else f"{words[:_DETAIL]}…"
