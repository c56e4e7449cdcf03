"""One HTTP exchange with a Prometheus: the query as a body, a deadline for all of it, a Missing for every failure.

Imported where the first query is asked, because requests takes 80 ms to import. `answers.py` reads the bodies.
"""

import ssl
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from socket import gaierror
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.exceptions import HTTPError, IncompleteRead, ReadTimeoutError
from urllib3.util.retry import Retry

from canary.engine.observed import Kind, Missing

from . import answers
from .credentials import Credentials

CONNECT = 2.0
"""Seconds for a connection to be made."""
KEPT = 256
"""Connections to one server: as many as askers have calls abreast, so that none is closed only to be made again."""
LARGEST = 64 * 2**20
"""Bytes of an answer; all rows of 500 workloads take about one MiB."""
_CHUNK = 64 * 2**10


class Unanswered(Exception):
    """Goes through the client library, which would otherwise drop warnings and reduce errors to text."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(str(missing))
        self.missing = missing


class Answer(requests.Response):
    """A response whose body was read and checked already."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.status_code = 200
        self._found = found

    def json(self, **_: Any) -> Any:
        """What the client library looks for."""
        return {"data": {"result": self._found}}


class Exchange(requests.Session):
    """A session that puts the query into the body (proxies cap URLs at 8 KB), reads the answer within the
    deadline however slowly it drips, follows no redirect (credentials would go along), and keeps no cookies."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self.trust_env = False
        credentials.check()
        self._scrubbed = credentials.scrubbed
        self.verify = str(credentials.ca) if credentials.ca else True
        self.cert = _certificate(credentials)
        self.headers.update(credentials.shown())
        self.cookies = _Forgetful()

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **how: Any) -> requests.Response:
        """As the client library calls it. Raises Unanswered, and what requests and urllib3 raise."""
        deadline = time.monotonic() + how["timeout"][1]
        how |= {"data": how.pop("params"), "stream": True, "allow_redirects": False}
        with super().request(method, url, *args, **how) as response:
            body = _read(response, deadline)
        if 300 <= response.status_code < 400:
            raise Unanswered(
                Missing(Kind.RUBBISH, f"HTTP {response.status_code}, a redirect; give the final address")
            )
        found = answers.result(response.status_code, body, self._scrubbed)
        if isinstance(found, Missing):
            raise Unanswered(found)
        return Answer(found)


class Client:
    """One server, as long as its credentials stay the same."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        """Raises OSError for a credentials file that can't be read."""
        self.url = url
        session = Exchange(credentials)
        self._prometheus = PrometheusConnect(url, session=session, method="POST")
        # In place of the library's. Retry(total=0) would turn a read time-out into a plain ConnectionError.
        session.mount(url, HTTPAdapter(pool_connections=1, pool_maxsize=KEPT, max_retries=Retry(0, read=False)))

    def ask(self, text: str, at: datetime, within: float) -> Any | Missing:
        """The `result` of an instant query at `at`; `within` seconds, for the server and for the way."""
        params = {"time": f"{at.timestamp():.3f}", "timeout": f"{max(int(within * 900), 1)}ms"}
        try:
            return self._prometheus.custom_query(text, params, timeout=(min(CONNECT, within), within))
        except (requests.RequestException, HTTPError, Unanswered, OSError, ValueError) as error:
            missing = explained(error, within)
        return Missing(missing.kind, f"{missing.detail}; {self.url}" if missing.detail else self.url)

    def close(self) -> None:
        """Lets go of the connections."""
        self._prometheus.close()


_MEANINGS: Sequence[tuple[tuple[type[BaseException], ...], Kind, str]] = (
    ((requests.Timeout, ReadTimeoutError, TimeoutError), Kind.TIMED_OUT, "no complete answer within {within:.2g}s"),
    ((IncompleteRead, requests.exceptions.ChunkedEncodingError), Kind.RUBBISH, "the answer breaks off"),
    ((requests.exceptions.InvalidHeader, UnicodeError), Kind.DENIED, "credentials that no HTTP header can hold"),
    ((gaierror,), Kind.REFUSED, "no such host"),
    ((ConnectionRefusedError,), Kind.REFUSED, ""),
    ((ConnectionError,), Kind.UNAVAILABLE, "the connection was closed without an answer"),
)


def explained(error: Exception, within: float) -> Missing:
    """What a failed exchange means. Never passes on an exception's text: it may hold headers."""
    for cause in _causes(error):
        if isinstance(cause, Unanswered):
            return cause.missing
        if isinstance(cause, ssl.SSLError):
            said = getattr(cause, "verify_message", "") or cause.reason or "no handshake"
            return Missing(Kind.DENIED, f"TLS: {said.lower().replace('_', ' ')}")
        for types, kind, words in _MEANINGS:
            if isinstance(cause, types):
                return Missing(kind, words.format(within=within))
    if isinstance(error, OSError):  # as requests' own exceptions are
        return Missing(Kind.REFUSED, type(error).__name__)
    return Missing(Kind.RUBBISH, type(error).__name__)


class _Forgetful(RequestsCookieJar):
    def set_cookie(self, *_: Any, **__: Any) -> None:
        """Keeps none: a load balancer's cookie would tie one server's answers to another's."""


def _certificate(credentials: Credentials) -> tuple[str, str] | str | None:
    if credentials.certificate is None:
        return None
    if credentials.key is None:
        return str(credentials.certificate)
    return str(credentials.certificate), str(credentials.key)


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body; a time-out of requests is for each packet, this one for all of them."""
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(body) > LARGEST:
            raise Unanswered(Missing(Kind.INVALID, f"the answer is larger than {LARGEST // 2**20} MiB"))
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
