"""The settings of `canary controller`. They are checked here, so a wrong setting ends it before it starts.

A sentence about one begins with its option, `--workers: `.
"""

import math
import re
from dataclasses import dataclass, field
from datetime import timedelta

from canary.api.duration import brief
from canary.api.names import ADDRESS
from canary.controller.report_secrets import ReportSecrets
from canary.engine.errors import Invalid
from canary.kube.client import ClusterAccess
from canary.kube.lease import LeaseTerms
from canary.kube.names import check_name, check_namespace, check_selector
from canary.kube.rate_limiter import RateLimiter
from canary.metrics.credentials import address
from canary.metrics.sources import Allowed

SHORTEST_LEASE, LONGEST_LEASE = timedelta(seconds=6), timedelta(minutes=10)
MOST_WORKERS = 256
SHORTEST_RESYNC, LONGEST_RESYNC = timedelta(seconds=10), timedelta(days=1)


ALL = "*"
"""For an open list of addresses."""


@dataclass(frozen=True)
class Area:
    """The Canaries of a controller."""

    namespace: str = ""
    """One namespace; empty for all."""
    selector: str = ""
    """Labels of Canaries, in kubectl's words: a shard."""
    metrics_server: str | None = None
    """Who is asked where a Canary names no Prometheus."""
    cross_namespace: bool = False
    """Whether a Canary may move routes of other namespaces, with the controller's rights."""
    allowed_metrics_servers: str = ""
    """Prefixes of addresses that Canaries and templates may name, parted by commas or blanks; `*` for all.

    The controller's own Prometheus may always be named. If this is empty, no other address may.
    """

    def __post_init__(self) -> None:
        """Raises Invalid for an address that is none."""
        if self.metrics_server is not None:
            _check_address("--metrics-server", self.metrics_server)
        for one in (one for one in self._named if one != ALL):
            _check_address("--allowed-metrics-servers", one)

    @property
    def allowed(self) -> Allowed:
        """What may be asked; the controller's own Prometheus always."""
        named = [one for one in (*self._named, self.metrics_server) if one and one != ALL]
        return Allowed(tuple(named), everything=ALL in self._named)

    @property
    def _named(self) -> tuple[str, ...]:
        return tuple(self.allowed_metrics_servers.replace(",", " ").split())


@dataclass(frozen=True)
class Settings:
    """Of one replica. Raises Invalid for what can't be."""

    access: ClusterAccess
    area: Area
    listen: str
    """HOST:PORT of metrics and probes."""
    lease: str
    """Name of the Lease by which replicas elect their leader."""
    lease_namespace: str
    lease_duration: timedelta
    workers: int
    """Rollouts that are reconciled side by side."""
    resync: timedelta
    """How often Canaries at rest are reconciled without an event."""
    qps: float
    burst: int
    action_policy: str
    """Name of the ValidatingAdmissionPolicy that proves the authors of actions; empty for none."""
    cluster_name: str = ""
    """Name of the cluster in alerts."""
    report_secrets: ReportSecrets = field(default_factory=ReportSecrets)
    """Who may report alerts; no client unless one is set."""

    def __post_init__(self) -> None:
        self._check_names()
        _check_listen(self.listen)
        if not 1 <= self.workers <= MOST_WORKERS:
            raise Invalid(f"--workers: {self.workers} isn't from 1 to {MOST_WORKERS}")
        if not (self.qps > 0 and math.isfinite(self.qps)):
            raise Invalid(f"--qps: {self.qps:g} isn't a number above 0")
        if self.burst < 1:
            raise Invalid(f"--burst: {self.burst} isn't at least 1")
        _check_between("--resync", self.resync, SHORTEST_RESYNC, LONGEST_RESYNC)
        _check_between("--lease-duration", self.lease_duration, SHORTEST_LEASE, LONGEST_LEASE)
        if self.lease_duration % timedelta(seconds=1):
            raise Invalid(f"--lease-duration: {brief(self.lease_duration)} isn't whole seconds")

    def _check_names(self) -> None:
        """Those that may be empty are for none, or for all."""
        check_name("--lease", self.lease)
        check_namespace("--lease-namespace", self.lease_namespace)
        if self.area.namespace:
            check_namespace("--namespace", self.area.namespace)
        if self.area.selector:
            check_selector("--selector", self.area.selector)
        if self.action_policy:
            check_name("--action-policy", self.action_policy)

    @property
    def rate_limiter(self) -> RateLimiter:
        """How fast the API server is asked."""
        return RateLimiter(self.qps, self.burst)

    @property
    def terms(self) -> LeaseTerms:
        """For the leader: it may write for two thirds of the Lease; the rest is for a running request."""
        seconds = int(self.lease_duration.total_seconds())
        return LeaseTerms(seconds, deadline=seconds * 2 / 3, every=min(2.0, seconds / 6), request=seconds / 3)


def _check_address(option: str, url: str) -> None:
    """Raises Invalid, without the passwords that an address may hold."""
    try:
        address(url)
    except Invalid as error:
        shown = re.sub(r"\?.*", "?***", re.sub(r"^(\w+://)?.*@", r"\1***@", url))
        meant = f"http://{shown}"
        hint = f"; did you mean {meant}?" if re.fullmatch(ADDRESS, meant) else ""
        raise Invalid(f"{option}: {shown!r} can't be asked: {error}{hint}") from None


def _check_listen(text: str) -> None:
    from canary.web import DEFAULT, parsed  # imports an HTTP server, which the other commands don't need

    try:
        parsed(text)
    except Invalid as error:
        host, _, port = DEFAULT.partition(":")
        meant = f"{host}:{text}" if text.isdigit() else f"{text}:{port}"
        hint = f"; did you mean {meant}?" if text and ":" not in text else ""
        raise Invalid(f"--listen: {error}{hint}") from None


def _check_between(option: str, value: timedelta, least: timedelta, most: timedelta) -> None:
    if not least <= value <= most:
        raise Invalid(f"{option}: {brief(value)} isn't from {brief(least)} to {brief(most)}")
