"""Sends requests: waits when the server asks to, takes new credentials once, asks the guard before each write.

`connection.py` is the wire underneath, `pace.py` says when it is whose turn. Errors are those of `errors.py`.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, TypeVar

from canary.engine.observed import Kind

from . import requests
from .errors import SOON, Answer, Away, Expired, Throttled, clipped, translate
from .pace import Pace
from .requests import Data, Request
from .resources import SELF_SUBJECT_REVIEWS, Resource

Object = dict[str, Any]
T = TypeVar("T")

TIMEOUT = 5.0
"""Seconds that a request may take, waits that the server asks for included."""


SHORTEST = 0.01
"""Seconds that are left to a request whose turn came late."""


class Stream(Protocol):
    """An answer that goes on. One thread reads it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def chunks(self) -> Iterator[bytes]:
        """As they come, until it ends. Raises Away."""

    def close(self) -> None:
        """Ends it, from any thread: whoever reads is done at once."""


class Wire(Protocol):
    """What carries requests."""

    def exchange(self, request: Request, timeout: float) -> Answer:
        """One request, one answer, no retries; `timeout` in seconds. Raises Away."""

    def stream(self, request: Request, timeout: float, silence: float) -> Stream:
        """One request whose answer must begin within `timeout` seconds, and pause for at most `silence`."""

    def renew(self) -> None:
        """Reads the credentials again. Raises Away where there are none."""


class Calls:
    """Counts requests by verb and kind, each attempt by itself."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, request: Request) -> None:
        with self._lock:
            self._counts[f"{request.verb} {request.resource.kind}"] += 1

    def take(self) -> dict[str, int]:
        """What was counted since the last call of this, such as {"get Deployment": 2}."""
        with self._lock:
            counts, self._counts = dict(self._counts), Counter()
        return counts


def always() -> None:
    """The guard of those who need no lock."""


@dataclass(frozen=True)
class Client:
    """One user of one API server. Safe to share between threads."""

    wire: Wire
    timeout: float = TIMEOUT
    guard: Callable[[], None] = always
    """Called right before each attempt of a write; what it raises, the write raises."""
    calls: Calls = field(default_factory=Calls)
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    pace: Pace = field(default_factory=Pace)
    hurry: bool = False
    """Whether its requests go first in line."""

    def urgent(self) -> Self:
        """The same, for what lowers exposure: it waits for nobody else."""
        return replace(self, hurry=True)

    def guarded(self, guard: Callable[[], None]) -> Self:
        """The same, for those who may write only as long as `guard` returns."""
        return replace(self, guard=guard)

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object. Raises Absent and others."""
        return self.send(requests.get(resource, namespace, name))

    def fresh(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object as the server has it now, whatever is kept of it. Raises Absent and others."""
        return self.get(resource, namespace, name)

    def find(self, resource: Resource, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """Those with all these labels."""
        found = self.send(requests.listing(resource, namespace, requests.matching(labels))).get("items")
        return found if isinstance(found, list) else []

    def create(self, resource: Resource, namespace: str, body: Data) -> Object:
        """As the server made it. Raises Changed where the name is taken."""
        return self.send(requests.create(resource, namespace, body))

    def patch(self, resource: Resource, namespace: str, name: str, operations: Sequence[Data]) -> Object:
        """Applies a JSON patch, whole or not at all. Raises Changed where one of its tests fails."""
        return self.send(requests.patch(resource, namespace, name, operations))

    def merge(self, resource: Resource, namespace: str, name: str, version: str, change: Data) -> Object:
        """Merges `change` into exactly this resourceVersion. Raises Changed where it is another one."""
        return self.send(requests.merge(resource, namespace, name, version, change))

    def merge_status(self, resource: Resource, namespace: str, name: str, version: str, status: Data) -> Object:
        """Merges into the status of exactly this resourceVersion. Raises Changed where it is another one."""
        return self.send(requests.merge_status(resource, namespace, name, version, status))

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Raises Absent where it is gone already."""
        self.send(requests.delete(resource, namespace, name))

    def me(self) -> str:
        """Who the server takes us for; servers before 1.28 can't tell (Refused)."""
        review = self.send(requests.create(SELF_SUBJECT_REVIEWS, "", {}))
        return str((review.get("status") or {}).get("userInfo", {}).get("username") or "")

    def send(self, request: Request) -> Object:
        """The object in the answer. Takes at most `timeout`; each attempt of a write asks the guard anew."""
        return self._persistently(request, self._exchange)

    def stream(self, request: Request, silence: float) -> Stream:
        """An answer that has begun within `timeout`. Raises as `send` does."""
        return self._persistently(request, lambda again, timeout: self._opened(again, timeout, silence))

    def _persistently(self, request: Request, once: Callable[[Request, float], T]) -> T:
        until, renewed = self.clock() + self.timeout, False
        while True:
            self._admitted(request, until - self.clock())
            try:
                return once(request, until - self.clock())
            except Expired:
                if renewed:
                    raise
                renewed = True
                self.wire.renew()
            except Throttled as error:
                self.pace.pause(error.after)
                if self.clock() + error.after >= until:
                    raise
                self.wait(error.after)

    def _admitted(self, request: Request, timeout: float) -> None:
        """Returns when it is this request's turn, if it may be sent at all. Raises Throttled, Away."""
        if timeout <= 0:
            raise Away(Kind.TIMED_OUT, f"{request}: no answer within {self.timeout:g}s")
        if not self.pace.turn(self.hurry, timeout):
            raise Throttled(
                f"{request}: not sent within {timeout:.2g}s; at most {self.pace.qps:g} may be a second", SOON
            )
        if request.writes:
            self.guard()
        self.calls.add(request)

    def _exchange(self, request: Request, timeout: float) -> Object:
        answer = self.wire.exchange(request, max(timeout, SHORTEST))
        if not 200 <= answer.status < 300:
            raise translate(request, answer)
        found = answer.parsed()
        if not isinstance(found, dict):
            raise Away(Kind.RUBBISH, f"{request}: not an object: {clipped(answer.body.decode(errors='replace'))}")
        return found

    def _opened(self, request: Request, timeout: float, silence: float) -> Stream:
        stream = self.wire.stream(request, max(timeout, SHORTEST), silence)
        if stream.status != 200:
            raise translate(request, Answer(stream.status, stream.headers, b"".join(stream.chunks())))
        return stream
