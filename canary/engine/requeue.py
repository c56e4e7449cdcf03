"""When to decide again, though nothing happens. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from canary.api.reason import Reason, Trait
from canary.api.status import Phase, Rollout, Status

from . import evaluations, hooks
from .next_traffic import step_at
from .outcome import Close, Draft, Hold, Reassert

LATER = timedelta(minutes=1)
"""When to decide again while nothing is due."""
SOON = timedelta(milliseconds=200)
"""When to see whether a write is in effect."""
AGAIN = timedelta(seconds=1)
"""When to see whether a write is in effect that had to be asked for again."""


_PASSING = (Reason.PROVISIONING, Reason.PRIMARY_NOT_READY, Reason.DRAINING, Reason.REVERTING)
"""Why a Canary at rest soon isn't any more where it is."""


def requeue(status: Status, draft: Draft, now: datetime) -> timedelta:
    """Until the next thing that time alone brings about; at least a moment."""
    rollout = status.rollout
    if rollout is None:
        superseded = isinstance(draft.finding.outcome, Close) and status.phase is Phase.INITIALIZED
        return SOON if superseded or draft.actions else AGAIN if draft.finding.reason in _PASSING else LATER
    if isinstance(draft.finding.outcome, Reassert):
        return AGAIN
    if draft.actions or not isinstance(draft.finding.outcome, Hold):
        return SOON
    coming = [time for time in _times(rollout) if time > now]
    if Trait.GUARD in draft.finding.reason.traits or draft.finding.reason is Reason.PRIMARY_NOT_READY:
        coming.append(now + LATER)  # what it waits for may be the time
    return max(min(coming, default=now + LATER) - now, SOON)


def _times(rollout: Rollout) -> Iterable[datetime]:
    policy, since = rollout.policy, rollout.in_place_since
    if rollout.end is None:
        yield rollout.deadline
        yield from () if rollout.step > 0 else (rollout.started + policy.ready_deadline,)
        yield from (rollout.next_evaluation,) if evaluations.expected(rollout) else ()
    if since is not None:
        yield since + (policy.drain if rollout.end else step_at(rollout.plan, rollout.step).hold)
    if rollout.short_since is not None:
        yield rollout.short_since + policy.unready_grace
    if rollout.growing_since is not None:
        yield rollout.growing_since + policy.ready_deadline
    yield from (gate.deadline for gate in rollout.gates if gate.deadline is not None)
    yield from hooks.times(rollout) if rollout.end is None else ()
