"""The ports over a `World`: hand-written, in memory, on virtual time. They fail when they are told to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from canary.api.action import CanaryAction
from canary.api.plan import Traffic
from canary.api.status import Message, Status, Version
from canary.engine.desired import Desired
from canary.engine.errors import Conflict, Unreachable
from canary.engine.observed import Counts, Kind, Missing, Query, RouteSeen, Sample, Shape, Stored, Value, WorkloadSeen
from canary.rollout.ports import Parts

from .world import World


@dataclass
class VirtualClock:
    """Time that passes only when somebody waits; the world lives through it."""

    world: World
    scheduled: list[tuple[datetime, Callable[[], None]]] = field(default_factory=list)
    """What happens in the world at given times."""
    leap: datetime | None = None
    """The next wait goes on until then: nothing will happen before."""

    def now(self) -> datetime:
        return self.world.now

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        until = max(self.world.now + timedelta(seconds=seconds), self.leap or self.world.now)
        self.leap = None
        while self.scheduled and self.scheduled[0][0] <= until:
            at, happens = self.scheduled.pop(0)
            self.world.advance(at)
            happens()
            if woken():
                return
        self.world.advance(until)

    def at(self, seconds: float, happens: Callable[[], None]) -> None:
        """Lets something happen this many seconds from now."""
        self.scheduled.append((self.world.now + timedelta(seconds=seconds), happens))
        self.scheduled.sort(key=lambda entry: entry[0])


@dataclass
class SandboxTarget:
    """A manifest in memory."""

    value: Desired

    def desired(self) -> Desired:
        return self.value

    def wanted(self) -> Version | Missing:
        spec = self.value.canary.spec
        return Version(name=spec.version or "", revision=spec.revision)


@dataclass
class SandboxRouter:
    """A route that obeys at once; `down` makes it unreachable, `refuses` makes it reject."""

    world: World
    down: bool = False
    refuses: str | None = None
    writes: list[Traffic] = field(default_factory=list)
    edits: int = 0

    def read(self, stable: str | None, canary: str) -> RouteSeen | Missing:
        if self.down:
            return Missing(Kind.REFUSED, "the proxy is down")
        weight = self.world.traffic.weight
        shares = {self.world.stable: 100.0 - weight, self.world.canary: float(weight)}
        traffic = self.world.traffic if stable in (None, self.world.stable) else None
        names = frozenset(self.world.behaviours)
        return RouteSeen(str(self.edits), shares, traffic, "another pair", destinations=names, rejected=self.refuses)

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        if self.down:
            raise Unreachable("the proxy is down")
        if token is not None and token != str(self.edits):
            raise Conflict("the route was changed in between")
        self.writes.append(traffic)
        if self.refuses is None:
            self.set(traffic)

    def set(self, traffic: Traffic) -> None:
        """Also what a foreign hand does."""
        self.world.traffic = traffic
        self.edits += 1


@dataclass
class SandboxWorkloads:
    """Replicas as the world says; `down` makes them unreadable."""

    world: World
    down: bool = False

    def read(self, version: str) -> WorkloadSeen | Missing:
        if self.down:
            return Missing(Kind.TIMED_OUT, "no answer")
        if version not in self.world.behaviours:
            return Missing(Kind.ABSENT, version)
        return WorkloadSeen(version, self.world.replicas, self.world.available(version))


@dataclass
class SandboxMetrics:
    """Evidence from the world's own log."""

    world: World
    asked: int = 0
    custom: Mapping[str, float] = field(default_factory=dict)
    """What queries of the user's own answer, by metric; the world knows nothing of them."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        self.asked += 1
        return {query: self._answer(query, at) for query in queries}

    def _answer(self, query: Query, at: datetime) -> Sample:
        if self.world.blind:
            return Missing(Kind.REFUSED, "connection refused")
        if query.text is not None:
            return Value(self.custom.get(query.metric, 0.0))
        name = query.subject.workload
        if name not in self.world.log:
            return Missing(Kind.EMPTY, "no such series")
        seconds = self.world.window(name, at, query.window)
        total, bad = sum(s.total for s in seconds), sum(s.bad for s in seconds)
        if query.shape is Shape.COUNTS:
            return Counts(total, bad)
        if not total:
            return Missing(Kind.EMPTY, "no requests in the window")
        if query.metric == "request-success-rate":
            return Value(100 * (total - bad) / total)
        return Value(max(s.p99 for s in seconds))


@dataclass
class MemoryStore:
    """Status in memory; `down` makes it unreachable."""

    stored: Stored | None = None
    down: bool = False
    saves: int = 0

    def load(self) -> Stored | None:
        if self.down:
            raise Unreachable("the store is down")
        return self.stored

    def save(self, status: Status, version: str | None) -> str:
        if self.down:
            raise Unreachable("the store is down")
        if version != (self.stored.version if self.stored else None):
            raise Conflict("another run saved in between")
        self.saves += 1
        written = Status.model_validate_json(status.model_dump_json(by_alias=True))
        self.stored = Stored(written, str(self.saves))
        return self.stored.version


@dataclass
class MemoryInbox:
    """Actions in memory."""

    actions: list[CanaryAction] = field(default_factory=list)

    def read(self) -> Sequence[CanaryAction]:
        return tuple(self.actions)


@dataclass
class MemoryNotifier:
    """Keeps what was told; `down` makes it unreachable."""

    told: list[Message] = field(default_factory=list)
    down: bool = False

    def tell(self, messages: Sequence[Message]) -> None:
        if self.down:
            raise Unreachable("nobody listens")
        self.told.extend(messages)


@dataclass
class Sandbox:
    """A whole world with its ports, for a simulation or a test."""

    world: World
    target: SandboxTarget
    router: SandboxRouter = field(init=False)
    workloads: SandboxWorkloads = field(init=False)
    metrics: SandboxMetrics = field(init=False)
    clock: VirtualClock = field(init=False)
    store: MemoryStore = field(default_factory=MemoryStore)
    inbox: MemoryInbox = field(default_factory=MemoryInbox)
    notifier: MemoryNotifier = field(default_factory=MemoryNotifier)

    def __post_init__(self) -> None:
        self.router, self.workloads = SandboxRouter(self.world), SandboxWorkloads(self.world)
        self.metrics, self.clock = SandboxMetrics(self.world), VirtualClock(self.world)

    @property
    def parts(self) -> Parts:
        """What a tick needs."""
        return Parts(
            target=self.target,
            router=self.router,
            workloads=self.workloads,
            metrics=self.metrics,
            store=self.store,
            inbox=self.inbox,
            notifier=self.notifier,
            clock=self.clock,
        )
