"""The harness that walks all states a small rollout can reach, with all that a reconcile may see in each of them.

`explore(world, promises, limit)` starts at the first reconcile of a Canary and follows all successors: what metrics
say, how many replicas are available, what the route says, what users ask for, the desired version, how a write ends,
and a crash at each point of a reconcile. A `World` is a plan and what may happen to it. What differs between kinds of
targets is in `explore_versions.py` and `explore_primary.py`; the promises are in `judged.py` and `judged_primary.py`,
and need no knowledge of how the engine comes to its decisions.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Generic, TypeVar

from canary.api.action import CanaryAction, Verb
from canary.api.plan import Traffic
from canary.api.status import Phase, Rollout, Status
from canary.engine.actions import Action
from canary.engine.decide import Decision, Needs, decide, needs
from canary.engine.observed import Cause, Missing, Observed, Query, RouteSeen, Sample, Value
from canary.engine.phases import TRANSITIONS, Need
from canary.engine.resolved import ResolvedSpec

from .situations import NOW, deleted, good, wants
from .situations import Case as Shown

TICK = timedelta(seconds=10)
ANALYSIS: dict[str, Any] = {
    "interval": "10s", "threshold": 2, "deadline": "60s", "settle": "0s", "scrapeInterval": "10s", "drain": "10s",
    "unreadyGrace": "10s", "onNoData": {"after": "20s"}, "onUnreachable": {"after": "20s"}, "steps": None,
    "metrics": [{"name": "request-success-rate", "interval": "10s", "thresholdRange": {"min": 99}}],
}  # fmt: skip
SPEC = {"progressDeadlineSeconds": 30, "metricsServer": None}

IN_PARTS = ("killed in the write", "not saved, killed in the write")
"""Of several routes one was written, the other not."""
KILLED = ("killed before the save", "not saved", "killed before the write", "killed after the write", *IN_PARTS)
"""Fates after which another process goes on; `not saved` dies after a decrease that it could not save."""
UNSAVED = ("killed before the save", "not saved", "not saved, killed in the write")
UNWRITTEN = ("not in effect", "killed before the save", "killed before the write")
FATES = ("done", "not in effect", *KILLED)


@dataclass(frozen=True)
class State:
    """Everything that outlives a reconcile, as of NOW."""

    status: Status = field(default_factory=Status)
    route: Traffic | None = Traffic()  # noqa: RUF009 - frozen
    """What the route says; None: its parts disagree."""
    foreign: bool = False
    """Whether another client set the route so. The engine doesn't see this; the promises do."""
    fresh: bool = True
    """Whether the process has just been started."""

    @property
    def rollout(self) -> Rollout | None:
        return self.status.rollout

    def __str__(self) -> str:
        rollout = self.rollout
        at = "at rest"
        if rollout is not None:
            at = f"step {rollout.step} of {rollout.canary_version.revision}, desired {rollout.desired.weight}%"
        route = "routes disagree" if self.route is None else f"route at {self.route.weight}%"
        foreign = " by another client" if self.foreign else ""
        return f"{self.status.phase}, {at}, {route}{foreign}{', after a start' if self.fresh else ''}"


@dataclass(frozen=True)
class Seen:
    """What a reconcile sees, by name. The defaults are the benign ones."""

    samples: str = "healthy"
    route: str = "as it is"
    desired_version: str = "as it is"
    asks: str = "nothing"
    says: str = "go on"
    """What the manifest says."""


S = TypeVar("S", bound=State)
N = TypeVar("N", bound=Seen)


@dataclass(frozen=True)
class World(ABC, Generic[S, N]):
    """A plan, and all that may be seen, by field of `Seen`. The first entry of each is the benign one."""

    base_spec: ClassVar[dict[str, Any]] = {}
    """Fields of the spec that this kind of target needs."""
    base_analysis: ClassVar[dict[str, Any]] = {}

    name: str
    analysis: dict[str, Any]
    spec: dict[str, Any] = field(default_factory=dict)
    samples: tuple[str, ...] = ("healthy",)
    route: tuple[str, ...] = ("as it is",)
    desired_version: tuple[str, ...] = ("as it is",)
    asks: tuple[str, ...] = ("nothing",)
    says: tuple[str, ...] = ("go on",)
    ends: tuple[str, ...] = ("done",)
    """Fates of a reconcile."""
    steps: tuple[int, ...] = (1,)
    """Reconciles of time that may pass."""

    @abstractmethod
    def start(self) -> S:
        """The state at the first reconcile of a Canary."""

    @abstractmethod
    def benign(self, state: S) -> N:
        """What a reconcile sees if no one acts, and nothing fails."""

    def alone(self) -> N | None:
        """What it sees if stable has no replica, and nothing else fails, in a world that has that."""
        return None

    @abstractmethod
    def changed(self, state: S, seen: N) -> S:
        """The state after what other clients change before the reconcile reads."""

    @abstractmethod
    def observed(self, state: S, seen: N, wanted: Needs) -> Observed:
        """What the engine gets."""

    @abstractmethod
    def carried_out(self, step: "Step[S, N]", actions: tuple[Action, ...], in_parts: bool) -> S:
        """The state after these actions of a decision."""

    @abstractmethod
    def canonical(self, state: S, later: timedelta) -> tuple[Hashable, S]:
        """A key that is equal for equal states, and the state so much later with NOW as its present."""

    @cached_property
    def resolved(self) -> ResolvedSpec:
        return wants({**SPEC, **self.base_spec, **self.spec}, **{**ANALYSIS, **self.base_analysis, **self.analysis})

    @cached_property
    def manifests(self) -> dict[str, ResolvedSpec]:
        """By what the manifest says."""
        plain = self.resolved
        suspended = plain.manifest.but(spec=plain.manifest.spec.but(suspend=True))
        return {
            "go on": plain,
            "suspended": replace(plain, manifest=suspended),
            "deleted": deleted(Shown(plain, Status())).resolved,
            "invalid": replace(plain, problems=("spec.banana: unknown field",)),
        }

    def decisions(self, state: S) -> Iterator["Step[S, N]"]:
        """One for each combination of what a reconcile may see."""
        wanted = needs(self.resolved, state.status, NOW)
        benign, choices = self.benign(state), self.choices(state, wanted)
        for one in product(*choices.values()):
            seen = replace(benign, **dict(zip(choices, one, strict=True)))
            before = self.changed(state, seen)
            resolved, observed = self.manifests[seen.says], self.observed(before, seen, wanted)
            decision = decide(resolved, before.status, observed, NOW)
            yield Step(self, state, before, seen, observed, resolved, decision)

    def choices(self, state: S, wanted: Needs) -> dict[str, tuple[str, ...]]:
        """All that may be seen, by field of `Seen`; only the benign one of what this reconcile doesn't read."""
        workloads, desired = Need.WORKLOADS in wanted.needs, Need.DESIRED_VERSION in wanted.needs
        read = {
            "samples": bool(wanted.queries), "hooks": bool(wanted.hooks), "desired_version": desired, "asks": desired,
            "canary": workloads, "stable": workloads, "pods": workloads,
        }  # fmt: skip
        all_of = {one.name: getattr(self, one.name) for one in fields(self.benign(state))}
        return {name: choices if read.get(name, True) else choices[:1] for name, choices in all_of.items()}

    def fates(self, step: "Step[S, N]") -> Iterator[tuple[str, S, timedelta]]:
        """How the reconcile may go on after the decision, and when the next one is."""
        actions = step.decision.actions
        unread = not isinstance(step.observed.route, RouteSeen)
        for fate in self.ends:
            saved = fate not in UNSAVED
            acts = () if fate in UNWRITTEN else actions if saved else tuple(one for one in actions if one.decreases)
            after = self.carried_out(step, acts, fate in IN_PARTS)
            status = (step.decision if saved else step.before).status
            ours = status.rollout is not None and after.route == status.rollout.desired
            fresh = fate in KILLED or (step.before.fresh and unread)
            after = replace(after, status=status, foreign=after.foreign and not ours, fresh=fresh)
            for reconciles in self.steps:
                yield fate, after, reconciles * TICK


@dataclass(frozen=True)
class Step(Generic[S, N]):
    """One decision in one state."""

    world: World[S, N]
    state: S
    """Before anything happened."""
    before: S
    seen: N
    observed: Observed
    resolved: ResolvedSpec
    decision: Decision

    @property
    def benign(self) -> bool:
        """No one acts, and nothing fails."""
        return self.seen == self.world.benign(self.state)

    @property
    def alone(self) -> bool:
        """Stable has no replica, and nothing else fails."""
        return self.seen == self.world.alone()

    @property
    def traffic(self) -> Traffic | None:
        """What the route said, if it could be read and its parts agreed."""
        return self.observed.route.traffic if isinstance(self.observed.route, RouteSeen) else None

    def __str__(self) -> str:
        benign = vars(self.world.benign(self.state))
        said = [one for name, one in vars(self.seen).items() if one != benign[name]]
        return (
            f"{self.world.name}: {self.before}; {', '.join(said) or 'all well'} → {self.decision.status.phase} "
            f"{self.decision.reason} {list(self.decision.actions)}"
        )


Promise = Callable[[Step[S, N]], Iterable[str]]
"""Yields a complaint if it is broken."""


def phases_follow_the_table(step: Step[Any, Any]) -> Iterator[str]:
    """The promise of all kinds of targets."""
    taken = (step.before.status.phase, step.decision.status.phase)
    if taken[0] is not taken[1] and taken not in TRANSITIONS:
        yield f"{taken[0]} → {taken[1]} isn't in the table"


@dataclass
class Found(Generic[S]):
    """What an exploration met."""

    states: dict[Hashable, S] = field(default_factory=dict)
    benign: dict[Hashable, Hashable] = field(default_factory=dict)
    """The successor if no one acts, and nothing fails."""
    alone: dict[Hashable, Hashable] = field(default_factory=dict)
    """The same while stable has no replica, in a world that has that."""
    transitions: int = 0
    phases: set[tuple[Phase, Phase]] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)


def explore(world: World[S, N], promises: Iterable[Promise[S, N]], limit: int) -> Found[S]:
    """Walk breadth first to the last new state. A broken promise is a complaint, and so are too many states."""
    found: Found[S] = Found()
    start, first = world.canonical(world.start(), timedelta())
    found.states[start] = first
    queue = deque([start])
    while queue:
        key = queue.popleft()
        for step in world.decisions(found.states[key]):
            found.phases.add((step.before.status.phase, step.decision.status.phase))
            found.broken += [f"{complaint} — {step}" for promise in promises for complaint in promise(step)]
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


# ---- parts of what a reconcile sees -----------------------------------------------------------------------------


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
    """The action of a user with this name."""
    if what == "nothing":
        return ()
    verb, _, author = what.partition(" by ")
    return (CanaryAction(id=what, target="web", verb=Verb(verb), author=author or "ada", at=NOW),)
