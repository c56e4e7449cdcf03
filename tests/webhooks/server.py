"""A server that hooks call: it answers by path, and remembers what it was asked."""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.parts import serving


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Posted:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class HookServer:
    """`replies` has what each path gets, with or without its query, or a function that may take its time; others get
    what `otherwise` says, which is 200 unless a test sets it."""

    replies: dict[str, Reply | Callable[[], Reply]] = field(default_factory=dict)
    otherwise: Callable[[Posted], Reply] = lambda _: Reply()
    posted: list[Posted] = field(default_factory=list)
    url: str = ""

    def on(self, path: str) -> list[Posted]:
        """The requests to a path."""
        return [one for one in self.posted if one.path == path]


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[HookServer]:
    """The server, until the end of the block."""
    state = HookServer()

    class Handler(serving.Handler):
        def do_POST(self) -> None:
            posted = Posted(self.path, dict(self.headers), self.sent())
            state.posted.append(posted)
            found = state.replies.get(self.path) or state.replies.get(self.path.partition("?")[0])
            found = found or partial(state.otherwise, posted)
            reply = found if isinstance(found, Reply) else found()
            self.answer(reply.status, reply.body, reply.headers)

        do_GET = do_POST

    with serving.serving(Handler, tls) as state.url:
        yield state
