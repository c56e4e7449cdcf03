"""A whole rollout on virtual time: what `canary simulate` shows, and what scenario tests are written with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from canary.api.action import CanaryAction, Verb
from canary.api.pinned import MetricPolicy
from canary.api.reason import Reason, Trait
from canary.api.status import Status, Version
from canary.api.webhooks import HookType
from canary.engine.observed import Stored
from canary.engine.resolved import ResolvedSpec
from canary.engine.targets import target_of
from canary.rollout.drive import Drive, Options
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn

from .parts import Sandbox, SandboxTarget
from .scenarios import Scenario
from .world import START, world_of

TESTED = 0.1
"""What hooks of the type rollout send to the canary's own Service, as a share of all requests."""
STABLE = "stable"
"""What the serving version is called where the manifest doesn't say."""
RECONCILES = 2000
"""About how many reconciles a simulation may take; a long plan is reconciled less often than a real one."""
HOUR = timedelta(hours=1)
LEAP = timedelta(minutes=10)
"""How often a guard is asked that has held for an hour; it may wait for the end of a weekend."""
WEEK = timedelta(days=7)
"""How long guards may hold beyond the rollout's own deadline, which stands still meanwhile."""
APPROVED_AFTER = 30.0
"""Virtual seconds after which people approve a gate."""


def sandbox_of(
    resolved: ResolvedSpec, scenario: Scenario, rps: float = 50.0, seed: int = 1, start: datetime = START
) -> Sandbox:
    """A world for a manifest: its stable version, its canary as the scenario says, and all ports."""
    spec = resolved.manifest.spec
    stable, canary = target_of(resolved.manifest).names(resolved.manifest)
    world = world_of(scenario, stable or spec.stable or STABLE, canary or "canary", rps, seed, start)
    if any(hook.type == HookType.ROLLOUT for hook in resolved.policy.webhooks):
        world.tested = TESTED
    sandbox = Sandbox(world, SandboxTarget(resolved))
    if sandbox.primary is not None:
        sandbox.primary.revision, sandbox.primary.replicas, sandbox.target.revision = "1", 0, "2"
        sandbox.store.stored = Stored(Status(stable=Version(name=stable or "", revision="1")), "0")
    sandbox.metrics.custom = {metric.name: _passing(metric) for metric in resolved.policy.metrics}
    sandbox.metrics.failing = {metric.name: _failing(metric) for metric in resolved.policy.metrics}
    return sandbox


def simulate(sandbox: Sandbox, report: Callable[[Turn], None], approve: bool = True) -> Ending:
    """Runs to the end, approving gates if requested."""
    resolved = sandbox.target.resolved()
    longest = min(resolved.policy.deadline, timedelta(hours=24))  # if the rollout never gets on
    reconcile_interval = max(timedelta(seconds=5), longest / RECONCILES)
    asked: set[tuple[int, int]] = set()
    waits = Waits()

    def reported(turn: Turn) -> None:
        report(turn)
        sandbox.clock.leap = waits.until(turn)
        rollout = turn.decision.status.rollout
        needed = max((gate.needed for gate in rollout.gates), default=0) if rollout else 0
        if approve and rollout and needed and (rollout.number, rollout.step) not in asked:
            asked.add((rollout.number, rollout.step))
            _approve(sandbox, rollout.step, needed)

    timeout = resolved.policy.deadline + WEEK if resolved.guards else None
    return Drive(sandbox.parts, Options(timeout=timeout, reconcile_interval=reconcile_interval), reported).run()


@dataclass
class Waits:
    """Watches for a wait that only time will end, so that a day of it needn't be lived through evaluation by
    evaluation."""

    reason: Reason = Reason.UNDECIDED
    since: datetime | None = None

    def until(self, turn: Turn) -> datetime | None:
        """When something will come of it, once it has lasted an hour: a patience or the deadline runs out."""
        rollout, reason = turn.decision.status.rollout, turn.decision.reason
        if reason != self.reason or rollout is None:
            self.reason, self.since = reason, turn.at
        if rollout is None or self.since is None or turn.at - self.since < HOUR:
            return None
        if Trait.GUARD in reason.traits:
            return turn.at + LEAP
        if Trait.NO_EVIDENCE not in reason.traits:
            return None  # else evaluations alone change nothing in a world where nothing else happens
        patience = (self.since + limit.after for limit in (rollout.policy.on_no_data, rollout.policy.on_unreachable))
        coming = [time for time in (*patience, rollout.deadline) if time > turn.at]
        return min(coming, default=None)


def _approve(sandbox: Sandbox, step: int, people: int) -> None:
    def say() -> None:
        for index in range(people):
            action = CanaryAction(
                id=f"approve-{step}-{index}",
                target=sandbox.target.resolved().manifest.metadata.name,
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


def _failing(metric: MetricPolicy) -> float:
    """A value outside the range, if it has an end."""
    low, high = metric.range.min, metric.range.max
    if high is not None:
        return high + max(1.0, abs(high))
    return 0.0 if low is None else low - max(1.0, abs(low))
