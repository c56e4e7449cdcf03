"""A server that gives the answers which a real Prometheus won't give on demand, and remembers what it was asked."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.parts import serving

Reply = tuple[int, str | bytes]
DATED = 1700000000.0
"""Stands for the time that a question is asked for."""


def vector(*rows: tuple[Mapping[str, str], str], **more: Any) -> str:
    """A complete answer with these rows, and more beside it, such as warnings; sent with the question's time."""
    found = [{"metric": dict(labels), "value": [DATED, value]} for labels, value in rows]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": found}, **more})


@dataclass
class Asked:
    """One request."""

    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass
class Server:
    """`reply` says what each query gets, and may take its time."""

    reply: Callable[[str], Reply]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    drip: threading.Event | None = None
    """Until it is set, bodies come one byte at a time and never end."""
    headers: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def serve(reply: Callable[[str], Reply] | Reply, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """The server, until the end of the block."""
    state = Server(reply if callable(reply) else lambda _: reply)

    class Handler(serving.Handler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = parse_qs(self.sent().decode())
            asked = Asked(self.path, dict(self.headers), {name: values[0] for name, values in form.items()})
            state.asked.append(asked)
            status, text = state.reply(asked.form["query"])
            dated = text.replace(str(DATED), asked.form["time"]) if isinstance(text, str) else text
            body = dated.encode() if isinstance(dated, str) else dated
            if state.drip is None:
                return self.answer(status, body, state.headers)
            self.answer(status, b"", state.headers, length=10**6)
            while not state.drip.wait(0.02):
                self.wfile.write(b" ")
            self.wfile.write(body)

    with serving.serving(Handler, tls) as state.url:
        yield state
