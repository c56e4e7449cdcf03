"""A whole rollout on virtual time: what `canary simulate` shows, and what scenario tests are written with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from canary.api.action import CanaryAction, Verb
from canary.api.pinned import MetricPolicy
from canary.engine.desired import Desired
from canary.engine.guards import REASONS
from canary.rollout.drive import Drive, Options
from canary.rollout.ending import Ending
from canary.rollout.tick import Turn

from .parts import Sandbox, SandboxTarget
from .scenarios import Scenario
from .world import START, world_of

STABLE = "stable"
"""What the serving version is called where the manifest doesn't say."""
TICKS = 2000
"""About how many ticks a simulation may take; a long plan is ticked less often than a real one."""
HOUR = timedelta(hours=1)
ENDLESS = frozenset({"NoData", "MetricsUnreachable"})
"""Reasons to hold that looks alone won't change in a world where nothing else happens."""
LEAP = timedelta(minutes=10)
"""How often a guard is asked that has held for an hour; it may wait for the end of a weekend."""
WEEK = timedelta(days=7)
"""How long guards may hold beyond the rollout's own deadline, which stands still meanwhile."""
APPROVED_AFTER = 30.0
"""Virtual seconds after which people approve a gate."""


def sandbox_of(
    desired: Desired, scenario: Scenario, rps: float = 50.0, seed: int = 1, start: datetime = START
) -> Sandbox:
    """A world for a manifest: its stable version, its canary as the scenario says, and all ports."""
    spec = desired.canary.spec
    world = world_of(scenario, spec.stable or STABLE, spec.version or "canary", rps, seed, start)
    sandbox = Sandbox(world, SandboxTarget(desired))
    sandbox.metrics.custom = {metric.name: _passing(metric) for metric in desired.policy.metrics}
    return sandbox


def simulate(sandbox: Sandbox, report: Callable[[Turn], None], approve: bool = True) -> Ending:
    """Runs to the end, approving gates if told so."""
    desired = sandbox.target.desired()
    tick = max(timedelta(seconds=5), _length(desired) / TICKS)
    asked: set[tuple[int, int]] = set()
    waits = Waits()

    def watched(turn: Turn) -> None:
        report(turn)
        sandbox.clock.leap = waits.until(turn)
        rollout = turn.decision.status.rollout
        if approve and rollout and rollout.gates and (rollout.number, rollout.step) not in asked:
            asked.add((rollout.number, rollout.step))
            _approve(sandbox, rollout.step, rollout.gates[0].needed)

    timeout = desired.policy.deadline + WEEK if desired.guards else None
    return Drive(sandbox.parts, Options(timeout=timeout, tick=tick), watched).run()


@dataclass
class Waits:
    """Watches for a wait that only time will end, so that a day of it needn't be lived through look by look."""

    reason: str = ""
    since: datetime | None = None

    def until(self, turn: Turn) -> datetime | None:
        """When something will come of it, once it has lasted an hour: a patience or the deadline runs out."""
        rollout, reason = turn.decision.status.rollout, turn.decision.reason
        if reason != self.reason or rollout is None:
            self.reason, self.since = reason, turn.at
        if rollout is None or self.since is None or turn.at - self.since < HOUR:
            return None
        if reason in REASONS:
            return turn.at + LEAP
        if reason not in ENDLESS:
            return None
        patience = (self.since + limit.after for limit in (rollout.policy.on_no_data, rollout.policy.on_unreachable))
        coming = [time for time in (*patience, rollout.deadline) if time > turn.at]
        return min(coming, default=None)


def _approve(sandbox: Sandbox, step: int, people: int) -> None:
    def say() -> None:
        for index in range(people):
            action = CanaryAction(
                id=f"approve-{step}-{index}",
                target=sandbox.target.desired().canary.metadata.name,
                verb=Verb.APPROVE,
                author=f"person {index + 1}",
                verified=True,
                at=sandbox.clock.now(),
            )
            sandbox.inbox.actions.append(action)

    sandbox.clock.at(APPROVED_AFTER, say)


def _passing(metric: MetricPolicy) -> float:
    """A value inside the range."""
    low, high = metric.range.min, metric.range.max
    return low if low is not None else high if high is not None else 0.0


def _length(desired: Desired) -> timedelta:
    """How long the rollout may take if it never gets on."""
    return min(desired.policy.deadline, timedelta(hours=24))
