"""What `canary controller` is told. Checked here, so that a wrong setting ends it before it has begun anything."""

import math
from dataclasses import dataclass
from datetime import timedelta

from canary.engine.errors import Invalid
from canary.kube.names import check_name, check_namespace, check_selector
from canary.kube.pace import Pace
from canary.kube.tenure import Terms
from canary.metrics.allowed import Allowed
from canary.metrics.credentials import address

from .site import Place

SHORTEST_LEASE, LONGEST_LEASE = 6, 600
"""Seconds."""
MOST_WORKERS = 256
SHORTEST_RESYNC, LONGEST_RESYNC = timedelta(seconds=10), timedelta(days=1)


@dataclass(frozen=True)
class Area:
    """What a controller looks after."""

    namespace: str = ""
    """One namespace; empty for all."""
    selector: str = ""
    """Labels of Canaries, in kubectl's words: a shard."""
    metrics_server: str | None = None
    """Who is asked where a Canary names no Prometheus."""
    cross_namespace: bool = False
    """Whether a Canary may move VirtualServices of other namespaces, with the controller's rights."""
    allowed_metrics_servers: str = ""
    """Prefixes of addresses that Canaries and templates may name, parted by commas or spaces; empty for all."""

    def __post_init__(self) -> None:
        """Raises Invalid for an address that is none."""
        try:
            if self.metrics_server is not None:
                address(self.metrics_server)
        except Invalid as error:
            raise Invalid(f"metrics-server: {error}") from None

    @property
    def allowed(self) -> Allowed:
        """What may be asked; the controller's own Prometheus always. Raises Invalid."""
        named = tuple(self.allowed_metrics_servers.replace(",", " ").split())
        return Allowed((*named, *([self.metrics_server] if named and self.metrics_server else ())))


@dataclass(frozen=True)
class Settings:
    """Of one replica. Raises Invalid for what can't be."""

    place: Place
    area: Area
    listen: str
    """HOST:PORT of metrics and probes."""
    lease: str
    """Name of the Lease by which replicas elect their leader."""
    lease_namespace: str
    lease_duration: timedelta
    workers: int
    """Rollouts that are ticked side by side."""
    resync: timedelta
    """How often Canaries at rest are looked at unasked."""
    qps: float
    burst: int
    action_policy: str
    """Name of the ValidatingAdmissionPolicy that proves the authors of actions; empty for none."""

    def __post_init__(self) -> None:
        _ = self.area.allowed
        self._check_names()
        if not 1 <= self.workers <= MOST_WORKERS:
            raise Invalid(f"workers: {self.workers} isn't from 1 to {MOST_WORKERS}")
        if not (self.qps > 0 and math.isfinite(self.qps)):
            raise Invalid(f"qps: {self.qps:g} isn't a number above 0")
        if self.burst < 1:
            raise Invalid(f"burst: {self.burst} isn't at least 1")
        if not SHORTEST_RESYNC <= self.resync <= LONGEST_RESYNC:
            raise Invalid("resync: must be from 10s to 24h")
        seconds = self.lease_duration.total_seconds()
        if not SHORTEST_LEASE <= seconds <= LONGEST_LEASE or seconds != int(seconds):
            raise Invalid(f"lease-duration: must be whole seconds from {SHORTEST_LEASE}s to {LONGEST_LEASE}s")

    def _check_names(self) -> None:
        """Those that may be empty are for none, or for all."""
        check_name("lease", self.lease)
        check_namespace("lease-namespace", self.lease_namespace)
        if self.area.namespace:
            check_namespace("namespace", self.area.namespace)
        if self.area.selector:
            check_selector("selector", self.area.selector)
        if self.action_policy:
            check_name("action-policy", self.action_policy)

    @property
    def pace(self) -> Pace:
        """How fast the API server is asked."""
        return Pace(self.qps, self.burst)

    @property
    def terms(self) -> Terms:
        """Of the lead: written by for two thirds of the Lease, the rest is for a request that is under way."""
        seconds = int(self.lease_duration.total_seconds())
        return Terms(seconds, deadline=seconds * 2 / 3, every=min(2.0, seconds / 6), request=seconds / 3)
