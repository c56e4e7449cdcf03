"""The messages of a decision for users, kept until they are delivered. Pure.

Webhooks of the types `event` (each message) and `post-rollout` (the end) are due with a message of the outbox, as
alerts are, and stay in it until they were called: a crash loses none.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zlib import crc32

from canary.api.canary import Canary
from canary.api.reason import Reason, Topic
from canary.api.status import DueAlerts, Message, Phase, Status
from canary.api.webhooks import HookType, Webhook

from . import alerts, hooks
from .outcome import Close, Draft, Hold, Remark, RollBack, Serve, clipped
from .resolved import ResolvedSpec

OUTBOX = 20
"""The largest number of messages that wait for delivery."""
ROOM = 1400
"""Characters that they say together, so that a status stays small when people and servers say much."""
MARK = "webhook/"
"""How the key of a hook begins, among the keys of alerts."""
ENDS = (Phase.SUCCEEDED, Phase.FAILED)
"""Phases after which `post-rollout` is called: a rollout that another one superseded isn't over for its user."""


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
        names += hooks_due(resolved.webhooks, remark.reason, phase)
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


def by_key(given: Iterable[Webhook]) -> Mapping[str, Webhook]:
    """The hooks by the keys under which they are due: short, for each message keeps its own, and not those of another
    hook that an edit put in its place."""
    return {f"{MARK}{index}/{_mark(hook)}": hook for index, hook in enumerate(given)}


def _mark(hook: Webhook) -> str:
    return f"{crc32(f'{hook.type}/{hook.name}'.encode()) & 0xFFFF:04x}"


def hooks_due(given: Iterable[Webhook], reason: Reason, phase: Phase) -> tuple[str, ...]:
    """The keys of the hooks that are called for a message."""
    over = reason.topic is Topic.OVER and phase in ENDS
    wanted = {HookType.EVENT, HookType.POST_ROLLOUT} if over else {HookType.EVENT}
    return tuple(key for key, hook in by_key(given).items() if hook.type in wanted)


def posted(canary: Canary, message: Message, hook: Webhook) -> dict[str, Any]:
    """Flagger's payload: that of an event has its message in `metadata`. Then our fields."""
    known, about = message.alerts or DueAlerts(), canary.metadata
    said = {
        "eventMessage": message.beside,
        "eventType": message.type,
        "timestamp": str(round(message.at.timestamp() * 1000)),
    }
    metadata = {**hook.metadata, **(said if hook.type == HookType.EVENT else {})}
    version, _, revision = (known.canary or known.stable).partition(" (")
    step, _, steps = known.step.partition("/")
    return {
        "name": about.name,
        "namespace": about.namespace,
        "phase": known.phase,
        "checksum": hooks.checksum(known.canary or known.stable),
        **({"metadata": metadata} if metadata else {}),
        "type": hook.type,
        "version": version,
        "revision": revision.removesuffix(")"),
        "weight": known.weight,
        "reason": message.reason.value,
        "message": message.message,
        **({"step": int(step), "steps": int(steps)} if steps else {}),
    }
