"""Calls the hooks that are notifications, beside alerts: in the background, and at least once."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

from canary.api.status import Message
from canary.api.webhooks import Webhook
from canary.engine import notifications
from canary.engine.errors import Conflict
from canary.engine.observed import HookCall
from canary.engine.resolved import ResolvedSpec
from canary.ports import Alerts

from .calls import HookCalls
from .exchange import Response

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HookNotifications(Alerts):
    """The port Alerts for the hooks of one Canary, in front of its alerts."""

    calls: HookCalls
    """Its other hooks, whose threads and credentials are used."""
    resolved: Callable[[], ResolvedSpec]
    alerts: Alerts | None = None
    """Sends the alerts; None sends none."""
    leads: Callable[[], None] = lambda: None
    """Raises Conflict if another process calls the hooks now."""
    _over: dict[str, bool] = field(default_factory=dict)
    """By id of the call, whether it is over."""
    _lock: Lock = field(default_factory=Lock)

    def deliver(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """See the port. A hook that was deleted from the spec isn't called any more."""
        others = [
            _due(one, [key for key in _keys(one) if not key.startswith(notifications.MARK)]) for one in messages
        ]
        left = others if self.alerts is None else self.alerts.deliver(others)
        alerts = [() if self.alerts is None else _keys(one) for one in left]
        hooks = [self._left(one) for one in messages]
        with self._lock:
            named = {_id(one, key) for one in messages for key in _keys(one)}
            for gone in self._over.keys() - named:
                del self._over[gone]
        return tuple(_due(one, [*theirs, *ours]) for one, theirs, ours in zip(messages, alerts, hooks, strict=True))

    def _left(self, message: Message) -> list[str]:
        """The hooks that are still to be called for a message."""
        due = [key for key in _keys(message) if key.startswith(notifications.MARK)]
        if not due:
            return []
        resolved = self.resolved()
        known = notifications.by_key(resolved.webhooks)
        return [key for key in due if key in known and not self._called(message, resolved, key, known[key])]

    def _called(self, message: Message, resolved: ResolvedSpec, key: str, hook: Webhook) -> bool:
        """Whether the call is over; else it is under way."""
        id_ = _id(message, key)
        with self._lock:
            if id_ in self._over:
                return self._over[id_]
            self._over[id_] = False
        payload = notifications.posted(resolved.manifest, message, hook)
        about = f"{self.calls.namespace}/{resolved.manifest.metadata.name}: the webhook {hook.name} ({hook.type})"

        def done(answer: Response) -> None:
            if not answer.passed:
                log.warning("%s failed: %s", about, answer.detail)
            with self._lock:
                self._over[id_] = True
            self.calls.answered()  # a reconcile saves that the call is over

        self.calls.notify(HookCall(id_, hook, payload), self._wanted, done)
        return False

    def _wanted(self) -> bool:
        try:
            self.leads()
        except Conflict:
            return False
        return True


def beside(alerts: Alerts | None, sender: Alerts) -> Alerts:
    """The hooks of a run together with its alerts."""
    return replace(alerts, alerts=sender) if isinstance(alerts, HookNotifications) else sender


def _keys(message: Message) -> Sequence[str]:
    return () if message.alerts is None else message.alerts.due


def _due(message: Message, keys: Sequence[str]) -> Message:
    """The message with these alerts and hooks left."""
    if message.alerts is None or tuple(keys) == message.alerts.due:
        return message
    return message.but(alerts=message.alerts.but(due=tuple(keys)) if keys else None)


def _id(message: Message, key: str) -> str:
    return f"{message.id}/{message.at.isoformat()}/{key}"
