"""A watch as events: opened with a client, read line by line, ended from any thread.

`reflector.py` keeps what they say.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

from pydantic_core import from_json

from canary.engine.observed import Kind

from .client import Client, Object, Stream
from .errors import Answer, Away, translate
from .requests import Request

BOOKMARK, DELETED = "BOOKMARK", "DELETED"


class Happening(NamedTuple):
    """One event of a watch."""

    type: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""
    object: Object


class Watch:
    """One open watch. One thread reads, any thread may close."""

    def __init__(self, client: Client, request: Request, silence: float) -> None:
        """Opens it; a connection on which nothing comes for `silence` seconds is given up. Raises as `send` does."""
        self._request = request
        self._stream: Stream = client.stream(request, silence)

    def events(self) -> Iterator[Happening]:
        """Until the server ends it. Raises the Failure that an ERROR event stands for (Gone), or Away."""
        for line in _lines(self._stream.chunks()):
            yield self._event(line)

    def close(self) -> None:
        """Whoever reads it is done at once."""
        self._stream.close()

    def _event(self, line: bytes) -> Happening:
        try:
            found = from_json(line)
            event = Happening(found["type"], found["object"])
            event.object.get("metadata")
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Away(Kind.RUBBISH, f"{self._request}: not an event: {line[:80].decode(errors='replace')}") from None
        if event.type == "ERROR":
            raise self._error(event.object)
        return event

    def _error(self, status: Object) -> Exception:
        """An ERROR event holds the Status that an answer would have had."""
        answer = Answer(int(status.get("code") or 500), {}, json.dumps(status).encode())
        return translate(self._request, answer)


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines; a chunk may hold several, or a piece of one."""
    begun: list[bytes] = []
    for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            begun.append(line)
            yield b"".join(begun)
            begun = []
        if rest:
            begun.append(rest)
