"""Alerts of a run, to the receivers that its command names: `canary run --notify URL`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from canary.alerts.alert_queue import AlertQueue
from canary.alerts.canary_alerts import CanaryAlerts
from canary.alerts.receiver import of_url
from canary.api.analysis import Alert, ProviderRef
from canary.api.status import Version
from canary.engine.errors import Invalid
from canary.engine.observed import Missing
from canary.engine.resolved import ResolvedSpec
from canary.ports import Target
from canary.webhooks.notifications import beside

from .site import Run


@dataclass(frozen=True)
class AlertingTarget(Target):
    """A target whose alerts are those of the command: only a controller reads AlertProviders."""

    target: Target
    alerts: tuple[Alert, ...]

    def resolved(self) -> ResolvedSpec:
        """See the port."""
        return replace(self.target.resolved(), alerts=self.alerts)

    def desired_version(self) -> Version | Missing:
        return self.target.desired_version()


def alerting(run: Run, urls: Sequence[str]) -> Run:
    """The run with its alerts. Raises Invalid for a URL that can't be used, without the URL."""
    receivers = {}
    for number, url in enumerate(urls, 1):
        try:
            receivers[f"notify-{number}"] = of_url(url)
        except Invalid as error:
            raise Invalid(f"--notify: {error}") from None
    alerts = tuple(Alert(name=name, severity="info", provider_ref=ProviderRef(name=name)) for name in receivers)
    target = AlertingTarget(run.parts.target, alerts)
    sender = CanaryAlerts(
        queue=AlertQueue(),
        uid=run.name,
        resolved=target.resolved,
        receiver=lambda alert, namespace: receivers[alert.name],
        howto=run.howto,
    )
    return replace(run, parts=replace(run.parts, target=target, alerts=beside(run.parts.alerts, sender)))
