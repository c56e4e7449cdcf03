"""The messages of a decision for users, kept until they are delivered. Pure."""

from collections.abc import Iterable
from datetime import datetime

from canary.api.reason import Reason, Topic
from canary.api.status import Message, Phase, Status

from . import alerts, hook_notifications, hooks
from .outcome import Close, Draft, Hold, Remark, RollBack, Serve, clipped
from .resolved import ResolvedSpec

OUTBOX = 20
"""The largest number of messages that wait for delivery."""
ROOM = 1400
"""Characters that they say together, so that a status stays small when people and servers say much."""


def kept(outbox: tuple[Message, ...]) -> tuple[Message, ...]:
    """Limits an outbox that isn't delivered to its newest messages. The newest one and the end of a rollout are never
    dropped, however many hooks hear of them."""
    room, kept = ROOM, []
    for count, message in enumerate(reversed(outbox)):
        room -= len(message.message) + alerts.size(message)
        if message.reason.topic is Topic.OVER or not count or (count < OUTBOX and room >= 0):
            kept.append(message)
    return tuple(reversed(kept))


def messages(draft: Draft, before: Status, now: datetime, resolved: ResolvedSpec, phase: Phase) -> Iterable[Message]:
    """What is new to people, in order: what was remarked, and the finding where it is news. `phase` follows."""
    remarks = list(draft.remarks)
    if _speaks(draft, before):
        remarks.append(Remark(draft.finding.reason, draft.finding.sentence, "Warning" if _warns(draft) else "Normal"))
    for index, remark in enumerate(remarks, before.message_count + 1):
        sentence = clipped(remark.message)
        message = Message(id=str(index), type=remark.type, reason=remark.reason, message=sentence, at=now)
        severity = alerts.severity_of(remark, draft)
        names = () if _muted(remark, draft) else alerts.due(resolved.alerts, remark.reason, severity)
        names += hook_notifications.due(resolved.webhooks, remark.reason, phase)
        due = alerts.addressed(names, severity, phase, before, draft.status) if names else None
        yield message.but(alerts=due)


def _muted(remark: Remark, draft: Draft) -> bool:
    """Whether the users want no alert for the gate that is closed; the Event stays."""
    rollout = draft.status.rollout
    return remark.reason is Reason.GATE_CLOSED and rollout is not None and hooks.muted(rollout)


def _speaks(draft: Draft, before: Status) -> bool:
    """Whether its finding is news."""
    reason = draft.finding.reason
    if reason.topic is Topic.OVER:
        return isinstance(draft.finding.outcome, Close)
    return draft.loud or (reason != before.reason and reason.topic is not Topic.QUIET)


def _warns(draft: Draft) -> bool:
    """Whether the message is a warning: a rollback, a wait, or a version that serves without being judged."""
    match draft.finding.outcome:
        case RollBack():
            return True
        case Hold():
            return not draft.loud
        case Close():
            return draft.status.phase is Phase.FAILED
        case Serve(analysed=analysed):
            return not analysed
    return False
