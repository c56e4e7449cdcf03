"""A TCP proxy in front of the API server that cuts connections, lets them die without a word, or refuses new ones."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.parts.processes import free_port


class Proxy:
    """Carries bytes both ways, as long as it is let."""

    def __init__(self, port: int) -> None:
        """`port` is that of the API server."""
        self.port = free_port()
        self.opened = 0
        """Connections that were carried."""
        self._target = port
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._mute: set[socket.socket] = set()
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Takes connections, also again after `refuse`."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Ends the connections that are open."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for each in pair:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def mute(self) -> None:
        """What is open stays open, and nothing comes through any more; new connections work."""
        self._mute.update(each for pair in self._pairs for each in pair)

    def refuse(self) -> None:
        """No one listens, and nothing is open."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near = listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self.opened += 1
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), source:
            while data := source.recv(65536):
                if source not in self._mute:
                    sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """One that runs."""
    proxy = Proxy(port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.refuse()
