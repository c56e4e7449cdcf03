"""Spec, status and what was observed, folded once: the rules read this and nothing else.

`fold` is a pipeline. The evaluation comes first, and it is folded with the state in which its questions were asked;
then what people asked, what the route says, replicas, gates and clocks.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from canary.api.analysis import Capacity
from canary.api.canary import Canary
from canary.api.plan import Step, Traffic
from canary.api.reason import Reason, Trait
from canary.api.status import GateWait, Rollout, Status, Version

from . import evaluations, hooks, unmoved
from .gates import ask_gates, closed, done_but_gates, halt_clock
from .judges.judge import Ruling
from .next_traffic import below, copy_index, copying, exposed, increases, step_at
from .observed import Cause, Missing, Observed, RouteSeen, WorkloadSeen
from .outcome import Remark
from .resolved import ResolvedSpec
from .verbs import Heard, hear, new_actions

IMAGES = 10
"""How many container images are kept for hooks."""


@dataclass(frozen=True)
class RuleInput:
    """What rules see at rest and in a rollout."""

    resolved: ResolvedSpec
    status: Status
    observed: Observed
    now: datetime

    @property
    def manifest(self) -> Canary:
        return self.resolved.manifest

    @property
    def desired_version(self) -> Version | None:
        return None if isinstance(self.observed.desired_version, Missing) else self.observed.desired_version

    @property
    def route(self) -> RouteSeen | None:
        return None if isinstance(self.observed.route, Missing) else self.observed.route


@dataclass(frozen=True)
class Situation(RuleInput):
    """A running rollout as it is right now; `status` is as it was saved."""

    rollout: Rollout
    """With everything folded in that this reconcile saw."""
    ruling: Ruling | None
    """Of the evaluation that was taken in this reconcile."""
    heard: Heard
    remarks: tuple[Remark, ...] = ()

    @property
    def step(self) -> Step:
        return step_at(self.rollout.plan, self.rollout.step)

    @property
    def weight(self) -> int:
        return self.rollout.desired.weight

    @property
    def exposed(self) -> bool:
        """Whether requests can reach the canary, by the desired traffic or by another client's change."""
        return exposed(self.rollout.desired) or (not self.taking_back and not self.ours and self._carries)

    @property
    def taking_back(self) -> bool:
        """The desired traffic exposes less than the traffic before, and isn't in effect yet."""
        rollout = self.rollout
        return not self.in_place and below(rollout.desired, rollout.previous) and self.decreases(rollout.desired)

    def decreases(self, traffic: Traffic) -> bool:
        """Whether this exposes no new users, compared with the desired traffic and the route."""
        seen = self.route.traffic if self.route else None
        return not exposed(traffic) or (seen is not None and not increases(seen, traffic))

    @property
    def _carries(self) -> bool:
        return self.route is not None and self.route.shares.get(self.rollout.canary_version.name, 0) > 0

    @property
    def halted(self) -> bool:
        """Paused by a person, or suspended by the manifest."""
        return self.rollout.pause is not None or self.manifest.spec.suspend

    @property
    def in_place(self) -> bool:
        """The proxy serves the desired traffic, as far as is known."""
        return self.rollout.in_place_since is not None

    @property
    def ours(self) -> bool:
        """The route has a traffic state of canary: the desired or the previous one."""
        known = (self.rollout.desired, self.rollout.previous)
        standings = self.route.standings if self.route else ()
        return bool(standings) and all(one in known for one in standings)

    @property
    def available(self) -> int | None:
        """Replicas of the canary that can answer; None where that isn't known."""
        return _available(self.observed.canary_workload)

    @property
    def rebuilt(self) -> Version | None:
        """The canary's newest build, where that took the pinned one's place: a push may show here first."""
        seen, pinned = self.observed.canary_workload, self.rollout.canary_version
        if isinstance(seen, Missing) or not pinned.revision or seen.revision in ("", pinned.revision):
            return None
        if self.desired_version is not None and seen.available:
            return None
        return pinned.but(revision=seen.revision)

    @property
    def stable_available(self) -> int | None:
        """Of any build: requests can go back to all that serves there."""
        seen = self.observed.stable_workload
        return seen.available + seen.others if isinstance(seen, WorkloadSeen) else _available(seen)

    @property
    def copying(self) -> bool:
        """The copy of the analysed template to the primary has begun."""
        return copying(self.rollout.plan, self.rollout.step)

    @property
    def serves_all(self) -> bool:
        """The canary has every request already: nothing is left to increase, and nothing lies between."""
        return self.in_place and self.weight == 100

    @property
    def stranded(self) -> bool:
        """Going back would take requests from replicas that may answer to where none is."""
        return self.serving and self.stable_available == 0 and self.available != 0

    @property
    def serving(self) -> bool:
        """Whether the canary answers requests; those that are only copied to it are answered elsewhere."""
        meant = self.rollout.desired
        return self.exposed and bool(meant.weight or meant.match or self._carries)

    @property
    def held(self) -> timedelta:
        """How long this step's traffic has been in place."""
        since = self.rollout.in_place_since
        return timedelta() if since is None else self.now - since

    @property
    def done_but_gates(self) -> bool:
        """The step was held and looked at as the plan asks."""
        return done_but_gates(self.rollout, self.now)

    def blind_to(self, step: int) -> bool:
        """Whether going to a step would expose requests before each metric could be read; a person may want that."""
        leaves = self.rollout.step == 0 and 0 < step < len(self.rollout.plan.steps)
        return leaves and not self.hurries and not evaluations.readable(self.rollout)

    @property
    def hurries(self) -> bool:
        """A user skips the rest of the step, or promotes without the remaining ones."""
        return self.rollout.skipped or self.rollout.hurried

    @property
    def closed(self) -> tuple[GateWait, ...]:
        """Gates that keep the step from being left."""
        return closed(self.rollout)


def fold(
    resolved: ResolvedSpec,
    status: Status,
    rollout: Rollout,
    observed: Observed,
    now: datetime,
    may_evaluate: bool = True,
) -> Situation:
    """Folds one reconcile's observations into the running rollout."""
    canary = resolved.manifest
    rollout = hooks.answered(rollout, observed.hooks, now)
    ruling = evaluations.evaluate(canary, rollout, observed, now) if may_evaluate else None
    answer = evaluations.asked(canary, rollout, observed, now) if may_evaluate else None
    rollout = in_our_time(rollout, now)
    rollout = read_back(rollout, observed, now)
    rollout = rollout if ruling is None else evaluations.remembered(rollout, ruling, now)
    if answer is not None:
        rollout = rollout.but(evaluation=answer, next_evaluation=answer.at + rollout.policy.interval)
    rollout, moved = stable_moved(rollout, observed, now)
    rollout, edited = spec_edited(rollout, resolved)
    rollout, apart = unmoved.noted(rollout, observed)
    before = Situation(resolved, status, observed, now, rollout, ruling, Heard(rollout))
    heard = hear(rollout, new_actions(canary.metadata.name, status, observed.actions, now), now, before.stranded)
    rollout = name_hosts(name_workloads(heard.rollout, observed), observed)
    rollout = count_replicas(rollout, observed, now)
    rollout, shrunk = stable_shrank(rollout, observed)
    halted = rollout.pause is not None or canary.spec.suspend
    rollout = halt_clock(rollout, halted, now)
    rollout = hooks.due(rollout, done_but_gates(rollout, now) and not rollout.skipped, halted, now)
    rollout = ask_gates(rollout, halted, now)
    rollout = stop_clock(rollout, halted or bool(closed(rollout)) or Trait.GUARD in status.reason.traits, now)
    return Situation(
        resolved, status, observed, now, rollout, ruling, heard, (*heard.remarks, *moved, *shrunk, *edited, *apart)
    )


def needed(rollout: Rollout, traffic: Traffic) -> int:
    """Replicas that this traffic needs: its share of the stable version's at the start, at least one.

    Exactly one where `capacity: ignore` says that the share is not to be asked for.
    """
    if not exposed(traffic):
        return 0
    if rollout.policy.capacity is Capacity.IGNORE:
        return 1
    return max(1, ceil(rollout.stable_replicas * traffic.weight / 100))


def in_our_time(rollout: Rollout, now: datetime) -> Rollout:
    """If the clock was set back, or was another machine's: a time too far ahead would not come for long."""
    latest, since = now + rollout.policy.interval, rollout.in_place_since
    if rollout.next_evaluation <= latest + evaluations.SPREAD + timedelta(seconds=1) and (
        since is None or since <= now
    ):
        return rollout
    next_evaluation = min(rollout.next_evaluation, evaluations.whole(latest))
    return rollout.but(next_evaluation=next_evaluation, in_place_since=since and min(since, now))


def read_back(rollout: Rollout, observed: Observed, now: datetime) -> Rollout:
    """Records when the proxy first has the desired traffic. An unread route changes nothing.

    From then on only the desired traffic is ours: who goes back to what was before, as a manifest that is applied
    again does, edits the route like any other client.
    """
    route = observed.route
    if isinstance(route, Missing):
        return rollout
    if route.traffic != rollout.desired:
        return rollout.but(in_place_since=None)
    return (
        rollout if rollout.in_place_since is not None else rollout.but(in_place_since=now, previous=rollout.desired)
    )


def stable_moved(rollout: Rollout, observed: Observed, now: datetime) -> tuple[Rollout, tuple[Remark, ...]]:
    """The stable version's own build changed: evidence starts again, for it compared with another.

    What changes in a primary is its copy, or is put back (`primary_edited`).
    """
    seen = observed.stable_workload
    if copy_index(rollout.plan) is not None:
        return rollout, ()
    if isinstance(seen, Missing) or not seen.revision or seen.revision == rollout.stable_version.revision:
        return rollout, ()
    stable = Version(name=rollout.stable_version.name, revision=seen.revision)
    if not rollout.stable_version.revision:
        return rollout.but(stable_version=stable), ()
    remark = Remark(Reason.STABLE_CHANGED, f"stable changed to {stable}; evidence starts again")
    return evaluations.forgotten(rollout.but(stable_version=stable), now), (remark,)


def stable_shrank(rollout: Rollout, observed: Observed) -> tuple[Rollout, tuple[Remark, ...]]:
    """Stable has fewer replicas than bore everything at the start: a rollback would ask too much of them.

    Sent again only if it has even fewer, or had enough in between.
    """
    seen = observed.stable_workload
    left = min(seen.replicas, seen.available + seen.others) if isinstance(seen, WorkloadSeen) else _available(seen)
    if rollout.step == 0 or left is None:
        return rollout, ()
    wants = needed(rollout, Traffic(weight=100))
    if left >= wants:
        return rollout if rollout.stable_left is None else rollout.but(stable_left=None), ()
    if rollout.stable_left is not None and left >= rollout.stable_left:
        return rollout, ()
    sentence = f"{rollout.stable_version.name} has {left} of the {wants} replicas that a rollback needs"
    return rollout.but(stable_left=left), (Remark(Reason.STABLE_SHRANK, sentence),)


def spec_edited(rollout: Rollout, resolved: ResolvedSpec) -> tuple[Rollout, tuple[Remark, ...]]:
    """Says once that plan and policy are pinned."""
    if rollout.edited or (resolved.plan, resolved.policy) == (rollout.plan, rollout.policy):
        return rollout, ()
    remark = Remark(
        Reason.EDITED_LATER,
        "the analysis is another one now, by an edit or new defaults; that is for the next rollout",
    )
    return rollout.but(edited=True), (remark,)


def name_workloads(rollout: Rollout, observed: Observed) -> Rollout:
    """Metrics know a version by what runs behind it."""
    for field, seen in (("stable_workload", observed.stable_workload), ("canary_workload", observed.canary_workload)):
        if isinstance(seen, WorkloadSeen) and getattr(rollout, field) != seen.name:
            rollout = rollout.but(**{field: seen.name})
    seen = observed.canary_workload
    if isinstance(seen, WorkloadSeen) and seen.images and rollout.policy.webhooks and seen.images != rollout.images:
        rollout = rollout.but(images=seen.images[:IMAGES])
    return rollout


def name_hosts(rollout: Rollout, observed: Observed) -> Rollout:
    """What reached no pod is known by the host alone: whose it is, and which version alone has no pod at all."""
    found = {
        version.name: available + (seen.others if isinstance(seen, WorkloadSeen) else 0)
        for version, seen in (
            (rollout.stable_version, observed.stable_workload),
            (rollout.canary_version, observed.canary_workload),
        )
        if (available := _available(seen)) is not None
    }
    empty = [name for name, count in found.items() if not count]
    podless = empty[0] if len(found) == 2 and len(empty) == 1 else ""
    hosts = {} if isinstance(observed.route, Missing) else observed.route.hosts
    stable = hosts.get(rollout.stable_version.name, rollout.stable_host)
    canary = hosts.get(rollout.canary_version.name, rollout.canary_host)
    if (stable, canary, podless) == (rollout.stable_host, rollout.canary_host, rollout.podless):
        return rollout
    return rollout.but(stable_host=stable, canary_host=canary, podless=podless)


def count_replicas(rollout: Rollout, observed: Observed, now: datetime) -> Rollout:
    """At the start, how many replicas stable has; later, since when the canary has too few.

    A node that goes takes a replica from both versions.
    """
    stable = observed.stable_workload
    if isinstance(stable, WorkloadSeen):
        fewer = stable.nodes and 0 < stable.replicas < rollout.stable_replicas
        if fewer or rollout.step == 0:
            rollout = rollout.but(stable_replicas=stable.replicas)
    available = _available(observed.canary_workload)
    if available is None:
        return rollout
    if available >= needed(rollout, rollout.desired):
        return rollout if rollout.short_since is None else rollout.but(short_since=None)
    return rollout if rollout.short_since is not None else rollout.but(short_since=now)


def stop_clock(rollout: Rollout, stopped: bool, now: datetime) -> Rollout:
    """The rollout's own clock stands still while it is paused, suspended, at a gate, or held by a guard."""
    if stopped:
        return rollout if rollout.stopped_at is not None else rollout.but(stopped_at=now)
    if rollout.stopped_at is None:
        return rollout
    return rollout.but(stopped_at=None, deadline=rollout.deadline + (now - rollout.stopped_at))


def _available(seen: WorkloadSeen | Missing) -> int | None:
    """A destination that isn't there has no replica; what could not be read has an unknown number."""
    if isinstance(seen, Missing):
        return 0 if seen.cause is Cause.ABSENT else None
    return seen.available
