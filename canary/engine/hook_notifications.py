"""Webhooks of the types `event` (each message) and `post-rollout` (the end), which are notifications. Pure.

They are due with a message of the outbox, as alerts are, and stay in it until they were called: a crash loses none.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

from canary.api.canary import Canary
from canary.api.reason import Reason, Topic
from canary.api.status import DueAlerts, Message, Phase
from canary.api.webhooks import HookType, Webhook

from .hooks import checksum

MARK = "webhook/"
"""How the key of a hook begins, among the keys of alerts."""
ENDS = (Phase.SUCCEEDED, Phase.FAILED)
"""Phases after which `post-rollout` is called: a rollout that another one superseded isn't over for its user."""


def by_key(hooks: Iterable[Webhook]) -> Mapping[str, Webhook]:
    """The hooks by the keys under which they are due: short, for each message keeps its own, and not those of another
    hook that an edit put in its place."""
    return {f"{MARK}{index}/{_mark(hook)}": hook for index, hook in enumerate(hooks)}


def _mark(hook: Webhook) -> str:
    return f"{crc32(f'{hook.type}/{hook.name}'.encode()) & 0xFFFF:04x}"


def due(hooks: Iterable[Webhook], reason: Reason, phase: Phase) -> tuple[str, ...]:
    """The keys of the hooks that are called for a message."""
    over = reason.topic is Topic.OVER and phase in ENDS
    wanted = {HookType.EVENT, HookType.POST_ROLLOUT} if over else {HookType.EVENT}
    return tuple(key for key, hook in by_key(hooks).items() if hook.type in wanted)


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
        "checksum": checksum(known.canary or known.stable),
        **({"metadata": metadata} if metadata else {}),
        "type": hook.type,
        "version": version,
        "revision": revision.removesuffix(")"),
        "weight": known.weight,
        "reason": message.reason.value,
        "message": message.message,
        **({"step": int(step), "steps": int(steps)} if steps else {}),
    }
