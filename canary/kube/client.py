"""Sends requests: waits when the server asks to, takes new credentials once, asks the guard before each write.

`connection.py` is the wire underneath. Errors are those of `errors.py`.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from canary.engine.observed import Kind

from . import requests
from .errors import Answer, Away, Expired, Throttled, clipped, translate
from .requests import Data, Request
from .resources import SELF_SUBJECT_REVIEWS, Resource

Object = dict[str, Any]

TIMEOUT = 5.0
"""Seconds that a request may take, waits that the server asks for included."""


class Wire(Protocol):
    """What carries requests."""

    def exchange(self, request: Request, timeout: float) -> Answer:
        """One request, one answer, no retries; `timeout` in seconds. Raises Away."""

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

    def guarded(self, guard: Callable[[], None]) -> Self:
        """The same, for those who may write only as long as `guard` returns."""
        return replace(self, guard=guard)

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object. Raises Absent and others."""
        return self.send(requests.get(resource, namespace, name))

    def find(self, resource: Resource, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """Those with all these labels."""
        found = self.send(requests.listing(resource, namespace, labels)).get("items")
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

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Raises Absent where it is gone already."""
        self.send(requests.delete(resource, namespace, name))

    def me(self) -> str:
        """Who the server takes us for; servers before 1.28 can't tell (Refused)."""
        review = self.send(requests.create(SELF_SUBJECT_REVIEWS, "", {}))
        return str((review.get("status") or {}).get("userInfo", {}).get("username") or "")

    def send(self, request: Request) -> Object:
        """The object in the answer. Takes at most `timeout`; each attempt of a write asks the guard anew."""
        until, renewed = self.clock() + self.timeout, False
        while True:
            try:
                return self._once(request, until - self.clock())
            except Expired:
                if renewed:
                    raise
                renewed = True
                self.wire.renew()
            except Throttled as error:
                if self.clock() + error.after >= until:
                    raise
                self.wait(error.after)

    def _once(self, request: Request, timeout: float) -> Object:
        if timeout <= 0:
            raise Away(Kind.TIMED_OUT, f"{request}: no answer within {self.timeout:g}s")
        if request.writes:
            self.guard()
        self.calls.add(request)
        answer = self.wire.exchange(request, timeout)
        if not 200 <= answer.status < 300:
            raise translate(request, answer)
        found = answer.parsed()
        if not isinstance(found, dict):
            raise Away(Kind.RUBBISH, f"{request}: not an object: {clipped(answer.body.decode(errors='replace'))}")
        return found
