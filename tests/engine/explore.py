"""Every state that a small rollout can reach, under every combination of what a reconcile may see.

`explore(world)` goes from the first sight of a Canary through all successors: what is measured, how many replicas
answer, what the route says, what people ask, the desired version, how a write goes, and a crash at each point of a
reconcile. `judged.py` judges each step; the same judgements need no knowledge of how the engine comes to its
decisions.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from itertools import product
from typing import Any, Generic, Protocol, TypeVar

from canary.api.action import CanaryAction, Verb
from canary.api.plan import Traffic
from canary.api.status import Phase, Status, Version
from canary.engine.decide import Decision, Needs, decide, needs
from canary.engine.observed import (
    Cause,
    HookAnswer,
    HookCall,
    Missing,
    Observed,
    Query,
    RouteSeen,
    Sample,
    Value,
    WorkloadSeen,
)
from canary.engine.phases import Need
from canary.engine.resolved import ResolvedSpec
from tests.moves import moves

from .canonical import State, canonical
from .situations import CANARY, NOW, STABLE, deleted, good, wants
from .situations import Case as Shown

TICK = timedelta(seconds=10)
ANALYSIS: dict[str, Any] = {
    "interval": "10s", "threshold": 2, "deadline": "60s", "settle": "0s", "scrapeInterval": "10s", "drain": "10s",
    "unreadyGrace": "10s", "onNoData": {"after": "20s"}, "onUnreachable": {"after": "20s"},
    "metrics": [{"name": "request-success-rate", "interval": "10s", "thresholdRange": {"min": 99}}],
}  # fmt: skip
SPEC = {"progressDeadlineSeconds": 30, "metricsServer": None}


class AnyState(Protocol):
    """What all worlds have in common of a state."""

    @property
    def status(self) -> Status:
        """What was saved."""


class AnyStep(Protocol):
    """The same of a decision."""

    @property
    def before(self) -> AnyState:
        """The state in which it was taken."""

    @property
    def decision(self) -> Decision:
        """What was decided."""

    @property
    def benign(self) -> bool:
        """Nobody acts, and nothing goes wrong."""

    @property
    def alone(self) -> bool:
        """Stable has no replica, and nothing else goes wrong."""


S = TypeVar("S")
P = TypeVar("P", bound=AnyStep)


@dataclass(frozen=True)
class World:
    """A plan, and what may happen to it. The first entry of each list is the benign one."""

    name: str
    analysis: dict[str, Any]
    spec: dict[str, Any] = field(default_factory=dict)
    samples: tuple[str, ...] = ("healthy",)
    canary: tuple[str, ...] = ("available",)
    stable: tuple[str, ...] = ("available",)
    route: tuple[str, ...] = ("as it is",)
    desired_version: tuple[str, ...] = ("the same",)
    asks: tuple[str, ...] = ("nothing",)
    says: tuple[str, ...] = ("go on",)
    hooks: tuple[str, ...] = ("yes",)
    ends: tuple[str, ...] = ("done",)
    """Fates of a reconcile."""
    steps: tuple[int, ...] = (1,)
    """Reconciles of time that may pass."""

    @cached_property
    def resolved(self) -> ResolvedSpec:
        return wants({**SPEC, **self.spec}, **{**ANALYSIS, "steps": None, **self.analysis})

    @cached_property
    def manifests(self) -> dict[str, ResolvedSpec]:
        """By what the manifest says."""
        return manifests(self.resolved)

    def start(self) -> State:
        """At first sight of a Canary."""
        return State(Status(), Traffic(), foreign=False, fresh=True)

    def decisions(self, state: State) -> Iterator["Step"]:
        """One for each combination of what a reconcile may see."""
        return _decisions(self, state)

    def fates(self, step: "Step") -> Iterator[tuple[str, State, timedelta]]:
        """How a reconcile may go on after a decision, and when the next one is."""
        return _fates(step)

    def canonical(self, state: State, later: timedelta) -> tuple[Hashable, State]:
        """See canonical.py."""
        return canonical(state, NOW + later)

    def seen(self, need: Need, looks: bool, calls: bool) -> Iterator["Seen"]:
        """All combinations of what a reconcile may see, as far as it looks at all."""
        workloads, idle = Need.WORKLOADS in need, Need.DESIRED_VERSION not in need
        return (
            Seen(*one)
            for one in product(
                self.samples if looks else self.samples[:1],
                self.canary if workloads else self.canary[:1],
                self.stable if workloads else self.stable[:1],
                self.route,
                self.desired_version[:1] if idle else self.desired_version,
                self.asks[:1] if idle else self.asks,
                self.says,
                self.hooks if calls else self.hooks[:1],
            )
        )


@dataclass(frozen=True)
class Seen:
    """One combination, by name."""

    samples: str = "healthy"
    canary: str = "available"
    stable: str = "available"
    route: str = "as it is"
    desired_version: str = "the same"
    asks: str = "nothing"
    says: str = "go on"
    hooks: str = "yes"


@dataclass(frozen=True)
class Step:
    """One decision in one state."""

    world: World
    before: State
    seen: Seen
    observed: Observed
    resolved: ResolvedSpec
    decision: Decision

    @property
    def benign(self) -> bool:
        """Nobody acts, and nothing goes wrong."""
        return self.seen == Seen()

    @property
    def alone(self) -> bool:
        """Stable has no replica, and nothing else goes wrong."""
        return self.seen == Seen(stable="none")

    @property
    def traffic(self) -> Traffic | None:
        """What the route said, if it could be read and its parts agreed."""
        return self.observed.route.traffic if isinstance(self.observed.route, RouteSeen) else None

    def __str__(self) -> str:
        rollout = self.before.rollout
        said = [one for one in vars(self.seen).values() if one not in vars(Seen()).values()]
        at = f"step {rollout.step}, meant {rollout.desired.weight}%" if rollout else "at rest"
        route = f"route at {self.before.route.weight}%" if self.before.route else "routes disagree"
        foreign = " by another hand" if self.before.foreign else ""
        return (
            f"{self.world.name}: {self.before.status.phase}, {at}, {route}{foreign}; {', '.join(said) or 'all well'}"
            f"{', after a start' if self.before.fresh else ''} → {self.decision.status.phase} {self.decision.reason} "
            f"{[(a.traffic.weight, a.decreases) for a in moves(self.decision)]}"
        )


@dataclass
class Found(Generic[S]):
    """What an exploration met."""

    states: dict[Hashable, S] = field(default_factory=dict)
    benign: dict[Hashable, Hashable] = field(default_factory=dict)
    """The successor when nobody acts and nothing goes wrong."""
    alone: dict[Hashable, Hashable] = field(default_factory=dict)
    """The same while stable has no replica, where a world has that."""
    transitions: int = 0
    phases: set[tuple[Phase, Phase]] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)


class Explored(Protocol[S, P]):
    """A small world that is explored."""

    @property
    def name(self) -> str:
        """For complaints."""

    def start(self) -> S:
        """At first sight of a Canary."""

    def decisions(self, state: S) -> Iterator[P]:
        """One for each combination of what a reconcile may see."""

    def fates(self, step: P) -> Iterator[tuple[str, S, timedelta]]:
        """How a reconcile may go on after a decision, and when the next one is."""

    def canonical(self, state: S, later: timedelta) -> tuple[Hashable, S]:
        """A key that is equal for equal states, and the state so much later with NOW as its present."""


def explore(world: Explored[S, P], judge: Callable[[P], Iterable[str]], limit: int) -> Found[S]:
    """Breadth first, until nothing new is found or the limit of states is reached (which is a complaint)."""
    found: Found[S] = Found()
    start, first = world.canonical(world.start(), timedelta())
    found.states[start] = first
    queue = deque([start])
    while queue:
        key = queue.popleft()
        for step in world.decisions(found.states[key]):
            found.phases.add((step.before.status.phase, step.decision.status.phase))
            found.broken += [f"{complaint} — {step}" for complaint in judge(step)]
            for fate, following, time in world.fates(step):
                found.transitions += 1
                reached, state = world.canonical(following, time)
                if fate == "done" and time == TICK and (step.benign or step.alone):
                    (found.benign if step.benign else found.alone)[key] = reached
                if reached not in found.states:
                    found.states[reached] = state
                    queue.append(reached)
        if len(found.states) > limit:
            found.broken.append(f"{world.name}: more than {limit} states")
            break
        if len(found.broken) > 20:
            break
    return found


def endless(found: Found[S], successors: Mapping[Hashable, Hashable], may_stay: Callable[[S], bool]) -> list[S]:
    """Up to three states from which the successors lead to none that may stay as it is."""
    ends = {key: True for key, state in found.states.items() if may_stay(state)}
    for key in found.states if successors else ():
        trail = []
        while key not in ends and key not in trail:
            trail.append(key)
            key = successors[key]  # noqa: PLW2901 - walks on
        ends.update(dict.fromkeys(trail, ends.get(key, False)))
    return [found.states[key] for key, over in ends.items() if not over][:3]


def manifests(plain: ResolvedSpec) -> dict[str, ResolvedSpec]:
    """By what a manifest says."""
    suspended = plain.manifest.but(spec=plain.manifest.spec.but(suspend=True))
    return {
        "go on": plain,
        "suspended": replace(plain, manifest=suspended),
        "deleted": deleted(Shown(plain, Status())).resolved,
        "invalid": replace(plain, problems=("spec.banana: unknown field",)),
    }


def _decisions(world: World, state: State) -> Iterator[Step]:
    plain = world.resolved
    wanted = needs(plain, state.status, NOW)
    for seen in world.seen(wanted.needs, bool(wanted.queries), bool(wanted.hooks)):
        before = _edited(state, seen.route)
        resolved, observed = world.manifests[seen.says], _observed(before, seen, wanted)
        yield Step(world, before, seen, observed, resolved, decide(resolved, before.status, observed, NOW))


def _edited(state: State, what: str) -> State:
    """Somebody else may change the route before the reconcile reads it."""
    if not what.startswith("edited"):
        return state
    traffic = None if what == "edited in parts" else Traffic(weight=int(what.rsplit(maxsplit=1)[-1]))
    rollout = state.rollout
    foreign = rollout is not None and traffic not in (rollout.desired, rollout.previous)
    return replace(state, route=traffic, foreign=foreign, partly=())


def _observed(state: State, seen: Seen, wanted: Needs) -> Observed:
    pinned = state.rollout.canary_version if state.rollout else CANARY
    stable = state.status.stable or STABLE
    desired_version: dict[str, Version | Missing] = {
        "the same": pinned,
        "a new build": Version(name="v2", revision="c"),
        "back to stable": stable,
        "unreadable": Missing(Cause.TIMED_OUT),
    }
    return Observed(
        desired_version=desired_version[seen.desired_version],
        route=_route(state, seen.route),
        stable_workload=WorkloadSeen("v1", 4, 0 if seen.stable == "none" else 4, "a"),
        canary_workload=_canary(seen.canary),
        samples={query: sample(seen.samples, query) for query in wanted.queries},
        actions=asked(seen.asks),
        fresh=state.fresh,
        hooks=_answers(seen.hooks, wanted.hooks),
    )


def _answers(what: str, calls: tuple[HookCall, ...]) -> dict[str, HookAnswer]:
    """What hooks answer; a yes of one that may ask for a rollback only where that is meant."""
    if what == "silent":
        return {}
    yes = {one.id: what != "no" if one.payload["type"] != "rollback" else what == "roll back" for one in calls}
    return {id_: HookAnswer(passed) for id_, passed in yes.items()}


def _route(state: State, what: str) -> RouteSeen | Missing:
    if what == "unreadable":
        return Missing(Cause.REFUSED)
    weight = 30 if state.route is None else state.route.weight
    shares = {"v1": 100.0 - weight, "v2": float(weight)}
    refused = "no such cluster" if what == "refused" else None
    return RouteSeen("token", shares, state.route, "in two minds", partly=state.partly, rejected=refused)


def _canary(what: str) -> WorkloadSeen | Missing:
    available = {"available": 4, "short": 1, "none": 0, "stuck": 4}
    if what == "unreadable":
        return Missing(Cause.TIMED_OUT)
    return WorkloadSeen("v2", 4, available[what], "b", stuck="ProgressDeadlineExceeded" if what == "stuck" else None)


def sample(what: str, query: Query, stable: str = "v1") -> Sample:
    """The answer to a query about the canary; stable is healthy."""
    if query.subject.workload == stable:
        return good(query)
    answers: dict[str, Sample] = {
        "healthy": Value(100.0), "failing": Value(50.0), "missing": Missing(Cause.EMPTY), "nan": Value(float("nan")),
        "unreachable": Missing(Cause.REFUSED),
    }  # fmt: skip
    return answers[what]


def asked(what: str) -> tuple[CanaryAction, ...]:
    """What people ask, by its name."""
    if what == "nothing":
        return ()
    verb, _, author = what.partition(" by ")
    return (CanaryAction(id=what, target="web", verb=Verb(verb), author=author or "ada", at=NOW),)


def _fates(step: Step) -> Iterator[tuple[str, State, timedelta]]:
    """How the reconcile may go on after the decision, and when the next one is."""
    before, decision = step.before, step.decision
    moved = moves(decision)
    decreases = tuple(action for action in moved if action.decreases)
    read = isinstance(step.observed.route, RouteSeen)
    fresh = before.fresh and not read
    reachable = read and step.seen.route != "refused"
    for fate in step.world.ends:
        saved = fate not in ("killed before the save", "not saved", "not saved, killed in the write")
        acts = {
            "done": moved,
            "not in effect": (),
            "killed before the save": (),
            "not saved": decreases,
            "killed before the write": (),
            "killed after the write": moved,
            "killed in the write": moved,
            "not saved, killed in the write": decreases,
        }[fate]
        route, foreign, partly = before.route, before.foreign, before.partly
        if acts and reachable:
            route, foreign, partly = acts[-1].traffic, False, ()
            if fate in IN_PARTS and before.route is not None and before.route != route:
                route, partly = None, (before.route, acts[-1].traffic)
        status = decision.status if saved else before.status
        foreign = foreign and status.rollout is not None and route != status.rollout.desired
        after = State(status, route, foreign, fresh or fate in KILLED, partly)
        for reconciles in step.world.steps:
            yield fate, after, reconciles * TICK


IN_PARTS = ("killed in the write", "not saved, killed in the write")
"""Of several routes one was written, the other not."""
KILLED = ("killed before the save", "not saved", "killed before the write", "killed after the write", *IN_PARTS)
"""Fates after which another process goes on; `not saved` dies after a lowering that it could not write down."""
FATES = ("done", "not in effect", *KILLED)
