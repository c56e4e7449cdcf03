"""A server that plays the webhook of a chat: it keeps what it is sent, and answers as configured."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.parts import serving

Answer = tuple[int, str]


@dataclass(frozen=True)
class Posted:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass
class Endpoint:
    """`answers` is asked for each request."""

    answers: Callable[[Posted], Answer]
    url: str = ""
    posted: list[Posted] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """Of the messages that Slack's attachments showed."""
        return [field_of(one.body, "Reason") for one in self.posted]


def field_of(body: Mapping[str, Any], title: str) -> str:
    """A field of Slack's attachment."""
    (found,) = [one["value"] for one in body["attachments"][0]["fields"] if one["title"] == title]
    return str(found)


@contextmanager
def endpoint(answers: Callable[[Posted], Answer] | Answer = (200, "ok")) -> Iterator[Endpoint]:
    """The server, until the end of the block."""
    state = Endpoint(answers if callable(answers) else lambda _: answers)

    class Handler(serving.Handler):
        def do_POST(self) -> None:
            posted = Posted(self.path, dict(self.headers), json.loads(self.sent()))
            state.posted.append(posted)
            status, said = state.answers(posted)
            self.answer(status, said.encode(), {"Location": "http://127.0.0.1:1/"})

    with serving.serving(Handler) as state.url:
        yield state
