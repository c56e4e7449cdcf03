"""One HTTP exchange with a Prometheus: the query as a body, a deadline for all of it, a Missing for every failure.

Imported where the first query is asked, because requests takes 80 ms to import. `answers.py` reads the bodies.

A `Cutoff` ends it at the deadline, because a time-out of urllib3 is for each packet.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from socket import gaierror
from typing import Any, NamedTuple

import requests
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, IncompleteRead, InvalidHeader, ReadTimeoutError
from urllib3.util.retry import Retry

from canary.cutoff import Cutoff, watch
from canary.engine.observed import Cause, Missing

from . import answers
from .credentials import Credentials
from .limits import Bounds, Excess, RefusedAnswer

INFORMATIONAL = 8
"""Responses such as `100 Continue` before the final one."""


class AnswerMissing(Exception):
    """Goes through the client libraries, which would otherwise drop warnings and reduce errors to text."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(str(missing))
        self.missing = missing


class _Response(http.client.HTTPResponse):
    _heads = 0

    def _read_status(self) -> tuple[str, int, str]:
        self._heads += 1
        if self._heads > INFORMATIONAL:
            raise AnswerMissing(
                RefusedAnswer(Cause.RUBBISH, "responses such as 100 Continue without an end", Excess.HEADERS)
            )
        return super()._read_status()  # type: ignore[misc, no-any-return] # typeshed has no private methods


class _Plain(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        watch(made)
        return made

    def request(self, *args: Any, **how: Any) -> None:
        watch(self.sock)
        super().request(*args, **how)


class _Secure(_Plain, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _UnverifiedPool(_SecurePool):
    def _validate_conn(self, conn: Any) -> None:
        """Without urllib3's warning at each request: the manifest asks for this, and lint warns."""
        if conn.is_closed:
            conn.connect()


class WatchedAdapter(HTTPAdapter):
    """Makes connections that a `Cutoff` can cut off."""

    secure: type[_SecurePool] = _SecurePool

    def init_poolmanager(self, *args: Any, **how: Any) -> None:
        super().init_poolmanager(*args, **how)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": self.secure}


class UnverifiedAdapter(WatchedAdapter):
    """The same for a server whose certificate isn't verified."""

    secure = _UnverifiedPool


CONNECT = 2.0
"""Seconds for a connection to be made."""
KEPT = 256
"""Connections to one server: as many as askers have calls abreast, so that none is closed only to be made again."""
_CHUNK = 64 * 2**10


class Allowance(NamedTuple):
    """What goes through the client library in the place of its time-outs."""

    asked: answers.Asked
    within: float
    cutoff: Cutoff


class PrometheusAnswer(requests.Response):
    """A response whose body was read and checked already."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.status_code = 200
        self._found = found

    def json(self, **_: Any) -> Any:
        """What the client library looks for."""
        return {"data": {"result": self._found}}


class BoundedSession(requests.Session):
    """A session that reads an answer within the deadline however slowly it drips, follows no redirect (credentials
    would go along), and keeps no cookies."""

    def __init__(self, insecure: bool = False) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = not insecure
        self.headers["Accept-Encoding"] = "gzip"
        self.cookies = _Forgetful()

    def fetch(
        self, method: str | bytes, url: str | bytes, within: float, bounds: Bounds, cutoff: Cutoff, **how: Any
    ) -> tuple[int, bytes]:
        """Status and body. Raises AnswerMissing, and what requests and urllib3 raise."""
        deadline = time.monotonic() + within
        how |= {"stream": True, "allow_redirects": False, "timeout": (min(CONNECT, within), within)}
        with super().request(method, url, **how) as response:
            body = _read(response, deadline, bounds)
        if cutoff.over:  # a body without a length would look complete
            raise TimeoutError
        if 300 <= response.status_code < 400:
            raise AnswerMissing(
                Missing(Cause.RUBBISH, f"HTTP {response.status_code}, a redirect; give the final address")
            )
        return response.status_code, body


class Exchange(BoundedSession):
    """A session that puts the query into the body, because proxies cap URLs at 8 KB."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        credentials.check()
        self.verify = str(credentials.ca) if credentials.ca else True
        self.cert = _certificate(credentials)
        self.headers.update(credentials.shown())

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **how: Any) -> requests.Response:
        """As the client library calls it. Raises AnswerMissing, and what requests and urllib3 raise."""
        asked, within, cutoff = how.pop("timeout")
        how["data"] = how.pop("params")
        status, body = self.fetch(method, url, within, asked.bounds, cutoff, **how)
        found = answers.result(status, body, asked)
        if isinstance(found, Missing):
            raise AnswerMissing(found)
        return PrometheusAnswer(found)


class PrometheusClient:
    """One server, as long as its credentials stay the same."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        """Raises OSError for a credentials file that can't be read."""
        self.url = url
        self.scrubbed = credentials.scrubbed
        session = Exchange(credentials)
        self._prometheus = PrometheusConnect(url, session=session, method="POST")
        # In place of the library's. Retry(total=0) would turn a read time-out into a plain ConnectionError.
        session.mount(url, WatchedAdapter(pool_connections=1, pool_maxsize=KEPT, max_retries=Retry(0, read=False)))

    def ask(self, text: str, asked: answers.Asked, within: float) -> Any | Missing:
        """The `result` of an instant query; `within` seconds, for the server and for the way."""
        params = {"time": f"{asked.at.timestamp():.3f}", "timeout": f"{max(int(within * 900), 1)}ms"}
        with Cutoff(within) as cutoff:
            try:
                return self._prometheus.custom_query(text, params, timeout=Allowance(asked, within, cutoff))
            except (requests.RequestException, HTTPError, AnswerMissing, OSError, ValueError) as error:
                missing = explained(TimeoutError() if cutoff.over else error, within)
        return replace(missing, detail=f"{missing.detail}; {self.url}" if missing.detail else self.url)

    def close(self) -> None:
        """Lets go of the connections."""
        self._prometheus.close()


_MEANINGS: Sequence[tuple[tuple[type[BaseException], ...], Cause, str]] = (
    ((requests.Timeout, ReadTimeoutError, TimeoutError), Cause.TIMED_OUT, "no complete answer within {within:g}s"),
    ((IncompleteRead, requests.exceptions.ChunkedEncodingError), Cause.RUBBISH, "the answer breaks off"),
    ((requests.exceptions.InvalidHeader, UnicodeError), Cause.DENIED, "credentials that no HTTP header can hold"),
    ((gaierror,), Cause.REFUSED, "no such host"),
    ((ConnectionRefusedError,), Cause.REFUSED, ""),
    ((ConnectionError,), Cause.UNAVAILABLE, "the connection was closed without an answer"),
)


def explained(error: Exception, within: float) -> Missing:
    """What a failed exchange means. Never passes on an exception's text: it may hold headers."""
    if any(isinstance(cause, InvalidHeader) for cause in _causes(error)):  # requests' own is of what we send
        return Missing(Cause.RUBBISH, "the headers of the answer contradict each other")
    for cause in _causes(error):
        if isinstance(cause, AnswerMissing):
            return cause.missing
        if isinstance(cause, ssl.SSLError):
            said = getattr(cause, "verify_message", "") or cause.reason or "no handshake"
            return Missing(Cause.DENIED, f"TLS: {said.lower().replace('_', ' ')}")
        for types, kind, words in _MEANINGS:
            if isinstance(cause, types):
                return Missing(kind, words.format(within=max(round(within, 1), 0.1)))
    if isinstance(error, OSError):  # as requests' own exceptions are
        return Missing(Cause.REFUSED, type(error).__name__)
    return Missing(Cause.RUBBISH, type(error).__name__)


class _Forgetful(RequestsCookieJar):
    def set_cookie(self, *_: Any, **__: Any) -> None:
        """Keeps none: a load balancer's cookie would tie one server's answers to another's."""


def _certificate(credentials: Credentials) -> tuple[str, str] | str | None:
    if credentials.certificate is None:
        return None
    if credentials.key is None:
        return str(credentials.certificate)
    return str(credentials.certificate), str(credentials.key)


def _read(response: requests.Response, deadline: float, bounds: Bounds) -> bytes:
    """The body; a time-out of requests is for each packet, this one for all of them."""
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(body) > bounds.size:
            raise AnswerMissing(bounds.oversize())
    return bytes(body)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it was made of, outermost first."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            inner = [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
            waiting += [cause for cause in inner if isinstance(cause, BaseException)]
