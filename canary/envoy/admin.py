"""Envoy's admin interface over HTTP: kept connections, bounds for time and size, and failures as `Missing`.

The address is a user's: the server there may be hostile or broken. Only reads: nothing here ever POSTs.
`stats.py` and the adapters make sense of the answers.
"""

import json
import re
import socket
from collections import deque
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead, RemoteDisconnected
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from canary.cutoff import Cutoff, watch
from canary.engine.errors import Invalid, Unreachable
from canary.engine.observed import Cause, Missing

LARGEST = 16 * 2**20
"""Bytes of an answer; 10,000 routes take 5 MiB."""
MOST_BLOCKS = 400_000
"""Lists and objects of an answer, each of which takes up to 30 times its text."""
MOST_COMMAS = 1_000_000
_DETAIL = 200
"""As much of an answer that isn't one as a person is shown, in characters."""


class Unanswered(Unreachable):
    """The admin interface gave no answer that can be used; `missing` says why."""

    def __init__(self, kind: Cause, detail: str) -> None:
        self.missing = Missing(kind, detail)
        super().__init__(str(self.missing))


class Admin:
    """Asks one Envoy. Safe to share between threads: each call has a connection to itself."""

    def __init__(self, url: str, timeout: float = 1.0, within: float = 5.0) -> None:
        """`url` such as http://127.0.0.1:9901; `timeout` in seconds, for connecting and for each read, and `within`
        for a whole answer."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(f"{url!r} is not the URL of an admin interface, such as http://127.0.0.1:9901")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._timeout, self._within = timeout, within
        self._secure = parts.scheme == "https"
        self._address = (parts.hostname, parts.port)
        self._base = parts.path.rstrip("/")
        self._idle: deque[HTTPConnection] = deque()

    def json(self, path: str, **query: str) -> Any:
        """The parsed answer to a GET. Raises Unanswered."""
        text = self.text(path, **query)
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise Unanswered(Cause.RUBBISH, f"{self.url}{path} answered {_shown(text)}") from None

    def stats(self, pattern: str, **query: str) -> Mapping[str, Any]:
        """The statistics whose names match the expression (RE2). Raises Unanswered."""
        answer = self.json("/stats", format="json", filter=pattern, **query)
        if not isinstance(answer, dict) or not isinstance(answer.get("stats"), list):
            raise Unanswered(Cause.RUBBISH, f"{self.url}/stats holds no list of stats")
        return answer

    def dump(self, **query: str) -> list[dict[str, Any]]:
        """The entries of /config_dump, already cut to `resource` and `mask`. Raises Unanswered."""
        answer = self.json("/config_dump", **query)
        entries = answer.get("configs", []) if isinstance(answer, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Unanswered(Cause.RUBBISH, f"{self.url}/config_dump holds no list of configs")
        return entries

    def text(self, path: str, **query: str) -> str:
        """The answer to a GET. Raises Unanswered."""
        target = f"{self._base}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        with Cutoff(self._within) as cutoff:
            try:
                status, body = self._get(target)
            except (OSError, HTTPException) as error:
                if not cutoff.over:
                    _unanswered(error, self.url, self._timeout)
        if cutoff.over:  # even if there is a body: one without a length would look complete
            _unanswered(TimeoutError(), self.url, self._within)
        if excess := _excess(body):
            raise Unanswered(Cause.INVALID, f"{self.url}{path}: the answer {excess}")
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
            watch(connection.sock)  # of a kept one
            connection.request("GET", target)
            with connection.getresponse() as answer:  # whose socket is its own where it has no length
                body = answer.read(LARGEST + 1)
            if len(body) <= LARGEST and answer.length:
                raise IncompleteRead(body, answer.length)
        except BaseException:
            connection.close()
            raise
        if len(body) > LARGEST:
            connection.close()
        else:
            self._idle.append(connection)
        return answer.status, body.decode(errors="replace")

    def _connection(self) -> HTTPConnection:
        kind = _SecureConnection if self._secure else _PlainConnection
        return kind(*self._address, timeout=self._timeout)


class _PlainConnection(HTTPConnection):
    def connect(self) -> None:
        """Watched from the first byte, so that a TLS handshake is."""
        super().connect()
        watch(self.sock)


class _SecureConnection(HTTPSConnection, _PlainConnection):
    pass


def _excess(body: str) -> str | None:
    """Why it isn't parsed."""
    if len(body) > LARGEST:
        return f"is larger than {LARGEST // 2**20} MiB"
    if body.count("[") + body.count("{") > MOST_BLOCKS or body.count(",") > MOST_COMMAS:
        return f"has more than {MOST_BLOCKS} lists and objects, or {MOST_COMMAS} values"
    return None


def stat_name(name: str) -> str:
    """A name as it stands inside the names of statistics, where Envoy writes a colon as `_`."""
    return name.replace(":", "_")


def literal(name: str) -> str:
    """An expression (RE2) that matches the name as it stands in statistics."""
    return re.sub(r"([^A-Za-z0-9_-])", r"\\\1", stat_name(name))


def _unanswered(error: Exception, url: str, timeout: float) -> NoReturn:
    match error:
        case TimeoutError():
            raise Unanswered(Cause.TIMED_OUT, f"Envoy's admin at {url} didn't answer within {timeout:g}s") from None
        case socket.gaierror():
            raise Unanswered(Cause.REFUSED, f"the name in {url} can't be resolved") from None
        case IncompleteRead():
            raise Unanswered(Cause.PARTIAL, f"{url} broke off in mid-answer") from None
        case OSError():  # RemoteDisconnected is one, too
            why = error.strerror or str(error)
            raise Unanswered(Cause.REFUSED, f"Envoy's admin at {url}: {why}") from None
        case _:
            raise Unanswered(Cause.RUBBISH, f"{url} doesn't speak HTTP: {_shown(str(error))}") from None


def _kind(status: int) -> Cause:
    if status in (401, 403):
        return Cause.DENIED
    return Cause.UNAVAILABLE if status >= 500 else Cause.INVALID


def _shown(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _DETAIL else f"{words[:_DETAIL]}…"
