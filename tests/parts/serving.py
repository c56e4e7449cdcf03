"""What the HTTP servers of tests share: a port of this machine, silence about clients that leave, and an end."""

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

METRICS = {"Content-Type": "text/plain; version=0.0.4"}


class Handler(BaseHTTPRequestHandler):
    """Prints no requests. With another `protocol_version` connections are kept open."""

    def log_message(self, *_: object) -> None:
        """Tests look at what was asked."""

    def sent(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, length: int = -1) -> None:
        """Headers, the body's length unless another is given, and the body."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """At a free port unless an address is given."""

    daemon_threads = True
    request_queue_size = 128  # of the usual 5, a client that finds no place in line is reset, or waits for seconds

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave, or aren't let in, are what tests are about."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server's URL, until the end of the block."""
    server = Server(handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
