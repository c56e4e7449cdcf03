"""One call of a webhook: a POST, a deadline for all of it, and an answer in every case.

Each call has a connection of its own, which a `Cutoff` ends: a server that hangs, drips or sends without an end costs
a thread until the deadline, and no more. Of a body, no more is read than is shown.
"""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from canary.api.webhooks import HookRequest
from canary.cutoff import Cutoff, watch
from canary.engine.errors import Invalid

from .credentials import NONE, PASSWORD, USERNAME, HookCredentials

TIMEOUT = 10.0
"""Flagger's time limit of a request, in seconds."""
SHOWN = 160
"""Characters of a failed answer that are shown."""
BODY = 2048
"""Bytes of a failed answer that are read."""
DECISION = 64 * 1024
"""Bytes of a policy's decision that are read."""
REDIRECTS = 3
HIGHEST = 202
"""The highest status that is a yes, as in Flagger."""
_UNFIT = 501
"""The one status of 5xx that another attempt doesn't change."""
_TOO_MANY = 429
_PORTS = {"http": 80, "https": 443}
_SAFE = "%/?:@!$&'()*+,;=-._~ "
"""Beside letters and digits of ASCII, what is sent as it is; anything else is percent-encoded."""


@dataclass(frozen=True)
class Response:
    """What one request led to."""

    passed: bool
    detail: str
    again: bool = False
    """Whether another attempt may lead to another answer."""


class _HookConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.create_connection((self.host, self.port), self.timeout)
        watch(self.sock)


class _SecureHookConnection(http.client.HTTPSConnection):
    def __init__(self, host: str, port: int, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        watch(plain)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


@dataclass(frozen=True)
class HookExchange:
    """How a hook is called once."""

    request: HookRequest
    payload: Mapping[str, Any]
    id: str
    credentials: HookCredentials = NONE
    refusal: Callable[[str], str] = lambda url: ""
    """Why a URL may not be called, in a sentence; empty where it may."""
    decides: bool = False
    """Whether the answer is the decision of a policy: `result` of a JSON object."""
    quoted: bool = False
    """Whether what a server says may be shown to people who read the Canary."""
    clock: Callable[[], float] = time.time

    def call(self) -> Response:
        """Never raises."""
        limit = TIMEOUT if self.request.timeout is None else self.request.timeout.total_seconds()
        cutoff = Cutoff(limit)
        try:
            with cutoff:
                found = self._follow(urlsplit(self.request.url), limit)
            if cutoff.over:  # a connection that is cut off in the headers looks like one that ended there
                raise TimeoutError
            return found
        except Invalid as error:
            return Response(passed=False, detail=str(error))
        except Exception as error:  # noqa: BLE001 # of a server, or of a system that gives no thread for the deadline
            late = cutoff.over or isinstance(error, TimeoutError)
            words = f"no answer within {limit:g}s" if late else explained(error)
            return Response(passed=False, detail=words, again=not isinstance(error, ssl.SSLError))

    def _follow(self, url: SplitResult, limit: float) -> Response:
        """Redirects that keep the method and the body are followed, to the same server only."""
        for _ in range(REDIRECTS + 1):
            if refused := self.refusal(url.geturl()):
                return Response(passed=False, detail=refused)
            status, location, said = self._post(url, limit)
            if not 300 <= status < 400:
                return self._decided(said) if self.decides and status == HTTPStatus.OK else self._judged(status, said)
            following = urlsplit(urljoin(url.geturl(), location))
            if status not in (307, 308) or not location:
                return Response(passed=False, detail=f"HTTP {status}, a redirect; write the final URL")
            if _server(following) != _server(url):
                return Response(passed=False, detail=f"HTTP {status}, a redirect to another server")
            url = following
        return Response(passed=False, detail="too many redirects")

    def _decided(self, said: str) -> Response:
        """As Open Policy Agent answers; a rule that is undefined has no result."""
        try:
            found = json.loads(said)["result"]
        except KeyError:
            return Response(passed=False, detail="the policy is undefined")
        except (ValueError, TypeError, RecursionError):
            return Response(passed=False, detail="not a decision in JSON")
        allowed = found.get("allow") if isinstance(found, dict) else found
        why = found.get("reason") if isinstance(found, dict) else ""
        shown = f": {self._shown(why.encode())}" if isinstance(why, str) and why and self.quoted else ""
        yes = allowed is True
        return Response(passed=yes, detail="the policy allows it" if yes else f"the policy says no{shown}")

    def _judged(self, status: int, said: str) -> Response:
        if 200 <= status <= HIGHEST and not self.decides:
            return Response(passed=True, detail=f"HTTP {status}")
        again = status == _TOO_MANY or (status >= 500 and status != _UNFIT)
        shown = f": {said}" if said and self.quoted else ""
        return Response(passed=False, detail=f"HTTP {status}{shown}", again=again)

    def _post(self, url: SplitResult, limit: float) -> tuple[int, str, str]:
        body = json.dumps(self.payload, separators=(",", ":")).encode()
        connection = self._connection(url, limit)
        try:
            path = quote(f"{url.path or '/'}{f'?{url.query}' if url.query else ''}", safe=_SAFE.strip())
            connection.request("POST", path, body, self._headers(url, body))
            answer = connection.getresponse()
            if self.decides and answer.status == HTTPStatus.OK:
                return answer.status, "", answer.read(DECISION).decode(errors="replace")
            wanted = self.quoted and answer.status > HIGHEST
            said = self._shown(answer.read1(BODY)) if wanted else ""
            return answer.status, answer.getheader("Location", ""), said
        finally:
            connection.close()

    def _headers(self, url: SplitResult, body: bytes) -> dict[str, str]:
        """The same key for each attempt of a call, so that a server may know it again."""
        found = {
            "Content-Type": "application/json",
            "User-Agent": "canary",
            "Idempotency-Key": quote(self.id, safe=_SAFE),
        }
        found |= _of_url(url).headers(body, 0)
        return found | self.credentials.headers(body, int(self.clock())) | {"Connection": "close"}

    def _connection(self, url: SplitResult, limit: float) -> http.client.HTTPConnection:
        scheme, host, port = _server(url)
        if scheme == "https":
            return _SecureHookConnection(
                host, port, limit, self.credentials.context(verified=not self.request.disable_tls)
            )
        return _HookConnection(host, port, timeout=limit)

    def _shown(self, body: bytes) -> str:
        text = self.credentials.scrubbed(body.decode(errors="replace"))
        text = " ".join(_of_url(urlsplit(self.request.url)).scrubbed(text).split())
        return "".join(char for char in text if char.isprintable())[:SHOWN]


def _of_url(url: SplitResult) -> HookCredentials:
    """User name and password that the URL has."""
    if url.username is None:
        return NONE
    return HookCredentials({USERNAME: unquote(url.username).encode(), PASSWORD: unquote(url.password or "").encode()})


def _server(url: SplitResult) -> tuple[str, str, int]:
    """Raises Invalid for what can't be called."""
    try:
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if url.scheme not in _PORTS or not host:
        raise Invalid("its URL can't be called; write one such as http://loadtester.test/gate/check")
    return url.scheme, host, port or _PORTS[url.scheme]


def explained(error: Exception) -> str:
    """What an exception means. Its text isn't passed on: it may hold what was sent or received."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"TLS: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS: {(error.reason or 'no handshake').lower().replace('_', ' ')}"
        case socket.gaierror():
            return "no such host"
        case ConnectionRefusedError():
            return "connection refused"
        case http.client.RemoteDisconnected() | ConnectionError():
            return "the connection was closed without an answer"
        case http.client.HTTPException():
            return "no HTTP answer"
        case OSError():
            return "can't be reached"
    return f"can't be called ({type(error).__name__})"
