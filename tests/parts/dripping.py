"""Servers whose answers never end, and the places in which they drip."""

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Raw:
    """A server that writes `begin`, and then `more` for as long as the client is there."""

    def __init__(self, begin: bytes, more: bytes, pause: float) -> None:
        self.begin, self.more, self.pause = begin, more, pause
        self.left = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        with suppress(OSError):
            connection, _ = self.socket.accept()
            with connection:
                connection.settimeout(10)
                connection.recv(65536)
                connection.sendall(self.begin)
                while self.more and not self.left.wait(self.pause):
                    connection.sendall(self.more)
                while connection.recv(65536):
                    pass
        self.left.set()


@contextmanager
def raw(begin: bytes, more: bytes = b"", pause: float = 0.02) -> Iterator[Raw]:
    """The server, until the end of the block."""
    server = Raw(begin, more, pause)
    with server.socket:
        yield server


ENDLESS = [
    ("silence", "http", b"", b""),
    ("the status line", "http", b"HTTP/1.1 200 ", b"O"),
    ("headers", "http", OK + b"X-Long: ", b"x"),
    ("sizes of chunks", "http", CHUNKED, b"0"),
    ("chunks", "http", CHUNKED, b"1\r\n \r\n"),
    ("trailers", "http", CHUNKED + b"0\r\n", b"A: b\r\n"),
    ("a body without a length", "http", OK + b"\r\n", b" "),
    ("a body with a length", "http", OK + b"Content-Length: 999999\r\n\r\n", b" "),
    ("a compressed body of nothing", "http", OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"")),
    ("the TLS handshake", "https", b"\x16\x03\x03\x40\x00", b"\x02"),
]
"""Name, scheme, and what `raw` writes."""
