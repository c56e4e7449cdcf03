"""The bounded client of providers: one deadline for all requests of a question, limits of size, no redirects.

Imported with the first question, because requests takes 80 ms to import.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import requests
from pydantic_core import from_json
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from canary.cutoff import Cutoff
from canary.engine.observed import Cause, Missing
from canary.kube.errors import Failure
from canary.kube.requests import Request

from .. import answers
from ..limits import LEAST, Bounds
from ..session import KEPT, AnswerMissing, BoundedSession, UnverifiedAdapter, WatchedAdapter, explained
from .question import Headers, NoAnswer, ProviderWire

_LEAST = 0.05
"""Seconds below which no request is made."""


class MissingAnswer(NoAnswer):
    """The same with the Missing that was found, which may be of a kind of its own."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(missing.cause, missing.detail)
        self.missing = missing


def session(server: str, insecure: bool) -> BoundedSession:
    """The connections to one server. Credentials aren't kept in it: each question brings its own."""
    made = BoundedSession(insecure)
    kind = UnverifiedAdapter if insecure else WatchedAdapter
    if server:
        made.mount(server, kind(pool_connections=1, pool_maxsize=KEPT, max_retries=Retry(0, read=False)))
    for scheme in ("https://", "http://"):  # of servers that give tokens
        made.mount(scheme, WatchedAdapter(pool_connections=1, pool_maxsize=KEPT, max_retries=Retry(0, read=False)))
    return made


@dataclass(frozen=True)
class HttpWire(ProviderWire):
    """One question's requests."""

    session: BoundedSession
    server: str
    deadline: float
    headers: Headers = field(repr=False)
    masked: Callable[[str], str]
    words: bool = False
    """Whether the server's own words may be shown."""
    objects: Callable[[Request], Any] | None = None
    """Reads from the API server of the cluster."""

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    @property
    def quoted(self) -> bool:
        return self.words

    def at(self, server: str) -> "HttpWire":
        return replace(self, server=server, headers={})

    def scrubbed(self, text: str) -> str:
        return self.masked(text)

    def raw(
        self, method: str, path: str, *, bounds: Bounds = LEAST, headers: Headers | None = None, **how: Any
    ) -> tuple[int, bytes]:
        within = self.left
        if within < _LEAST:
            raise NoAnswer(Cause.TIMED_OUT, "no time was left to ask")
        sent = {**self.headers, **(headers or {})}
        with Cutoff(within) as cutoff:
            try:
                return self.session.fetch(method, self.server + path, within, bounds, cutoff, headers=sent, **how)
            except (requests.RequestException, HTTPError, AnswerMissing, OSError, ValueError) as error:
                missing = explained(TimeoutError() if cutoff.over else error, within)
        raise MissingAnswer(missing)

    def json(self, method: str, path: str, *, headers: Headers | None = None, **how: Any) -> Any:
        bounds = how.pop("bounds", LEAST)
        status, body = self.raw(method, path, bounds=bounds, headers=headers, **how)
        return self.parsed(status, body, bounds)

    def body(self, method: str, path: str, *, bounds: Bounds = LEAST, **how: Any) -> bytes:
        status, body = self.raw(method, path, bounds=bounds, **how)
        self._check(status, body, bounds)
        return body

    def parsed(self, status: int, body: bytes, bounds: Bounds = LEAST) -> Any:
        """The document of an answer. Raises NoAnswer for another status than 200."""
        document = self._check(status, body, bounds)
        if document is None:
            raise NoAnswer(Cause.RUBBISH, f"HTTP 200 with {answers.words(document, body, self._asked())}")
        return document

    def _check(self, status: int, body: bytes, bounds: Bounds) -> object:
        """The document, None if it is none. Raises NoAnswer for another status than 200, and for too much."""
        if refused := bounds.refusal(body):
            raise MissingAnswer(refused)
        try:
            document: object = from_json(body)
        except ValueError:
            document = None
        if status != 200:
            raise MissingAnswer(answers.refusal(status, None, self._said(document, body)))
        return document

    def cluster(self, request: Request) -> Any:
        if self.objects is None:
            raise NoAnswer(Cause.REFUSED, "there is no cluster to ask")
        try:
            return self.objects(request)
        except Failure as error:
            raise MissingAnswer(error.missing) from None

    def _said(self, document: object, body: bytes) -> str:
        """The server's message where it may be shown, else what sort of page it sent."""
        message = _message(document)
        if message and self.words:
            return answers.line(answers.beginning(message, self.masked))
        return answers.words(document, body, self._asked())

    def _asked(self) -> answers.Asked:
        return answers.Asked(answers.ANYTIME, self.masked, quoted=self.words)


def _message(document: object) -> str:
    """The sentence in an error document of the usual shapes."""
    match document:
        case {"error": {"message": str(text)}} | {"message": str(text)} | {"error": str(text)}:
            return text
        case {"error_title": str(text)} | {"errors": [str(text), *_]} | {"errors": [{"message": str(text)}, *_]}:
            return text
        case [{"error": {"message": str(text)}}, *_]:
            return text
    return json.dumps(document) if isinstance(document, dict) else ""
