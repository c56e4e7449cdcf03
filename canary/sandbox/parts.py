"""The ports over a `World`: hand-written, in memory, on virtual time. They fail on request."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from canary.api.action import CanaryAction
from canary.api.plan import Traffic
from canary.api.status import Message, Status, Version
from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.engine.observed import (
    Cause,
    Counts,
    HookAnswer,
    HookCall,
    Missing,
    PodsRefused,
    PrimarySeen,
    Query,
    RouteSeen,
    Sample,
    Shape,
    Stored,
    Value,
    WorkloadSeen,
)
from canary.engine.pairs import TargetType, pair_for, source_of
from canary.engine.resolved import ResolvedSpec
from canary.engine.targets import target_of
from canary.engine.verbs import removable
from canary.ports import Parts

from .world import World

NOTICED = 0.05
"""Share of failed requests that any metric of a service notices."""


@dataclass
class VirtualClock:
    """Time that passes only during a wait; the world changes with it."""

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
        if woken():
            return
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

    value: ResolvedSpec
    revision: str = ""
    """The one that runs in a target that has a primary; else the manifest has it."""

    def resolved(self) -> ResolvedSpec:
        return self.value

    def desired_version(self) -> Version | Missing:
        spec = self.value.manifest.spec
        _, canary = target_of(self.value.manifest).names(self.value.manifest)
        return Version(name=canary, revision=self.revision or spec.revision)


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
            return Missing(Cause.REFUSED, "the proxy is down")
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
    primary: "SandboxPrimary | None" = None

    def read(self, version: str) -> WorkloadSeen | Missing:
        if self.down:
            return Missing(Cause.TIMED_OUT, "no answer")
        if self.primary is not None:
            return self.primary.workload(version)
        if version not in self.world.behaviours:
            return Missing(Cause.ABSENT, version)
        return WorkloadSeen(version, self.world.replicas, self.world.available(version))


@dataclass
class SandboxPrimary:
    """A target and its primary, which gets ready at once unless its revision is `broken`."""

    world: World
    target: SandboxTarget
    revision: str = ""
    """The one that was copied to the primary last; empty while there is no primary."""
    replicas: int = 1
    """Of the target."""
    started: str = ""
    """The revision that the target had when its pods were started, for the configuration that they have read."""
    broken: frozenset[str] = frozenset()
    """Revisions with which the primary never gets ready."""
    refused: str = ""
    """Why Kubernetes makes no pod for what was copied to the primary; it counts no deadline then."""
    copied_at: datetime | None = None
    slow: bool = False
    """Whether the primary isn't ready yet with the revision that it has."""
    silent: bool = False
    """Whether nothing says that the primary doesn't get ready, as of a DaemonSet."""
    nodes: bool = False
    """Whether both have a replica on each node, as a DaemonSet has."""
    given_pods: bool = True
    """Whether the target is scaled; else its pods are its user's, and they are there."""
    returned: bool = False
    diverted: str = ""
    """The Service of clients, while it selects other pods than the primary's."""
    writes: list[str] = field(default_factory=list)

    def read(self) -> PrimarySeen | Missing:
        name = (self.world.stable,)
        there = bool(self.revision)
        return PrimarySeen(self.revision, () if there else name, ours=name if there else (), returned=self.returned)

    def provision(self, revision: str, ready: int = 100) -> None:
        if self.diverted:
            self.writes.append(f"select {self.diverted}")
            self.diverted = ""
        else:
            self.copy(revision)

    def copy(self, revision: str) -> None:
        self.writes.append(f"copy {revision}")
        self.copied_at = self.world.now if revision != self.revision else self.copied_at
        self.revision = revision

    def scale(self, replicas: int, revision: str = "") -> None:
        if revision and revision != self.target.revision:
            raise Conflict(f"the target has {self.target.revision}")
        self.writes.append(f"scale {replicas}")
        self.started = self.started if self.replicas else self.target.revision
        self.replicas = replicas

    def give_back(self, revision: str) -> None:
        self.writes.append(f"return {revision}")
        self.target.revision, self.replicas, self.returned = revision, self.world.replicas, True

    def remove(self) -> None:
        self.writes.append("remove")
        self.revision = ""

    def workload(self, version: str) -> WorkloadSeen | Missing:
        """For the port Workloads."""
        if version == self.world.canary:
            wanted = self.target.desired_version()
            revision = "" if isinstance(wanted, Missing) else wanted.revision
            replicas = self.replicas if self.given_pods else self.world.replicas
            replicas = min(replicas, self.world.replicas) if self.nodes else replicas
            available = min(replicas, self.world.available(version))
            return WorkloadSeen(version, replicas, available, revision, nodes=self.nodes)
        if not self.revision:
            return Missing(Cause.ABSENT, f"there is no {version}")
        stuck = "ProgressDeadlineExceeded" if self.revision in self.broken else None
        refused = self._refused()
        late = stuck or refused or self.slow
        available = self.world.replicas - 1 if late else self.world.available(version)
        stuck = None if self.silent else stuck
        seen = WorkloadSeen(version, self.world.replicas, available, self.revision, stuck=stuck, refused=refused)
        return replace(seen, silent=self.silent, nodes=self.nodes, diverted=self.diverted)

    def _refused(self) -> PodsRefused | None:
        if not self.refused or self.copied_at is None or self.revision != self.target.revision:
            return None
        return PodsRefused(self.copied_at, self.refused)


@dataclass
class SandboxMetrics:
    """Evidence from the world's own log."""

    world: World
    asked: int = 0
    custom: Mapping[str, float] = field(default_factory=dict)
    """What queries of the user's own answer, by metric; the world knows nothing of them."""
    failing: Mapping[str, float] = field(default_factory=dict)
    """What they answer instead while the canary fails more than `NOTICED` of its requests."""
    at_once: bool = False
    """Whether both versions are read at the same moments, as from one Envoy."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        self.asked += 1
        return {query: self._answer(query, at) for query in queries}

    def _answer(self, query: Query, at: datetime) -> Sample:
        if self.world.blind:
            return Missing(Cause.REFUSED, "connection refused")
        if query.text is not None and query.shape is Shape.VALUE:
            return Value(self._custom(query, at))
        name = query.subject.workload
        if name not in self.world.log:
            return Missing(Cause.EMPTY, "no such series")
        seconds = self.world.window(name, at, query.window)
        total, bad = sum(s.total for s in seconds), sum(s.bad for s in seconds)
        if query.shape is Shape.COUNTS:
            slower = tuple((edge, self.world.slower(name, seconds, edge)) for edge in sorted(query.edges))
            snapshots = (at - query.window, at) if self.at_once else None
            return Counts(total, bad, slower, timed=total if slower else 0, snapshots=snapshots)
        if not total:
            return Missing(Cause.EMPTY, "no requests in the window")
        if query.metric == "request-success-rate":
            return Value(100 * (total - bad) / total)
        return Value(max(s.p99 for s in seconds))

    def _custom(self, query: Query, at: datetime) -> float:
        value = self.custom.get(query.metric, 0.0)
        if query.metric not in self.failing or query.subject.workload != self.world.canary:
            return value
        seconds = self.world.window(self.world.canary, at, query.window)
        total, bad = sum(s.total for s in seconds), sum(s.bad for s in seconds)
        return self.failing[query.metric] if bad > NOTICED * total else value


@dataclass
class SandboxHooks:
    """Hooks that answer at once: no to requests to roll back, else yes; by type where `answers` has one."""

    answers: dict[str, HookAnswer | None] = field(default_factory=dict)
    """None for a hook that hangs."""
    called: list[HookCall] = field(default_factory=list)
    _new: bool = False

    def ask(self, calls: Sequence[HookCall]) -> Mapping[str, HookAnswer]:
        known, self._new = {one.id for one in self.called}, False
        self.begin(calls)
        found = {one.id: self._answer(one) for one in calls if one.id in known}
        return {id_: answer for id_, answer in found.items() if answer is not None}

    def begin(self, calls: Sequence[HookCall]) -> None:
        known = {one.id for one in self.called}
        fresh = [one for one in calls if one.id not in known]
        self.called += fresh
        self._new = self._new or any(self._urgent(one) for one in fresh)

    def news(self) -> bool:
        return self._new

    def _urgent(self, call: HookCall) -> bool:
        answer = self._answer(call)
        return answer is not None and answer.passed in call.urgent

    def _answer(self, call: HookCall) -> HookAnswer | None:
        type_ = str(call.payload.get("type", "opa"))
        return self.answers.get(type_, HookAnswer(type_ != "rollback", "HTTP 403" if type_ == "rollback" else ""))


@dataclass
class MemoryStore:
    """Status in memory; `down` makes it unreachable, `refuses` what refuses each save for good."""

    stored: Stored | None = None
    down: bool = False
    refuses: str = ""
    saves: int = 0

    def load(self) -> Stored | None:
        if self.down:
            raise Unreachable("the store is down")
        return self.stored

    def save(self, status: Status, version: str | None) -> str:
        if self.down:
            raise Unreachable("the store is down")
        if self.refuses:
            raise Rejected(self.refuses)
        if version != (self.stored.version if self.stored else None):
            raise Conflict("another run saved in between")
        self.saves += 1
        written = Status.model_validate_json(status.model_dump_json(by_alias=True))
        self.stored = Stored(written, str(self.saves))
        return self.stored.version


@dataclass
class MemoryInbox:
    """Actions in memory; `kept` makes it one that nothing may be removed from."""

    actions: list[CanaryAction] = field(default_factory=list)
    kept: bool = False

    def read(self) -> Sequence[CanaryAction]:
        return tuple(self.actions)

    def remove_taken(self, status: Status, now: datetime) -> int:
        gone = () if self.kept else {one.id for one in removable(self.actions, status, now)}
        self.actions = [one for one in self.actions if one.id not in gone]
        return len(gone)


@dataclass
class MemoryNotifier:
    """Keeps the messages; `down` makes it unreachable."""

    delivered: list[Message] = field(default_factory=list)
    down: bool = False

    def notify(self, messages: Sequence[Message]) -> None:
        if self.down:
            raise Unreachable("connection refused")
        self.delivered.extend(messages)


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
    hooks: SandboxHooks = field(default_factory=SandboxHooks)
    primary: SandboxPrimary | None = None

    def __post_init__(self) -> None:
        pair = pair_for(self.target.value.manifest.spec)
        if pair is not None and pair.type is TargetType.PRIMARY:
            self.primary = SandboxPrimary(self.world, self.target, given_pods=pair.given_pods)
        self.router, self.workloads = SandboxRouter(self.world), SandboxWorkloads(self.world, primary=self.primary)
        at_once = source_of(self.target.value.manifest.spec) == "envoy"
        self.metrics, self.clock = SandboxMetrics(self.world, at_once=at_once), VirtualClock(self.world)

    @property
    def parts(self) -> Parts:
        """What a reconcile needs."""
        return Parts(
            target=self.target,
            router=self.router,
            workloads=self.workloads,
            metrics=self.metrics,
            store=self.store,
            inbox=self.inbox,
            notifier=self.notifier,
            clock=self.clock,
            primary=self.primary,
            hooks=self.hooks,
        )
