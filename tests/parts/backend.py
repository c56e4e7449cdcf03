"""A small HTTP service for tests, as slow, faulty or silent as it is configured to be; it counts what it meets."""

import socket
import struct
import threading
from collections import Counter
from types import TracebackType
from typing import Self

from tests.parts import serving
from tests.parts.processes import free_port

HEALTH = "/health"


class Backend:
    """Answers every request with its name. Its attributes may be changed at any time; they hold from the next
    request on. Health checks are answered by `healthy`, and aren't counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.error_share = 0.0
        """Share of requests that get a 500, spread evenly."""
        self.delay = 0.0
        """Seconds before an answer."""
        self.hangs = False
        """Take requests and answer none."""
        self.resets = False
        """Reset the connection instead of an answer."""
        self.grpc_status: int | None = None
        """Answer as a gRPC server that ends its calls with this status."""
        self.healthy = True
        self.met = 0
        """Requests that arrived."""
        self.answered: Counter[int] = Counter()
        """Answers by HTTP status."""
        self._due = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; also again after `stop`, on the same port."""
        self._stopped.clear()
        self._server = _Server(self.port)
        self._server.backend = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and all connections: connecting is refused from now on."""
        self._stopped.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.close_all()
            self._server.server_close()
            self._server = None

    def status(self) -> int:
        """What the next request gets."""
        with self._lock:
            self.met += 1
            self._due += self.error_share
            failed = self._due >= 1 - 1e-9
            self._due -= failed
            return 500 if failed else 200

    def wait(self) -> bool:
        """Whether to answer, once it is time to."""
        if self.hangs:
            self._stopped.wait()
            return False
        return not (self.delay and self._stopped.wait(self.delay))


class _Server(serving.Server):
    backend: Backend

    def __init__(self, port: int) -> None:
        super().__init__(_Handler, port)
        self._open: set[socket.socket] = set()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        self._open.discard(request)
        super().shutdown_request(request)

    def close_all(self) -> None:
        for one in list(self._open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Handler(serving.Handler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        backend = self.server.backend
        if self.path == HEALTH:
            return self._answer(200 if backend.healthy else 503, b"")
        status = backend.status()
        if not backend.wait():
            self.close_connection = True
        elif backend.resets:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        else:
            backend.answered[status] += 1
            self._answer(status, backend.name.encode())

    def _answer(self, status: int, body: bytes) -> None:
        grpc = self.server.backend.grpc_status
        if grpc is None:
            return self.answer(status, body)
        self.answer(status, b"", {"content-type": "application/grpc", "grpc-status": str(grpc)})
