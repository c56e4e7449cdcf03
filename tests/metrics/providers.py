"""A server that gives recorded answers to any request, and what asks it: for tests of metric providers."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from canary.api.pinned import PinnedProvider
from canary.engine.observed import Missing, Query, Sample, Subject
from canary.metrics.providers.adapter import Providers, Surroundings
from canary.ports import Secrets
from tests.parts import serving

AT = datetime(2026, 1, 1, tzinfo=UTC)
Reply = tuple[int, Any]


@dataclass
class Request:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Recorded:
    """`reply` gives status and document, or bytes, by request."""

    reply: Callable[[Request], Reply]
    url: str = ""
    asked: list[Request] = field(default_factory=list)


@contextmanager
def recorded(reply: Callable[[Request], Reply] | Reply) -> Iterator[Recorded]:
    """The server, until the end of the block."""
    state = Recorded(reply if callable(reply) else lambda _: reply)

    class Handler(serving.Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            request = Request(self.command, parts.path, query, dict(self.headers), self.sent())
            state.asked.append(request)
            status, found = state.reply(request)
            data = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.answer(status, data, {"Content-Type": "application/json"})

        do_POST = do_GET

    with serving.serving(Handler) as state.url:
        yield state


@dataclass
class Held(Secrets):
    """Secrets in memory, by namespace and name."""

    values: dict[tuple[str, str], Mapping[str, str] | Missing] = field(default_factory=dict)
    forgotten: list[tuple[str, str]] = field(default_factory=list)

    def read(self, namespace: str, name: str) -> Mapping[str, str] | Missing:
        return self.values[namespace, name]

    def forget(self, namespace: str, name: str) -> None:
        self.forgotten.append((namespace, name))


def query(kind: str, text: str, server: str | None, secret: str = "", namespace: str = "shop", **more: Any) -> Query:
    """A question to a template's provider: of the Deployment `web`, over a minute."""
    provider = PinnedProvider(type=kind, namespace=namespace, template="mine", secret=secret, **more)
    names = (("name", "web"), ("namespace", namespace))
    window = timedelta(minutes=1)
    return Query("mine", window, Subject("web", namespace), text=text, server=server, provider=provider, names=names)


def answer(one: Query, secret: Mapping[str, str] | Missing | None = None, at: datetime = AT, **around: Any) -> Sample:
    """What the provider says at this time, with this content of the Secret `creds`."""
    held = Held({("shop", "creds"): {} if secret is None else secret})
    given = {"templates": lambda namespace, name: {}, **around}
    with closing(Providers(Surroundings(held, **given), timeout=60)) as source:  # a busy machine is no broken server
        return source.measure([one], at)[one]
