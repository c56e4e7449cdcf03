"""When to decide again, though nothing happens. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from canary.api.status import Phase, Rollout, Status

from . import guards
from .draft import Draft
from .outcome import Close, Hold, Reassert
from .plan import step_at

LATER = timedelta(minutes=1)
"""When to decide again while nothing is due."""
SOON = timedelta(milliseconds=200)
"""When to see whether a write is in effect."""
AGAIN = timedelta(seconds=1)
"""When to see whether a write is in effect that had to be asked for again."""


def requeue(status: Status, draft: Draft, now: datetime) -> timedelta:
    """Until the next thing that time alone brings about; at least a moment."""
    rollout = status.rollout
    if rollout is None:
        superseded = isinstance(draft.finding.outcome, Close) and status.phase is Phase.INITIALIZED
        return SOON if superseded else LATER
    if isinstance(draft.finding.outcome, Reassert):
        return AGAIN
    if draft.actions or not isinstance(draft.finding.outcome, Hold):
        return SOON
    coming = [time for time in _times(rollout) if time > now]
    if draft.finding.reason in guards.REASONS:
        coming.append(now + LATER)  # what it waits for may be the time
    return max(min(coming, default=now + LATER) - now, SOON)


def _times(rollout: Rollout) -> Iterable[datetime]:
    policy, since = rollout.policy, rollout.in_place_since
    if rollout.end is None:
        yield rollout.deadline
        yield rollout.next_look if rollout.step > 0 else rollout.started + policy.ready_deadline
    if since is not None:
        yield since + (policy.drain if rollout.end else step_at(rollout.plan, rollout.step).hold)
    if rollout.short_since is not None:
        yield rollout.short_since + policy.unready_grace
    yield from (gate.deadline for gate in rollout.gates if gate.deadline is not None)
