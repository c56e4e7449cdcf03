"""Worlds of a target with versions, such as the clusters of an Envoy: what `explore.py` needs to know about them."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import timedelta

from canary.api.plan import Traffic
from canary.api.status import Status, Version
from canary.engine.actions import Action, SetTraffic
from canary.engine.decide import Needs
from canary.engine.observed import Cause, HookAnswer, HookCall, Missing, Observed, RouteSeen, WorkloadSeen

from . import explore
from .canonical import key_of, rebased, traffic_key
from .explore import asked, sample
from .situations import CANARY, NOW, STABLE

OTHER_BUILD = {"b": "c", "c": "b"}


@dataclass(frozen=True)
class State(explore.State):
    """Everything that outlives a reconcile, as of NOW."""

    partly: tuple[Traffic, ...] = ()
    """If the parts of the route disagree: their traffic, if a rollout wrote it."""


@dataclass(frozen=True)
class Seen(explore.Seen):
    """What a reconcile sees, by name."""

    canary: str = "available"
    stable: str = "available"
    hooks: str = "yes"


Step = explore.Step[State, Seen]


@dataclass(frozen=True)
class World(explore.World[State, Seen]):
    """A plan for a target with versions, and what may happen to it."""

    canary: tuple[str, ...] = ("available",)
    stable: tuple[str, ...] = ("available",)
    hooks: tuple[str, ...] = ("yes",)

    def start(self) -> State:
        return State()

    def benign(self, state: State) -> Seen:
        return Seen()

    def alone(self) -> Seen:
        return Seen(stable="none")

    def changed(self, state: State, seen: Seen) -> State:
        """Another client may edit the route."""
        if not seen.route.startswith("edited"):
            return state
        edited = None if seen.route == "edited in parts" else Traffic(weight=int(seen.route.rsplit(maxsplit=1)[-1]))
        rollout = state.rollout
        foreign = rollout is not None and edited not in (rollout.desired, rollout.previous)
        return replace(state, route=edited, foreign=foreign, partly=())

    def observed(self, state: State, seen: Seen, wanted: Needs) -> Observed:
        desired_version: dict[str, Version | Missing] = {
            "as it is": state.rollout.canary_version if state.rollout else CANARY,
            "a new build": Version(name="v2", revision="c"),
            "back to stable": state.status.stable or STABLE,
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

    def carried_out(self, step: Step, actions: tuple[Action, ...], in_parts: bool) -> State:
        before, written = step.before, [one for one in actions if isinstance(one, SetTraffic)]
        if not written or not isinstance(step.observed.route, RouteSeen) or step.seen.route == "refused":
            return before
        traffic = written[-1].traffic
        if in_parts and before.route is not None and before.route != traffic:
            return replace(before, route=None, foreign=False, partly=(before.route, traffic))
        return replace(before, route=traffic, foreign=False, partly=())

    def canonical(self, state: State, later: timedelta) -> tuple[Hashable, State]:
        status, route = _renamed(state.status, state.route)
        rollout = rebased(status.rollout, NOW + later) if status.rollout is not None else None
        bare = Status(
            phase=status.phase, stable=status.stable, failed=status.failed, rollout=rollout,
            rollouts=1, failed_checks=status.failed_checks if rollout else 0,
        )  # fmt: skip
        foreign = state.foreign and rollout is not None
        kept = State(bare, route, foreign, state.fresh, state.partly if rollout else ())
        versions = (bare.phase, str(bare.stable), str(bare.failed))
        parts = tuple(map(traffic_key, kept.partly))
        return (versions, key_of(rollout), traffic_key(route), parts, foreign, state.fresh), kept


def _renamed(status: Status, route: Traffic | None) -> tuple[Status, Traffic | None]:
    """At rest the version that serves is called v1 again; during a rollout the build that is tried is called b."""
    rollout = status.rollout
    if rollout is None and status.stable is not None and status.stable.name == "v2":
        turned = Traffic(weight=100 - route.weight) if route is not None else None
        return status.but(stable=Version(name="v1", revision="a"), failed=None), turned
    if rollout is not None and rollout.canary_version.revision == "c":
        failed = status.failed and status.failed.but(revision=OTHER_BUILD[status.failed.revision])
        renamed = rollout.but(canary_version=rollout.canary_version.but(revision="b"))
        return status.but(failed=failed, rollout=renamed), route
    return status, route


def _answers(what: str, calls: tuple[HookCall, ...]) -> dict[str, HookAnswer]:
    """What hooks answer: a hook of type rollback says yes only if that is meant."""
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
