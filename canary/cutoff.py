"""Connections that are cut off at a deadline, from outside the read.

A time-out of a socket is for each packet. A server that sends a byte now and then, of the TLS handshake, status line,
headers, sizes of chunks or trailers, would occupy a thread and a socket without end. So would endless
`100 Continue` responses.
"""

import heapq
import itertools
import os
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

_here = threading.local()


class Cutoff:
    """A context manager: the connections that its thread uses inside of it are shut down after `within` seconds."""

    def __init__(self, within: float) -> None:
        self.over = self._left = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._within = within

    def __enter__(self) -> Self:
        _deadlines.add(time.monotonic() + self._within, self)
        _here.cutoff = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _here.cutoff = None
        with self._lock:
            self._left = True
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

    def expire(self) -> None:
        """The deadline is over; nothing happens if the thread has left."""
        with self._lock:
            self.over = self.over or not self._left
            for one in self._sockets:
                _cut(one)


class _Deadlines:
    """One thread for all deadlines of the process: a thread for each would cost as much as a short request."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.forget()

    def forget(self) -> None:
        """Forgets all deadlines: a fork has no threads, and may have been made while the lock was taken."""
        self._due: list[tuple[float, int, Cutoff]] = []
        self._changed = threading.Condition()
        self._running = False

    def add(self, at: float, cutoff: Cutoff) -> None:
        """Expires it then. Raises RuntimeError where the system gives no thread."""
        with self._changed:
            if not self._running:
                threading.Thread(target=self._run, name="canary-deadlines", daemon=True).start()
                self._running = True
            heapq.heappush(self._due, (at, next(self._numbers), cutoff))
            if self._due[0][2] is cutoff:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                *_, cutoff = heapq.heappop(self._due)
            cutoff.expire()


_deadlines = _Deadlines()


os.register_at_fork(after_in_child=_deadlines.forget)


def watch(used: socket.socket | None) -> None:
    """Gives the socket to the Cutoff that this thread is in, if there is one."""
    cutoff: Cutoff | None = getattr(_here, "cutoff", None)
    if cutoff is not None and used is not None:
        cutoff.add(used)


def _cut(one: socket.socket) -> None:
    with suppress(OSError):  # the other side was faster
        one.shutdown(socket.SHUT_RDWR)
