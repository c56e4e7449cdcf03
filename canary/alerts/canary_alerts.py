"""The alerts of one Canary: from the messages in its outbox to queued alerts for its receivers.

All Canaries of a controller share a queue and a client (`Alerting`).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from canary.api.analysis import Alert
from canary.api.status import Message
from canary.engine.alerts import AlertCard, card
from canary.engine.errors import Invalid
from canary.engine.resolved import ResolvedSpec
from canary.kube.client import Client
from canary.kube.names import NamespacedName
from canary.ports import Alerts

from .alert_queue import AlertQueue, QueuedAlert
from .receiver import Receiver, of_provider

HOUR, SOON = 3600.0, 300.0
"""Seconds after its message until an alert is given up; after an outage at least the latter."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CanaryAlerts(Alerts):
    """The port Alerts for one Canary, through a queue that all Canaries share."""

    queue: AlertQueue
    uid: str
    """The Canary's; a later Canary of the same name has another."""
    resolved: Callable[[], ResolvedSpec]
    receiver: Callable[[Alert, str], Receiver]
    """The receiver of an alert, for a Canary of this namespace. Raises Rejected or Unreachable."""
    howto: str
    """How a command names the rollout."""
    cluster: str = ""
    leads: Callable[[], None] = lambda: None
    """Raises Conflict if another process sends the alerts now."""
    wake: Callable[[], None] = lambda: None
    """Requests a reconcile, which saves that an alert was sent or given up."""

    def deliver(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """See the port."""
        if all(message.alerts is None for message in messages):
            return tuple(messages)
        resolved = self.resolved()
        known = {alert.key: alert for alert in resolved.alerts}
        return tuple(self._rest(message, resolved, known) for message in messages)

    def _rest(self, message: Message, resolved: ResolvedSpec, known: dict[str, Alert]) -> Message:
        alerts = message.alerts
        if alerts is None:
            return message
        left = tuple(key for key in alerts.due if key in known and not self._done(message, resolved, known[key]))
        return message if left == alerts.due else message.but(alerts=alerts.but(due=left) if left else None)

    def _done(self, message: Message, resolved: ResolvedSpec, alert: Alert) -> bool:
        about, ref = resolved.manifest.metadata, alert.provider_ref
        age = (datetime.now(UTC) - message.at).total_seconds()
        queued = QueuedAlert(
            id=(self.uid, message.id, message.at, alert.key),
            receiver=(ref.namespace or about.namespace, ref.name),
            about=f"{about.namespace}/{about.name} {message.reason}, alert {alert.name}",
            send=lambda: self._send(message, resolved, alert),
            within=max(SOON, HOUR - age),
            done=self.wake,
        )
        return self.queue.offer(queued)

    def _send(self, message: Message, resolved: ResolvedSpec, alert: Alert) -> None:
        self.leads()
        receiver = self.receiver(alert, resolved.manifest.metadata.namespace)
        shown = self._card(message, resolved, receiver)
        self.leads()
        deliver(receiver, shown)

    def _card(self, message: Message, resolved: ResolvedSpec, receiver: Receiver) -> AlertCard:
        """A template that can't be used costs no alert."""
        try:
            return card(message, resolved, self.howto, self.cluster, receiver.templates)
        except Invalid as error:
            log.warning("template of an alert not used: %s: %s", message.reason, error)
            return card(message, resolved, self.howto, self.cluster)


def deliver(receiver: Receiver, shown: AlertCard) -> None:
    """Sends a card. Raises Unreachable if a retry may help, else Rejected."""
    if receiver.type == "apprise":
        from .apprise_url import send

        send(receiver.address, shown)
        return
    from .payloads import request_for
    from .post import post  # imports requests, which takes a while

    post(request_for(receiver, shown), receiver.proxy)


@dataclass
class Alerting:
    """The alerts of a controller go out from the leader; AlertProviders are read when an alert is sent."""

    client: Client
    queue: AlertQueue = field(default_factory=AlertQueue)
    cluster: str = ""
    """Name of the cluster in alerts."""

    def of(
        self, key: NamespacedName, uid: str, leads: Callable[[], None], wake: Callable[[NamespacedName], None]
    ) -> Callable[[Callable[[], ResolvedSpec]], CanaryAlerts]:
        """The alerts of one Canary, once it is known how its spec is read."""
        namespace, name = key
        return lambda resolved: CanaryAlerts(
            queue=self.queue,
            uid=uid,
            resolved=resolved,
            receiver=self._receiver,
            howto=f"{name} -n {namespace}",
            cluster=self.cluster,
            leads=leads,
            wake=lambda: wake(key),
        )

    def _receiver(self, alert: Alert, namespace: str) -> Receiver:
        ref = alert.provider_ref
        return of_provider(self.client, ref.namespace or namespace, ref.name)
