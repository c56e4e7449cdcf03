"""The sources of evidence of all Canaries: each Prometheus once, and the providers of MetricTemplates."""

import os
from collections.abc import Callable
from threading import Lock

from canary.api.canary import CanarySpec
from canary.engine.errors import Invalid
from canary.engine.observed import Missing
from canary.engine.pairs import dialect_for
from canary.kube.client import Client
from canary.metrics.credentials import NONE, from_environment
from canary.metrics.prometheus import Prometheus
from canary.metrics.promql import Dialect
from canary.metrics.providers.adapter import Providers, Routed, Surroundings, Templates
from canary.metrics.secrets import ClusterSecrets
from canary.metrics.sources import Confined, NoServer
from canary.ports import Metrics

from .settings import Area


class MetricSources:
    """Safe to share between threads."""

    def __init__(
        self, client: Client, area: Callable[[], Area], templates: Templates, asked: Callable[[Missing | None], None]
    ) -> None:
        """`asked` is called for each request, with the cause if it wasn't answered.

        Raises Invalid for credentials of the environment that contradict each other.
        """
        self._area, self._asked = area, asked
        self._own = from_environment(os.environ)
        self._prometheus: dict[tuple[str | None, str], Prometheus] = {}
        """By address and dialect."""
        self._routed: dict[tuple[str | None, str], Routed] = {}
        around = Surroundings(ClusterSecrets(client), templates, client.send)
        self._providers = Providers(around, on_request=asked, quoted=self._quoted)
        self._lock = Lock()

    def of(self, spec: CanarySpec) -> Metrics:
        """The source that a spec asks for."""
        server, dialect = key = spec.metrics_server, dialect_for(spec)
        try:
            with self._lock:
                if key not in self._prometheus:
                    known = self._own if server == self._area().metrics_server else NONE
                    self._prometheus[key] = Prometheus(server, known, Dialect(dialect), on_request=self._asked)
                    self._prometheus[key].quoted = self._quoted
                own = self._prometheus[key]
                found = self._routed.setdefault(key, Routed(own, self._providers, server))
        except Invalid as error:
            return NoServer(str(error))
        allowed = self._area().allowed
        return found if allowed.everything else Confined(found, server, allowed)

    def forget(self) -> None:
        """Lets go of servers that weren't asked since the last call of this."""
        self._providers.forget()
        with self._lock:
            for key in [one for one, each in self._prometheus.items() if not each.forget()]:
                del self._prometheus[key]
                self._routed.pop(key, None)

    def close(self) -> None:
        """Lets go of connections."""
        for each in self._prometheus.values():
            each.close()
        self._providers.close()

    def _quoted(self, server: str) -> bool:
        """Whether the administrator named the address, so its pages may be shown in the status."""
        return server == self._area().metrics_server or self._area().allowed.names(server)
