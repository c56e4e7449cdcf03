"""Every state that a small rollout can reach, under every combination of what a tick may see.

`explore(world)` goes from the first sight of a Canary through all successors: what is measured, how many replicas
answer, what the route says, what people ask, what is wanted, how a write goes, and a crash at each point of a tick.
`judged.py` judges each step; the same judgements need no knowledge of how the engine comes to its decisions.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from itertools import product
from typing import Any

from canary.api.action import CanaryAction, Verb
from canary.api.plan import Traffic
from canary.api.status import Phase, Status, Version
from canary.engine.decide import Decision, decide, needs
from canary.engine.desired import Desired
from canary.engine.observed import Kind, Missing, Observed, Query, RouteSeen, Sample, Value, WorkloadSeen
from canary.engine.phases import Need

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
    wanted: tuple[str, ...] = ("the same",)
    asks: tuple[str, ...] = ("nothing",)
    says: tuple[str, ...] = ("go on",)
    fates: tuple[str, ...] = ("done",)
    steps: tuple[int, ...] = (1,)
    """Ticks of time that may pass."""

    @cached_property
    def desired(self) -> Desired:
        return wants({**SPEC, **self.spec}, **{**ANALYSIS, "steps": None, **self.analysis})

    @cached_property
    def manifests(self) -> dict[str, Desired]:
        """By what the manifest says."""
        plain = self.desired
        shown = Shown(plain, Status())
        suspended = plain.canary.but(spec=plain.canary.spec.but(suspend=True))
        return {
            "go on": plain,
            "suspended": replace(plain, canary=suspended),
            "deleted": deleted(shown).desired,
            "invalid": replace(plain, problems=("spec.banana: unknown field",)),
        }

    def seen(self, need: Need, looks: bool) -> Iterator["Seen"]:
        """All combinations of what a tick may see, as far as it looks at all."""
        workloads, idle = Need.WORKLOADS in need, Need.WANTED not in need
        return (
            Seen(*one)
            for one in product(
                self.samples if looks else self.samples[:1],
                self.canary if workloads else self.canary[:1],
                self.stable if workloads else self.stable[:1],
                self.route,
                self.wanted[:1] if idle else self.wanted,
                self.asks[:1] if idle else self.asks,
                self.says,
            )
        )


@dataclass(frozen=True)
class Seen:
    """One combination, by name."""

    samples: str = "healthy"
    canary: str = "available"
    stable: str = "available"
    route: str = "as it is"
    wanted: str = "the same"
    asks: str = "nothing"
    says: str = "go on"


@dataclass(frozen=True)
class Step:
    """One decision in one state."""

    world: World
    before: State
    seen: Seen
    observed: Observed
    desired: Desired
    decision: Decision

    @property
    def traffic(self) -> Traffic | None:
        """What the route said, if it could be read and its parts agreed."""
        return self.observed.route.traffic if isinstance(self.observed.route, RouteSeen) else None

    def __str__(self) -> str:
        rollout = self.before.rollout
        said = [one for one in vars(self.seen).values() if one not in vars(Seen()).values()]
        at = f"step {rollout.step}, meant {rollout.meant.weight}%" if rollout else "at rest"
        route = f"route at {self.before.route.weight}%" if self.before.route else "routes disagree"
        foreign = " by another hand" if self.before.foreign else ""
        return (
            f"{self.world.name}: {self.before.status.phase}, {at}, {route}{foreign}; {', '.join(said) or 'all well'}"
            f"{', after a start' if self.before.fresh else ''} → {self.decision.status.phase} {self.decision.reason} "
            f"{[(a.traffic.weight, a.lowers) for a in self.decision.actions]}"
        )


@dataclass
class Found:
    """What an exploration met."""

    states: dict[Hashable, State] = field(default_factory=dict)
    benign: dict[Hashable, Hashable] = field(default_factory=dict)
    """The successor when nobody acts and nothing goes wrong."""
    transitions: int = 0
    phases: set[tuple[Phase, Phase]] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)


Judge = Callable[[Step], Iterable[str]]


def explore(world: World, judge: Judge, limit: int) -> Found:
    """Breadth first, until nothing new is found or the limit of states is reached (which is a complaint)."""
    found = Found()
    start, first = canonical(State(Status(), Traffic(), foreign=False, fresh=True), NOW)
    found.states[start] = first
    queue = deque([start])
    while queue:
        key = queue.popleft()
        for step in _decisions(world, found.states[key]):
            found.phases.add((step.before.status.phase, step.decision.status.phase))
            found.broken += [f"{complaint} — {step}" for complaint in judge(step)]
            for fate, following, time in _fates(step):
                found.transitions += 1
                reached, state = canonical(following, NOW + time)
                if step.seen == Seen() and fate == "done" and time == TICK:
                    found.benign[key] = reached
                if reached not in found.states:
                    found.states[reached] = state
                    queue.append(reached)
        if len(found.states) > limit:
            found.broken.append(f"{world.name}: more than {limit} states")
            break
        if len(found.broken) > 20:
            break
    return found


def _decisions(world: World, state: State) -> Iterator[Step]:
    plain = world.desired
    asked = needs(plain, state.status, NOW)
    for seen in world.seen(asked.needs, bool(asked.queries)):
        before = _edited(state, seen.route)
        desired, observed = world.manifests[seen.says], _observed(before, seen, asked.queries)
        yield Step(world, before, seen, observed, desired, decide(desired, before.status, observed, NOW))


def _edited(state: State, what: str) -> State:
    """Somebody else may change the route before the tick reads it."""
    if not what.startswith("edited"):
        return state
    traffic = None if what == "edited in parts" else Traffic(weight=int(what.rsplit(maxsplit=1)[-1]))
    rollout = state.rollout
    foreign = rollout is not None and traffic not in (rollout.meant, rollout.previous)
    return replace(state, route=traffic, foreign=foreign, partly=())


def _observed(state: State, seen: Seen, queries: tuple[Query, ...]) -> Observed:
    pinned = state.rollout.canary if state.rollout else CANARY
    stable = state.status.stable or STABLE
    wanted: dict[str, Version | Missing] = {
        "the same": pinned,
        "a new build": Version(name="v2", revision="c"),
        "back to stable": stable,
        "unreadable": Missing(Kind.TIMED_OUT),
    }
    return Observed(
        wanted=wanted[seen.wanted],
        route=_route(state, seen.route),
        stable=WorkloadSeen("v1", 4, 0 if seen.stable == "none" else 4, "a"),
        canary=_canary(seen.canary),
        samples={query: _sample(seen.samples, query) for query in queries},
        actions=_asked(seen.asks),
        fresh=state.fresh,
    )


def _route(state: State, what: str) -> RouteSeen | Missing:
    if what == "unreadable":
        return Missing(Kind.REFUSED)
    weight = 30 if state.route is None else state.route.weight
    shares = {"v1": 100.0 - weight, "v2": float(weight)}
    refused = "no such cluster" if what == "refused" else None
    return RouteSeen("token", shares, state.route, "in two minds", partly=state.partly, rejected=refused)


def _canary(what: str) -> WorkloadSeen | Missing:
    available = {"available": 4, "short": 1, "none": 0, "stuck": 4}
    if what == "unreadable":
        return Missing(Kind.TIMED_OUT)
    return WorkloadSeen("v2", 4, available[what], "b", stuck="ProgressDeadlineExceeded" if what == "stuck" else None)


def _sample(what: str, query: Query) -> Sample:
    if query.subject.workload == "v1":
        return good(query)
    answers: dict[str, Sample] = {
        "healthy": Value(100.0), "failing": Value(50.0), "missing": Missing(Kind.EMPTY), "nan": Value(float("nan")),
        "unreachable": Missing(Kind.REFUSED),
    }  # fmt: skip
    return answers[what]


def _asked(what: str) -> tuple[CanaryAction, ...]:
    if what == "nothing":
        return ()
    verb, _, author = what.partition(" by ")
    return (CanaryAction(id=what, target="web", verb=Verb(verb), author=author or "ada", at=NOW),)


def _fates(step: Step) -> Iterator[tuple[str, State, timedelta]]:
    """How the tick may go on after the decision, and when the next one is."""
    before, decision = step.before, step.decision
    read = isinstance(step.observed.route, RouteSeen)
    fresh = before.fresh and not read
    reachable = read and step.seen.route != "refused"
    for fate in step.world.fates:
        saved = fate not in ("killed before the save", "not saved", "not saved, killed in the write")
        acts = {
            "done": decision.actions,
            "not in effect": (),
            "killed before the save": (),
            "not saved": tuple(action for action in decision.actions if action.lowers),
            "killed before the write": (),
            "killed after the write": decision.actions,
            "killed in the write": decision.actions,
            "not saved, killed in the write": tuple(action for action in decision.actions if action.lowers),
        }[fate]
        route, foreign, partly = before.route, before.foreign, before.partly
        if acts and reachable:
            route, foreign, partly = acts[-1].traffic, False, ()
            if fate in IN_PARTS and before.route is not None and before.route != route:
                route, partly = None, (before.route, acts[-1].traffic)
        status = decision.status if saved else before.status
        foreign = foreign and status.rollout is not None and route != status.rollout.meant
        after = State(status, route, foreign, fresh or fate in KILLED, partly)
        for ticks in step.world.steps:
            yield fate, after, ticks * TICK


IN_PARTS = ("killed in the write", "not saved, killed in the write")
"""Of several routes one was written, the other not."""
KILLED = ("killed before the save", "not saved", "killed before the write", "killed after the write", *IN_PARTS)
"""Fates after which another process goes on; `not saved` dies after a lowering that it could not write down."""
FATES = ("done", "not in effect", *KILLED)
