"""Many rollouts in memory, on virtual time: what the controller needs from outside, without a thread or a wait.

A `SandboxFleet` is the clock and the timetable as well: `advance` lets each world live on, and
calls what is due, in order.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any

from canary.api.status import Status
from canary.kube.names import NamespacedName
from canary.ports import Parts
from canary.sandbox.parts import Sandbox
from canary.sandbox.world import START


@dataclass
class SandboxRig:
    """One Canary; its sandbox may be replaced by another one with the same store."""

    sandbox: Sandbox
    source: Hashable = "prometheus"
    polls: bool = False
    tidied: int = 0

    @property
    def parts(self) -> Parts:
        """Its ports."""
        return self.sandbox.parts

    def tidy(self, status: Status, now: datetime) -> None:
        """Has nothing to put away."""
        self.tidied += 1

    def rest(self) -> None:
        """Keeps nothing."""

    def unread(self, why: str, now: datetime) -> None:
        """Has no other place to say it."""

    def raises(self, why: str, now: datetime) -> None:
        """Nor this."""


@dataclass
class SandboxFleet:
    """The ports Fleet, Clock and Timetable."""

    reconcilers: dict[NamespacedName, SandboxRig] = field(default_factory=dict)
    at: datetime = START
    _due: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def add(self, name: str, sandbox: Sandbox, source: Hashable = "prometheus") -> NamespacedName:
        """One more Canary; no watch reports it."""
        key = ("shop", name)
        self.reconcilers[key] = SandboxRig(sandbox, source)
        return key

    def all(self) -> Iterable[NamespacedName]:
        """See the port Fleet."""
        return tuple(self.reconcilers)

    def pressing(self, key: NamespacedName) -> bool:
        """See the port Fleet."""
        stored = self.reconcilers[key].sandbox.store.stored
        return stored is None or stored.status.rollout is not None

    def reconciler(self, key: NamespacedName) -> SandboxRig | None:
        """See the port Fleet."""
        return self.reconcilers.get(key)

    def now(self) -> datetime:
        """See the port Clock."""
        return self.at

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        """See the port Clock."""
        self.advance(seconds)

    def timetable(self, at: datetime, call: Callable[[], None]) -> None:
        """See `Timetable`: what is due already is called with the next `advance`."""
        heappush(self._due, (at, next(self._numbers), call))

    def advance(self, seconds: float) -> None:
        """Time passes, and what is due meanwhile happens at its time."""
        until = self.at + timedelta(seconds=seconds)
        while self._due and self._due[0][0] <= until:
            at, _, call = heappop(self._due)
            self._live(max(at, self.at))
            call()
        self._live(until)

    def _live(self, to: datetime) -> None:
        self.at = to
        for reconciler in self.reconcilers.values():
            reconciler.sandbox.world.advance(to)


class Inline(Executor):
    """Runs what is submitted at once, in the caller's thread."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See Executor; what it raises comes out here, because no one asks the Future."""
        done: Future[Any] = Future()
        done.set_result(call(*args, **kwargs))
        return done
