"""Sources of evidence around Prometheus: one that asks only where that is allowed, two as one, and none at all.

A user who writes a Canary or a template names an address, and the controller asks it from elsewhere in the network.
Prefixes of addresses are compared by their parts, not as text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from canary.api.providers import PROVIDERS
from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Missing, Query, Sample
from canary.ports import Metrics

from .credentials import address

SETTING = "--allowed-metrics-servers"
VALUE = "allowedMetricsServers"
"""The same setting in the chart."""
_PORTS = {"http": 80, "https": 443}


class AddressPrefix(NamedTuple):
    """What an address leads to."""

    scheme: str
    host: str
    port: int
    path: tuple[str, ...]

    def holds(self, other: "AddressPrefix") -> bool:
        """Whether the other one is this server, at this path or below."""
        below = other.path[: len(self.path)] == self.path and not {".", ".."} & set(other.path)
        return self[:3] == other[:3] and below


@dataclass(frozen=True)
class Allowed:
    """Prefixes of addresses that may be queried: without any, no address may. Raises Invalid for one that is none."""

    prefixes: tuple[str, ...] = ()
    everything: bool = False
    """Whether any other address may be queried as well."""
    _places: tuple[AddressPrefix, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "_places", tuple(_place(one) for one in self.prefixes))
        except Invalid as error:
            raise Invalid(f"{SETTING}: {error}") from None

    def refusal(self, url: str) -> str:
        """Why it may not be queried, in a sentence; empty if it may, and for what is no address at all."""
        try:
            clean = address(url)[0]
        except Invalid:
            return ""
        if self.everything or self.names(url):
            return ""
        return f"{clean} may not be queried; to allow it, add it to the controller's {SETTING} (Helm value {VALUE})"

    def names_hook(self, url: str) -> bool:
        """The same as `names` of a webhook, whose URL may have a query."""
        return self.names(_bare(url))

    def hook_refusal(self, url: str) -> str:
        """The same as `refusal` of a webhook."""
        bare = _bare(url)
        try:
            clean = address(bare)[0]
        except Invalid:
            return "its URL can't be called"
        if self.everything or self.names(bare):
            return ""
        return f"{clean} may not be called; to allow it, add it to the controller's {SETTING} (Helm value {VALUE})"

    def names(self, url: str) -> bool:
        """Whether one of the prefixes has this address."""
        try:
            place = _place(url)
        except Invalid:
            return False
        return any(one.holds(place) for one in self._places)


def _bare(url: str) -> str:
    return url.partition("#")[0].partition("?")[0]


def _place(url: str) -> AddressPrefix:
    parts = urlsplit(address(url)[0])
    path = tuple(one for one in unquote(parts.path).split("/") if one)
    return AddressPrefix(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme], path)


@dataclass(frozen=True)
class Confined(Metrics):
    """A source of evidence that asks only where that is allowed."""

    source: Metrics
    home: str | None
    """Who is asked by queries that name no server."""
    allowed: Allowed

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """See the port; what may not be asked is denied."""
        asked = tuple(queries)
        refused = {one: why for one in asked if (why := self.allowed.refusal(self._address(one)))}
        denied = {one: Missing(Cause.DENIED, why) for one, why in refused.items()}
        rest = [one for one in asked if one not in refused]
        return {**(self.source.measure(rest, at) if rest else {}), **denied}

    def _address(self, query: Query) -> str:
        """Who is asked; empty for the API server of the cluster."""
        inside = query.provider is not None and PROVIDERS[query.provider.type].in_cluster
        return query.server or ("" if inside else self.home or "")


@dataclass(frozen=True)
class Sources(Metrics):
    """Sends each query to the source that can answer it; `counters` first, because it is near."""

    counters: Metrics
    """Answers builtins (Envoy's own, say)."""
    prometheus: Metrics
    """Answers what has PromQL or names a server."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        asked = tuple(dict.fromkeys(queries))
        builtins = [query for query in asked if query.text is None and query.server is None]
        others = [query for query in asked if query.text is not None or query.server is not None]
        near = self.counters.measure(builtins, at) if builtins else {}
        far = self.prometheus.measure(others, at) if others else {}
        return {**near, **far}


@dataclass(frozen=True)
class NoServer(Metrics):
    """A source of evidence that has none: what protects needs no evidence, and mustn't fail for want of it."""

    why: str
    """In a sentence."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        return dict.fromkeys(queries, Missing(Cause.INVALID, self.why))
