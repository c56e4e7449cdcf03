"""Alerts of all Canaries of a controller: one queue, and AlertProviders read by name when an alert is sent."""

from collections.abc import Callable
from dataclasses import dataclass, field

from canary.alerts.alert_queue import AlertQueue
from canary.alerts.canary_alerts import CanaryAlerts
from canary.alerts.receiver import Receiver, of_provider
from canary.api.analysis import Alert
from canary.engine.resolved import ResolvedSpec
from canary.kube.client import Client
from canary.kube.names import NamespacedName


@dataclass
class Alerting:
    """Alerts go out from the leader."""

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
