"""Two sources as one: builtins from wherever requests are counted, queries of the user's from Prometheus."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from canary.engine.observed import Query, Sample


class Source(Protocol):
    """Whatever answers queries."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """An answer for each query, over the window that ends at `at`."""


class Sources:
    """Sends each query to the source that can answer it; `counters` first, because it is near."""

    def __init__(self, counters: Source, prometheus: Source) -> None:
        """`counters` answers builtins (Envoy's own, say); `prometheus` what has PromQL or names a server."""
        self._counters = counters
        self._prometheus = prometheus

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """An answer for each query, over the window that ends at `at`."""
        asked = tuple(dict.fromkeys(queries))
        builtins = [query for query in asked if query.text is None and query.server is None]
        others = [query for query in asked if query.text is not None or query.server is not None]
        near = self._counters.measure(builtins, at) if builtins else {}
        far = self._prometheus.measure(others, at) if others else {}
        return {**near, **far}
