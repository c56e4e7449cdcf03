"""Metrics and probes over HTTP: /metrics, /healthz and /readyz, and the paths to which others may post.

One short connection a request. Those that take too long are closed, and so are the oldest where there are too
many: a slow client blocks neither the kubelet nor Prometheus. Requests are not
logged, for query strings may hold secrets.
"""

import errno
import logging
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from canary.engine.errors import Invalid

DEFAULT = "127.0.0.1:8080"
"""Only this machine reaches it, unless a setting says otherwise."""
PLAIN = "text/plain; charset=utf-8"
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""
LONGEST = 10.0
"""Seconds that a connection may live; Prometheus' own time-out of a scrape."""
MOST = 32
"""Connections at one time."""
LARGEST = 64 * 1024
"""Bytes of what may be posted."""
POLL = 0.1
"""Seconds between two looks at whether to stop, and at connections that are too old."""

log = logging.getLogger(__name__)
Troubles = Callable[[], Sequence[str]]


@dataclass(frozen=True)
class Page:
    """What a path is answered with."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    type: str = PLAIN


@dataclass(frozen=True)
class Posted:
    """What a client has posted. It is read whole, and within the time of a connection."""

    headers: Message
    """By name; case doesn't matter."""
    body: bytes
    gone: Callable[[], bool]
    """Whether the client has closed the connection, so that no client reads the answer."""


@dataclass(frozen=True)
class Posts:
    """The paths to which clients may post, and how long an answer may take."""

    pages: Mapping[str, Callable[[Posted], Page]]
    longest: float = LONGEST
    """Seconds for an answer, once all is read."""
    most: int = MOST
    """Connections at one time."""
    largest: int = LARGEST
    """Bytes of what may be posted."""


def page(text: str, status: HTTPStatus = HTTPStatus.OK) -> Page:
    """One line of text."""
    return Page(f"{' '.join(text.split())}\n".encode(), status)


class Serving:
    """Listens from `start` to `stop`. `healthy` and `ready` answer with sentences about what is wrong."""

    def __init__(
        self,
        address: str,
        metrics: Callable[[], bytes],
        healthy: Troubles,
        ready: Troubles,
        longest: float = LONGEST,
        posts: Posts | None = None,
    ) -> None:
        """`address` is HOST:PORT; port 0 takes a free one. `longest` is in seconds. Raises Invalid."""
        self._where = parsed(address)
        self._longest = longest
        self._posts = posts or Posts({})
        self._pages: Mapping[str, Callable[[], Page]] = {
            "/metrics": lambda: Page(metrics(), type=EXPOSITION),
            "/healthz": lambda: _probe("not healthy", healthy()),
            "/readyz": lambda: _probe("not ready", ready()),
        }
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The one that is listened on."""
        return self._where[1] if self._server is None else int(self._server.server_address[1])

    def start(self) -> None:
        """Returns once connections are taken. Raises Invalid where nothing can listen there."""
        host, port = self._where
        try:
            self._server = _Server((host, port), self._pages, self._posts, self._longest)
        except OSError as error:
            raise Invalid(f"can't listen on {host} port {port}: {_words(error)}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), name="serving", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes no more connections, and ends those that are open; all threads are over when it returns."""
        server, thread, self._server, self._thread = self._server, self._thread, None, None
        if server is None or thread is None:
            return
        server.shutdown()
        thread.join()
        server.drop_all()
        server.server_close()


def parsed(address: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8080`, `:8080` (every interface) or `[::1]:8080`. Raises Invalid."""
    host, colon, port = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or (":" in host and bare == host):
        raise Invalid(f"{address!r} is not an address to listen on; write HOST:PORT, such as {DEFAULT}")
    return bare, int(port)


def _probe(state: str, troubles: Sequence[str]) -> Page:
    if not troubles:
        return page("ok")
    return page(f"{state}: {'; '.join(troubles)}", HTTPStatus.SERVICE_UNAVAILABLE)


def _words(error: OSError) -> str:
    if error.errno is None or error.errno not in errno.errorcode:
        return str(error)
    return os.strerror(error.errno).lower()


class _Server(ThreadingHTTPServer):
    """Knows its connections, so that it can end them."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128  # the kernel lets those wait a second who find the usual 5 in line

    def __init__(
        self, where: tuple[str, int], pages: Mapping[str, Callable[[], Page]], posts: Posts, longest: float
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
        self.pages = pages
        self.posts = posts
        self._longest = longest
        self._open: dict[Any, float] = {}
        self._lock = threading.Lock()
        super().__init__(where, _Handler)

    def server_bind(self) -> None:
        """Without the evaluation-up of our own name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = time.monotonic() + self._longest
            crowd = list(self._open)[: -self.posts.most]
        self._drop(crowd)
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Called after each request and each POLL."""
        now = time.monotonic()
        with self._lock:
            old = [one for one, until in self._open.items() if until <= now]
        self._drop(old)

    def answering(self, request: Any) -> None:
        """All is read: from now on the answer takes its time."""
        with self._lock:
            if request in self._open:
                self._open[request] = time.monotonic() + self.posts.longest

    def drop_all(self) -> None:
        with self._lock:
            left = list(self._open)
        self._drop(left)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
        if not isinstance(sys.exception(), OSError):
            log.exception("a page can't be served")

    @staticmethod
    def _drop(connections: Sequence[Any]) -> None:
        """Wakes their threads, which then close them."""
        for one in connections:
            with suppress(OSError):  # closed already
                one.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: the connection ends with the answer."""

    server: _Server

    def do_GET(self) -> None:
        make = self.server.pages.get(self.path.partition("?")[0])
        answer = make() if make else page(f"there is only {', '.join(self.server.pages)}", HTTPStatus.NOT_FOUND)
        self._send(answer)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """The body is bounded, and read before anything is done."""
        make = self.server.posts.pages.get(self.path.partition("?")[0])
        length = self.headers.get("Content-Length") or ""
        if make is None:
            known = bool(self.server.posts.pages)
            self.send_error(HTTPStatus.NOT_FOUND if known else HTTPStatus.NOT_IMPLEMENTED)
        elif not (length.isascii() and length.isdigit()):
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif len(length) > 12 or int(length) > self.server.posts.largest:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                self.server.answering(self.connection)
                self._send(make(Posted(self.headers, body, self._gone)))

    def _gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def _send(self, answer: Page) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is no GET or HEAD, or no HTTP: a line without what was sent."""
        status = HTTPStatus(code)
        self._send(page(status.phrase, status))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape every few seconds is no news."""

    def version_string(self) -> str:
        return "canary"
