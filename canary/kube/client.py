"""Sends requests: waits when the server asks to, takes new credentials once, asks the fence before each write.

`connection.py` is the wire underneath, `rate_limiter.py` says when it is whose turn. Errors are those of `errors.py`.
`ClusterAccess` says how a cluster is reached.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from canary.engine.observed import Cause

from . import requests
from .errors import (
    SOON,
    ApiAnswer,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unserved,
    clipped,
    translate,
)
from .rate_limiter import RateLimiter
from .requests import Data, Request
from .resources import SELF_SUBJECT_REVIEWS, Resource

Object = dict[str, Any]
T = TypeVar("T")


def written(found: Object, subresource: str = "") -> datetime | None:
    """When the object, or this subresource of it, was written last, where the server has noted that."""
    noted = found["metadata"].get("managedFields") or ()
    times = [one["time"] for one in noted if one.get("time") and one.get("subresource", "") == subresource]
    return max(map(datetime.fromisoformat, times), default=None)


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
        """As they come, until it ends. Raises Unavailable."""

    def close(self) -> None:
        """Ends it, from any thread: a reader returns at once."""


class Wire(Protocol):
    """What carries requests."""

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        """One request, one answer, no retries; `timeout` in seconds. Raises Unavailable."""

    def stream(self, request: Request, timeout: float, silence: float) -> Stream:
        """One request whose answer must begin within `timeout` seconds, and pause for at most `silence`."""

    def renew(self) -> None:
        """Reads the credentials again. Raises Unavailable where there are none."""


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


class ApiVersions:
    """In which version each kind was served last, so that it is asked for first. Safe to share between threads."""

    def __init__(self) -> None:
        self._served: dict[Resource, Resource] = {}

    def of(self, resource: Resource) -> list[Resource]:
        """Those to try, in order."""
        last = self._served.get(resource, resource)
        return [last, *(one for one in resource.variants() if one != last)]

    def served(self, resource: Resource, version: Resource) -> None:
        """Remembers what the server has."""
        self._served[resource] = version


def reads_only(request: Request) -> None:
    """The fence of a client that was given none: it must not write."""
    raise AssertionError(f"{request}: sent by a client that only reads")


@dataclass(frozen=True)
class Client:
    """One user of one API server. Safe to share between threads."""

    wire: Wire
    timeout: float = TIMEOUT
    fence: Callable[[Request], None] = reads_only
    """Called right before each attempt of a write, which raises what it raises. `rollout/fencing.py` has them."""
    calls: Calls = field(default_factory=Calls)
    wait: Callable[[float], None] = time.sleep
    rate_limiter: RateLimiter = field(default_factory=RateLimiter)
    versions: ApiVersions = field(default_factory=ApiVersions)
    hurry: bool = False
    """Whether its requests go first in line."""

    def urgent(self) -> Self:
        """The same, for decreases of exposure: it doesn't wait for other requests."""
        return replace(self, hurry=True)

    def fenced(self, fence: Callable[[Request], None]) -> Self:
        """The same, for a writer that `fence` lets through."""
        return replace(self, fence=fence)

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object. Raises NotFound and others."""
        return self.send(requests.get(resource, namespace, name))

    def fresh(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object as the server has it now, not from the cache. Raises NotFound and others."""
        return self.get(resource, namespace, name)

    def find(self, resource: Resource, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """Those with all these labels."""
        found = self.send(requests.listing(resource, namespace, requests.matching(labels))).get("items")
        return found if isinstance(found, list) else []

    def create(self, resource: Resource, namespace: str, body: Data) -> Object:
        """As the server made it. Raises VersionConflict where the name is taken."""
        return self.send(requests.create(resource, namespace, body))

    def patch(self, resource: Resource, namespace: str, name: str, operations: Sequence[Data]) -> Object:
        """Applies a JSON patch, whole or not at all. Raises VersionConflict where one of its tests fails."""
        return self.send(requests.patch(resource, namespace, name, operations))

    def merge(self, resource: Resource, namespace: str, name: str, version: str, change: Data) -> Object:
        """Merges `change` into exactly this resourceVersion. Raises VersionConflict where it is another one."""
        return self.send(requests.merge(resource, namespace, name, version, change))

    def merge_status(self, resource: Resource, namespace: str, name: str, version: str, status: Data) -> Object:
        """Merges into the status of exactly this resourceVersion. Raises VersionConflict where it is another one."""
        return self.send(requests.merge(resource, namespace, name, version, {"status": status}, "status"))

    def apply(self, resource: Resource, namespace: str, name: str, body: Data) -> Object:
        """Server-side apply, as the server made it. Raises Refused for a body that it doesn't take."""
        return self.send(requests.apply(resource, namespace, name, body))

    def scale(self, resource: Resource, namespace: str, name: str, replicas: int) -> None:
        """Sets the desired replicas of a workload. Raises NotFound and others."""
        self.send(requests.scale(resource, namespace, name, replicas))

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Raises NotFound where it is gone already."""
        self.send(requests.delete(resource, namespace, name))

    def me(self) -> str:
        """Who the server takes us for; servers before 1.28 can't tell (Refused)."""
        review = self.send(requests.create(SELF_SUBJECT_REVIEWS, "", {}))
        return str((review.get("status") or {}).get("userInfo", {}).get("username") or "")

    def send(self, request: Request) -> Object:
        """The object in the answer. Takes at most `timeout`; each attempt of a write asks the fence again."""
        return self._persistently(request, self._exchange)

    def stream(self, request: Request, silence: float) -> Stream:
        """An answer that has begun within `timeout`. Raises as `send` does."""
        return self._persistently(request, lambda again, timeout: self._opened(again, timeout, silence))

    def _persistently(self, request: Request, once: Callable[[Request, float], T]) -> T:
        """In the version that the server has: what isn't served in one was not done, so another may be tried."""
        until, unserved = time.monotonic() + self.timeout, dict[Resource, Unserved]()
        for version in self.versions.of(request.resource):
            try:
                found = self._patiently(request.of(version), once, until)
            except Unserved as error:
                unserved[version] = error
                continue
            except NotFound:
                self.versions.served(request.resource, version)
                raise
            self.versions.served(request.resource, version)
            return found
        raise unserved[request.resource]

    def _patiently(self, request: Request, once: Callable[[Request, float], T], until: float) -> T:
        renewed = False
        while True:
            self._admitted(request, until - time.monotonic())
            try:
                return once(request, until - time.monotonic())
            except Unauthorized:
                if renewed:
                    raise
                renewed = True
                self.wire.renew()
            except TooManyRequests as error:
                self.rate_limiter.pause(error.after)
                if time.monotonic() + error.after >= until:
                    raise
                self.wait(error.after)

    def _admitted(self, request: Request, timeout: float) -> None:
        """Returns when it is this request's turn, if it may be sent at all. Raises TooManyRequests, Unavailable."""
        if timeout <= 0:
            raise Unavailable(Cause.TIMED_OUT, f"{request}: no answer within {self.timeout:g}s")
        if not self.rate_limiter.turn(self.hurry, timeout):
            raise TooManyRequests(
                f"{request}: not sent within {timeout:.2g}s; at most {self.rate_limiter.qps:g} may be a second", SOON
            )
        if request.writes:
            self.fence(request)
        self.calls.add(request)

    def _exchange(self, request: Request, timeout: float) -> Object:
        answer = self.wire.exchange(request, max(timeout, SHORTEST))
        if not 200 <= answer.status < 300:
            raise translate(request, answer)
        found = answer.parsed()
        if not isinstance(found, dict):
            raise Unavailable(
                Cause.RUBBISH, f"{request}: not an object: {clipped(answer.body.decode(errors='replace'))}"
            )
        return found

    def _opened(self, request: Request, timeout: float, silence: float) -> Stream:
        stream = self.wire.stream(request, max(timeout, SHORTEST), silence)
        if stream.status != 200:
            raise translate(request, ApiAnswer(stream.status, stream.headers, b"".join(stream.chunks())))
        return stream


@dataclass(frozen=True)
class ClusterAccess:
    """Which cluster, as whom, and in which namespace, in kubectl's words."""

    kubeconfig: str | None = None
    """A path, or several joined by colons; else KUBECONFIG, else ~/.kube/config, else the pod's own account."""
    context: str | None = None
    namespace: str | None = None
    """Else the context's, else the pod's, else `default`."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """Where a pod finds its token, certificate and namespace."""
