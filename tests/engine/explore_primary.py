"""Worlds of a target that is released through a primary: what `explore.py` needs to know about them.

Here the world has more that outlives a reconcile: the revision and replicas of the target, the revision of the
primary, and whether Services and routes are complete. Another client may change each of them before a reconcile.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import timedelta
from string import ascii_lowercase
from typing import Any, ClassVar, assert_never

from canary.api.plan import Traffic
from canary.api.status import Phase, Status, Version
from canary.engine.actions import (
    Action,
    CopyToPrimary,
    Provision,
    RemovePrimary,
    ReturnToTarget,
    ScaleTarget,
    SetTraffic,
)
from canary.engine.decide import Needs
from canary.engine.next_traffic import exposed
from canary.engine.observed import Cause, Missing, Observed, PodsRefused, PrimarySeen, RouteSeen, WorkloadSeen

from . import explore
from .canonical import ago, key_of, rebased, traffic_key
from .explore import TICK, asked, sample
from .situations import NOW

TARGET, PRIMARY, CANARY = "web", "web-primary", "web-canary"
EDITED = "edited"
"""The primary's revision once another client has changed its template: that of no build."""
FULL = 4
"""Replicas of the primary, and of the target while it is up."""


@dataclass(frozen=True)
class State(explore.State):
    """Everything that outlives a reconcile, as of NOW."""

    route: Traffic = Traffic()  # noqa: RUF009 - frozen
    target: str = "a"
    """The target's revision."""
    replicas: int = FULL
    """Of the target."""
    primary: str = ""
    """The primary's revision; empty if there is none."""
    complete: bool = False
    """Whether there are Services and routes."""
    returned: bool = False
    """Whether all requests go to the target again, after the deletion of the Canary."""
    keeps: bool = False
    """Whether the canary's Service selects pods by their build (`primaryLabels: keep`)."""
    selected: str = ""
    """That build, of the target."""
    idle_for: timedelta = timedelta(days=1)
    """How long the canary has had no request."""

    def __str__(self) -> str:
        return (
            f"{super().__str__()}, stable {self.status.stable}, target {self.target} ×{self.replicas}, "
            f"primary {self.primary or 'none'}"
        )


@dataclass(frozen=True)
class Seen(explore.Seen):
    """What a reconcile sees, and what happened before, by name."""

    happened: str = "nothing"
    pods: str = "ready"


Step = explore.Step[State, Seen]


@dataclass(frozen=True)
class World(explore.World[State, Seen]):
    """A plan for a target that is released through a primary, and what may happen to it."""

    base_spec: ClassVar[dict[str, Any]] = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": TARGET},
        "service": {"port": 80},
        "version": None,
        "revision": "",
    }
    base_analysis: ClassVar[dict[str, Any]] = {"deadline": "120s"}

    happened: tuple[str, ...] = ("nothing",)
    pods: tuple[str, ...] = ("ready",)

    def start(self) -> State:
        """The target serves all requests."""
        service = self.resolved.manifest.spec.service
        return State(keeps=service is not None and service.primary_labels == "keep")

    def benign(self, state: State) -> Seen:
        """The deletion of a Canary goes on: no client takes it back."""
        return Seen(says="deleted" if state.status.phase is Phase.TERMINATING else "go on")

    def choices(self, state: State, wanted: Needs) -> dict[str, tuple[str, ...]]:
        deleting = {"says": ("deleted",)} if state.status.phase is Phase.TERMINATING else {}
        return {**super().choices(state, wanted), **deleting}

    def changed(self, state: State, seen: Seen) -> State:
        return happened(state, seen.happened)

    def observed(self, state: State, seen: Seen, wanted: Needs) -> Observed:
        desired = Version(name=CANARY, revision=state.target)
        return Observed(
            desired_version=desired if seen.desired_version == "as it is" else Missing(Cause.TIMED_OUT),
            route=_route(state, seen.route),
            stable_workload=_primary_pods(state, seen.pods),
            canary_workload=_target_pods(state, seen.pods),
            samples={query: sample(seen.samples, query, PRIMARY) for query in wanted.queries},
            actions=asked(seen.asks),
            fresh=state.fresh,
            primary=_there(state),
        )

    def carried_out(self, step: Step, actions: tuple[Action, ...], in_parts: bool) -> State:
        after = before = step.before
        for action in actions:
            after = _carried_out(after, action, step.seen.pods)
        idle = timedelta() if exposed(before.route) or exposed(after.route) else before.idle_for
        return replace(after, idle_for=idle)

    def canonical(self, state: State, later: timedelta) -> tuple[Hashable, State]:
        return _canonical(state, later, self.resolved.policy.drain)


# ---- what happens outside --------------------------------------------------------------------------------------


def happened(state: State, what: str) -> State:
    """Another client did this before the reconcile reads."""
    promoted = state.status.stable
    changes: dict[str, dict[str, Any]] = {
        "nothing": {},
        "a push": {"target": _unused(state)},
        "a push of what is promoted": {"target": promoted.revision if promoted else state.target},
        "primary deleted": {"primary": ""},
        "primary edited": {"primary": EDITED if state.primary and promoted else state.primary},
        "promoted by another process": {"primary": state.target} if state.primary and not state.rollout else {},
        "route deleted": {"complete": False, "route": Traffic(), "foreign": False},
        "target scaled to zero": {"replicas": 0},
        "target scaled up": {"replicas": FULL},
    }
    if what in changes:
        return replace(state, **changes[what])
    traffic = Traffic(weight=int(what.rsplit(maxsplit=1)[-1]))
    rollout = state.rollout
    ours = (rollout.desired, rollout.previous) if rollout else (Traffic(),)
    return replace(state, route=traffic, foreign=traffic not in ours) if state.complete else state


def _revisions(state: State) -> list[str]:
    """Those that are known somewhere, what serves first."""
    status, rollout = state.status, state.rollout
    pair = (rollout.stable_version, rollout.canary_version) if rollout else ()
    versions = [one for one in (status.stable, *pair, status.failed) if one is not None]
    known = dict.fromkeys([*(one.revision for one in versions), state.target, state.primary, state.selected])
    return [one for one in known if one and one != EDITED]


def _unused(state: State) -> str:
    return next(one for one in ascii_lowercase if one not in _revisions(state))


def _there(state: State) -> PrimarySeen:
    missing = [] if state.primary else [PRIMARY]
    missing += [] if state.complete and not state.returned else ["routes"]
    ours = (*([PRIMARY] if state.primary else []), *(["routes"] if state.complete else []))
    return PrimarySeen(state.primary, tuple(missing), ours=ours, returned=state.returned, build=state.selected)


def _route(state: State, what: str) -> RouteSeen | Missing:
    if what == "unreadable":
        return Missing(Cause.REFUSED)
    if not state.complete:
        return Missing(Cause.ABSENT)
    weight = state.route.weight
    return RouteSeen("token", {PRIMARY: 100.0 - weight, CANARY: float(weight)}, state.route)


def _primary_pods(state: State, pods: str) -> WorkloadSeen | Missing:
    if pods == "unreadable":
        return Missing(Cause.TIMED_OUT)
    if not state.primary:
        return Missing(Cause.ABSENT)
    revision = "" if state.primary == EDITED else state.primary
    down = pods in ("primary down", "both down")
    promoted = state.status.stable is not None and state.primary == state.status.stable.revision
    stuck = "ProgressDeadlineExceeded" if pods == "primary stuck" and not promoted else None
    refused = PodsRefused(NOW - timedelta(days=1), "quota") if pods == "primary refused" and not promoted else None
    available = 0 if down else FULL - 1 if stuck or refused else FULL
    return WorkloadSeen(PRIMARY, FULL, available, revision, stuck=stuck, refused=refused)


def _target_pods(state: State, pods: str) -> WorkloadSeen | Missing:
    if pods == "unreadable":
        return Missing(Cause.TIMED_OUT)
    available = 0 if pods in ("canary down", "both down", "canary stuck") else state.replicas
    stuck = "ProgressDeadlineExceeded" if pods == "canary stuck" and state.replicas else None
    return WorkloadSeen(TARGET, state.replicas, available, state.target, stuck=stuck)


def _carried_out(state: State, action: Action, pods: str) -> State:
    match action:
        case SetTraffic():
            return replace(state, route=action.traffic, foreign=False) if state.complete else state
        case Provision(revision):
            if not state.primary:
                return replace(state, primary=revision)
            ready = pods not in ("primary down", "both down")
            selected = state.target if state.keeps else ""
            return replace(state, complete=True, selected=selected) if ready else state
        case CopyToPrimary(revision):
            return replace(state, primary=revision)
        case ScaleTarget(replicas):
            return replace(state, replicas=replicas)
        case ReturnToTarget(revision):
            ready = (state.target, state.replicas) == (revision, FULL) and pods not in ("canary down", "both down")
            return replace(state, target=revision, replicas=FULL, returned=state.returned or ready)
        case RemovePrimary():
            return replace(state, primary="", complete=False)
        case _:
            assert_never(action)


# ---- when are two states the same? -----------------------------------------------------------------------------


def _canonical(state: State, later: timedelta, drain: timedelta) -> tuple[Hashable, State]:
    now, status = NOW + later, state.status
    rollout = rebased(status.rollout, now) if status.rollout is not None else None
    since = status.provisioned_since
    failed = status.failed if status.failed and status.failed.revision == state.target else None
    bare = Status(
        phase=status.phase, stable=status.stable, failed=failed, rollout=rollout, rollouts=1,
        failed_checks=status.failed_checks if rollout else 0, provisioned_since=ago(since, now, drain),
        reverts=status.reverts, returned_since=ago(status.returned_since, now, drain),
    )  # fmt: skip
    kept = replace(state, status=bare, idle_for=min(state.idle_for + later, drain + TICK))
    names = dict(zip(_revisions(kept), ascii_lowercase, strict=False))
    kept = _renamed(kept, names)
    whole = kept.status
    key = (
        whole.phase, str(whole.stable), str(whole.failed), whole.provisioned_since, whole.reverts,
        whole.returned_since, kept.returned,
        whole.rollout and (str(whole.rollout.stable_version), str(whole.rollout.canary_version)), key_of(rollout),
        kept.target, kept.replicas, kept.primary, kept.complete, traffic_key(kept.route), kept.foreign,
        kept.fresh, kept.idle_for, kept.selected,
    )  # fmt: skip
    return key, kept


def _renamed(state: State, names: dict[str, str]) -> State:
    def version(one: Version | None) -> Version | None:
        return one and one.but(revision=names.get(one.revision, one.revision))

    status, rollout = state.status, state.rollout
    if rollout is not None:
        pair = {"stable_version": version(rollout.stable_version), "canary_version": version(rollout.canary_version)}
        rollout = rollout.but(**pair)
    status = status.but(stable=version(status.stable), failed=version(status.failed), rollout=rollout)
    primary, selected = (names.get(one, one) for one in (state.primary, state.selected))
    return replace(state, status=status, target=names[state.target], primary=primary, selected=selected)


def settled(state: State) -> bool:
    """Nothing is left to do: the primary serves what was promoted, and the target has no replicas."""
    status = state.status
    if status.phase is Phase.TERMINATING:
        return state.rollout is None and not (status.reverts and (state.primary or state.complete))
    if state.rollout is not None or status.stable is None or not state.complete:
        return False
    decided = state.target == status.stable.revision or status.failed is not None
    decided = decided and state.selected in ("", state.target)
    return decided and state.primary == status.stable.revision and (state.foreign or state.replicas == 0)
