"""Connections that are cut off at a deadline, from outside the read.

A time-out of a socket is for each packet. A server that sends a byte now and then, of the TLS handshake, status line,
headers, sizes of chunks or trailers, would occupy a thread and a socket without end. So would endless
`100 Continue` responses.
"""

import os
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_here = threading.local()


class Cutoff:
    """A context manager: the connections that its thread uses inside of it are shut down after `within` seconds."""

    def __init__(self, within: float) -> None:
        self.over = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(within, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        _here.cutoff = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _here.cutoff = None
        self._timer.cancel()
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()

    def add(self, used: socket.socket) -> None:
        """Watches a descriptor of its own: TLS takes the socket's away, and a closed one may be another's soon."""
        own = socket.socket(fileno=os.dup(used.fileno()))
        with self._lock:
            self._sockets.append(own)
            if self.over:
                _cut(own)

    def _expire(self) -> None:
        with self._lock:
            self.over = True
            for one in self._sockets:
                _cut(one)


def watch(used: socket.socket | None) -> None:
    """Gives the socket to the Cutoff that this thread is in, if there is one."""
    cutoff: Cutoff | None = getattr(_here, "cutoff", None)
    if cutoff is not None and used is not None:
        cutoff.add(used)


def _cut(one: socket.socket) -> None:
    with suppress(OSError):  # the other side was faster
        one.shutdown(socket.SHUT_RDWR)
