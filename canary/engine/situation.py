"""Spec, status and what was observed, folded once: the rules read this and nothing else.

`fold` is a pipeline. The look comes first, and it is folded with the state in which its questions were asked;
then what people asked, what the route says, replicas, gates and clocks.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from canary.api.analysis import Capacity
from canary.api.canary import Canary
from canary.api.plan import Answer, Gate, Step, Traffic
from canary.api.status import GateWait, Rollout, Status, Version

from . import guards, looks
from .desired import Desired
from .judges.judge import Ruling
from .observed import Kind, Missing, Observed, RouteSeen, WorkloadSeen
from .people import Heard, Remark, hear, new_actions
from .plan import below, closed, exposed, raises, step_at


@dataclass(frozen=True)
class Situation:
    """A running rollout as it is right now."""

    desired: Desired
    status: Status
    """As it was saved."""
    rollout: Rollout
    """With everything folded in that this tick saw."""
    observed: Observed
    now: datetime
    ruling: Ruling | None
    """Of the look that was taken in this tick."""
    heard: Heard
    remarks: tuple[Remark, ...] = ()

    @property
    def canary(self) -> Canary:
        return self.desired.canary

    @property
    def step(self) -> Step:
        return step_at(self.rollout.plan, self.rollout.step)

    @property
    def weight(self) -> int:
        return self.rollout.meant.weight

    @property
    def exposed(self) -> bool:
        """Whether anybody meets the canary: as we meant, or because somebody else changed the route."""
        return exposed(self.rollout.meant) or (not self.taking_back and not self.ours and self._carries)

    @property
    def taking_back(self) -> bool:
        """What was meant last exposes less than what stood before, and isn't in effect yet."""
        rollout = self.rollout
        return not self.in_place and below(rollout.meant, rollout.previous) and self.lowers(rollout.meant)

    def lowers(self, traffic: Traffic) -> bool:
        """Whether asking for this exposes nobody new, whatever the route says now."""
        seen = self.route.traffic if self.route else None
        return not exposed(traffic) or (seen is not None and not raises(seen, traffic))

    @property
    def _carries(self) -> bool:
        return self.route is not None and self.route.shares.get(self.rollout.canary.name, 0) > 0

    @property
    def halted(self) -> bool:
        """Paused by a person, or suspended by the manifest."""
        return self.rollout.pause is not None or self.canary.spec.suspend

    @property
    def in_place(self) -> bool:
        """The proxy serves what was meant, as far as is known."""
        return self.rollout.in_place_since is not None

    @property
    def wanted(self) -> Version | None:
        return None if isinstance(self.observed.wanted, Missing) else self.observed.wanted

    @property
    def route(self) -> RouteSeen | None:
        return None if isinstance(self.observed.route, Missing) else self.observed.route

    @property
    def ours(self) -> bool:
        """Traffic stands where we put it: at what is meant, or at what was before."""
        known = (self.rollout.meant, self.rollout.previous)
        standings = self.route.standings if self.route else ()
        return bool(standings) and all(one in known for one in standings)

    @property
    def available(self) -> int | None:
        """Replicas of the canary that can answer; None where that isn't known."""
        return _available(self.observed.canary)

    @property
    def rebuilt(self) -> Version | None:
        """The canary's newest build, where that took the pinned one's place: a push may show here first."""
        seen, pinned = self.observed.canary, self.rollout.canary
        if isinstance(seen, Missing) or not pinned.revision or seen.revision in ("", pinned.revision):
            return None
        if self.wanted is not None and seen.available:
            return None
        return pinned.but(revision=seen.revision)

    @property
    def stable_available(self) -> int | None:
        """Of any build: whatever serves there is what requests can go back to."""
        seen = self.observed.stable
        return seen.available + seen.others if isinstance(seen, WorkloadSeen) else _available(seen)

    @property
    def held(self) -> timedelta:
        """How long this step's traffic has been in place."""
        since = self.rollout.in_place_since
        return timedelta() if since is None else self.now - since

    @property
    def done_but_gates(self) -> bool:
        """The step was held and looked at as the plan asks."""
        return done_but_gates(self.rollout, self.now)

    @property
    def closed(self) -> tuple[GateWait, ...]:
        """Gates that keep the step from being left."""
        return closed(self.rollout)


def fold(desired: Desired, status: Status, rollout: Rollout, observed: Observed, now: datetime) -> Situation:
    """Folds one tick's observations into the running rollout."""
    canary = desired.canary
    ruling = looks.look(canary, rollout, observed, now)
    rollout = in_our_time(rollout, now)
    rollout = read_back(rollout, observed, now)
    rollout = rollout if ruling is None else looks.remembered(rollout, ruling, now)
    rollout, moved = stable_moved(rollout, observed, now)
    rollout, edited = spec_edited(rollout, desired)
    heard = hear(rollout, new_actions(canary.metadata.name, status, observed.actions), now)
    rollout = name_hosts(name_workloads(heard.rollout, observed), observed)
    rollout = count_replicas(rollout, observed, now)
    rollout, shrunk = stable_shrank(rollout, observed)
    halted = rollout.pause is not None or canary.spec.suspend
    rollout = halt_clock(rollout, halted, now)
    rollout = ask_gates(rollout, halted, now)
    rollout = stop_clock(rollout, halted or bool(closed(rollout)) or status.reason in guards.REASONS, now)
    return Situation(
        desired, status, rollout, observed, now, ruling, heard, (*heard.remarks, *moved, *shrunk, *edited)
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


def done_but_gates(rollout: Rollout, now: datetime) -> bool:
    """Whether only gates may keep this step from being left; a person may have skipped the rest of it."""
    if rollout.in_place_since is None:
        return False
    step = step_at(rollout.plan, rollout.step)
    return rollout.skipped or (now - rollout.in_place_since >= step.hold and rollout.looks >= step.looks)


def in_our_time(rollout: Rollout, now: datetime) -> Rollout:
    """Where the clock was set back, or was another machine's: what lies too far ahead would not come for long."""
    latest, since = now + rollout.policy.interval, rollout.in_place_since
    if rollout.next_look <= latest + looks.SPREAD + timedelta(seconds=1) and (since is None or since <= now):
        return rollout
    next_look = min(rollout.next_look, looks.whole(latest))
    return rollout.but(next_look=next_look, in_place_since=since and min(since, now))


def read_back(rollout: Rollout, observed: Observed, now: datetime) -> Rollout:
    """Notes when what was meant is first seen in the proxy. An unread route changes nothing.

    From then on only what is meant is ours: who goes back to what was before, as a manifest that is applied
    again does, edits the route as much as anybody else.
    """
    route = observed.route
    if isinstance(route, Missing):
        return rollout
    if route.traffic != rollout.meant:
        return rollout.but(in_place_since=None)
    return rollout if rollout.in_place_since is not None else rollout.but(in_place_since=now, previous=rollout.meant)


def stable_moved(rollout: Rollout, observed: Observed, now: datetime) -> tuple[Rollout, tuple[Remark, ...]]:
    """The stable version's own build changed: evidence starts again, for it compared with another."""
    seen = observed.stable
    if isinstance(seen, Missing) or not seen.revision or seen.revision == rollout.stable.revision:
        return rollout, ()
    stable = Version(name=rollout.stable.name, revision=seen.revision)
    if not rollout.stable.revision:
        return rollout.but(stable=stable), ()
    remark = Remark("StableChanged", f"stable changed to {stable}; evidence starts again", "Warning")
    return looks.forgotten(rollout.but(stable=stable), now), (remark,)


def stable_shrank(rollout: Rollout, observed: Observed) -> tuple[Rollout, tuple[Remark, ...]]:
    """Stable has fewer replicas than bore everything at the start: a rollback would ask too much of them.

    Told again only once it has fewer still, or has had enough in between.
    """
    seen = observed.stable
    if rollout.step == 0 or not isinstance(seen, WorkloadSeen):
        return rollout, ()
    left, wants = min(seen.replicas, seen.available + seen.others), needed(rollout, Traffic(weight=100))
    if left >= wants:
        return rollout if rollout.stable_left is None else rollout.but(stable_left=None), ()
    if rollout.stable_left is not None and left >= rollout.stable_left:
        return rollout, ()
    sentence = f"{rollout.stable.name} has {left} of the {wants} replicas that a rollback needs"
    return rollout.but(stable_left=left), (Remark("StableShrank", sentence, "Warning"),)


def spec_edited(rollout: Rollout, desired: Desired) -> tuple[Rollout, tuple[Remark, ...]]:
    """Says once that plan and policy are pinned."""
    if rollout.edited or (desired.plan, desired.policy) == (rollout.plan, rollout.policy):
        return rollout, ()
    remark = Remark(
        "EditedLater", "the analysis is another one now, by an edit or new defaults; that is for the next rollout"
    )
    return rollout.but(edited=True), (remark,)


def name_workloads(rollout: Rollout, observed: Observed) -> Rollout:
    """Metrics know a version by what runs behind it."""
    for field, seen in (("stable_workload", observed.stable), ("canary_workload", observed.canary)):
        if isinstance(seen, WorkloadSeen) and getattr(rollout, field) != seen.name:
            rollout = rollout.but(**{field: seen.name})
    return rollout


def name_hosts(rollout: Rollout, observed: Observed) -> Rollout:
    """What reached no pod is known by the host alone: whose it is, and which version alone has no pod at all."""
    found = {
        version.name: available + (seen.others if isinstance(seen, WorkloadSeen) else 0)
        for version, seen in ((rollout.stable, observed.stable), (rollout.canary, observed.canary))
        if (available := _available(seen)) is not None
    }
    empty = [name for name, count in found.items() if not count]
    podless = empty[0] if len(found) == 2 and len(empty) == 1 else ""
    hosts = {} if isinstance(observed.route, Missing) else observed.route.hosts
    stable = hosts.get(rollout.stable.name, rollout.stable_host)
    canary = hosts.get(rollout.canary.name, rollout.canary_host)
    if (stable, canary, podless) == (rollout.stable_host, rollout.canary_host, rollout.podless):
        return rollout
    return rollout.but(stable_host=stable, canary_host=canary, podless=podless)


def count_replicas(rollout: Rollout, observed: Observed, now: datetime) -> Rollout:
    """At the start, how many replicas stable has; later, since when the canary has too few."""
    if rollout.step == 0 and isinstance(observed.stable, WorkloadSeen):
        rollout = rollout.but(stable_replicas=observed.stable.replicas)
    available = _available(observed.canary)
    if available is None:
        return rollout
    if available >= needed(rollout, rollout.meant):
        return rollout if rollout.short_since is None else rollout.but(short_since=None)
    return rollout if rollout.short_since is not None else rollout.but(short_since=now)


def ask_gates(rollout: Rollout, halted: bool, now: datetime) -> Rollout:
    """Asks the gates of a step that is done otherwise; a gate that was approved leaves no trace.

    One that its time-out has opened stays open while the step can't be left for another reason.
    """
    if rollout.skipped or not done_but_gates(rollout, now):
        return rollout if not rollout.gates else rollout.but(gates=())
    gates = step_at(rollout.plan, rollout.step).gates
    waits = (_wait(rollout, gate, halted, now) for gate in gates)
    return rollout.but(gates=tuple(wait for wait in waits if len(rollout.approvals) < wait.needed))


def halt_clock(rollout: Rollout, halted: bool, now: datetime) -> Rollout:
    """A gate's clock stands still while the rollout is paused or suspended."""
    if halted:
        return rollout if rollout.halted_at is not None else rollout.but(halted_at=now)
    if rollout.halted_at is None:
        return rollout
    gates = tuple(_later(gate, rollout.halted_at, now) for gate in rollout.gates)
    return rollout.but(halted_at=None, gates=gates)


def stop_clock(rollout: Rollout, stopped: bool, now: datetime) -> Rollout:
    """The rollout's own clock stands still while it is paused, suspended, at a gate, or held by a guard."""
    if stopped:
        return rollout if rollout.stopped_at is not None else rollout.but(stopped_at=now)
    if rollout.stopped_at is None:
        return rollout
    return rollout.but(stopped_at=None, deadline=rollout.deadline + (now - rollout.stopped_at))


def _later(gate: GateWait, halted_at: datetime, now: datetime) -> GateWait:
    """The gate with the time given back in which its clock stood still; it may have been asked meanwhile."""
    if gate.deadline is None:
        return gate
    return gate.but(deadline=gate.deadline + (now - max(halted_at, gate.since)))


def _wait(rollout: Rollout, gate: Gate, halted: bool, now: datetime) -> GateWait:
    name = gate.name or "approval"
    known = next((wait for wait in rollout.gates if wait.name == name), None)
    if known is not None:
        overdue = not halted and known.deadline is not None and now >= known.deadline
        return known.but(open=True) if overdue and gate.on_timeout is Answer.PROMOTE else known
    patience = rollout.policy.deadline if gate.timeout is None else gate.timeout
    deadline = None if gate.on_timeout is Answer.HOLD else now + patience
    return GateWait(name=name, since=now, deadline=deadline, needed=gate.approval.count if gate.approval else 1)


def _available(seen: WorkloadSeen | Missing) -> int | None:
    """A destination that isn't there has no replica; what could not be read has an unknown number."""
    if isinstance(seen, Missing):
        return 0 if seen.kind is Kind.ABSENT else None
    return seen.available
