"""Evidence from Envoy's own counters: exact, aware of restarts, and without a Prometheus.

A thread takes a snapshot of the counters every scrape interval, and every look takes one of its own; windows are
differences between two of them (`canary/envoy/history.py`; `stats.py` says what counts as a request).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from canary.engine.observed import Counts, Kind, Missing, Query, Sample, Shape, Value
from canary.envoy.admin import Admin, Unanswered, stat_name
from canary.envoy.history import History
from canary.envoy.stats import Reading, Requests, pattern, readings

BUILTINS = ("request-success-rate", "request-duration", "requests")
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)

_log = logging.getLogger(__name__)


def _utc() -> datetime:
    return datetime.now(UTC)


class EnvoyCounters:
    """The port Metrics on one Envoy. A context manager: inside of it snapshots are taken.

    An hour of snapshots, one a second, takes up to 10 MiB for each cluster with traffic, and nothing for idle ones.
    """

    def __init__(
        self,
        admin: Admin,
        interval: timedelta = SECOND,
        *,
        clusters: Iterable[str] = (),
        keep: timedelta = HOUR,
        now: Callable[[], datetime] = _utc,
    ) -> None:
        """`interval` between snapshots; `clusters` are those that count, all unless given; `keep` bounds windows."""
        self._admin = admin
        self._pattern = pattern(clusters)
        self._interval = interval
        self._now = now
        self._history = History(keep=keep + interval, gap=3 * interval)
        self._there: frozenset[str] = frozenset()
        self._failure: Missing | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="envoy-counters", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Takes snapshots from now on."""
        self._thread.start()

    def close(self) -> None:
        """Takes no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """An answer for each query. One snapshot serves all that ask for the same time."""
        asked = tuple(queries)
        with self._lock:
            failure = self._look(at)
            return {query: self._answer(query, at, failure) for query in asked}

    def _sample(self) -> None:
        """Until closed: one snapshot an interval, also when one took long."""
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            with self._lock:
                self._take(self._now())
            due = max(due + self._interval.total_seconds(), time.monotonic())

    def _look(self, at: datetime) -> Missing | None:
        """Fresh counters for a look, kept under the look's own time so that the next window begins right there."""
        now, latest = self._now(), self._history.latest
        if now - at > self._interval or (latest is not None and latest >= at and self._failure is None):
            return None
        return self._take(min(at, now) if latest is None or latest < at else now)

    def _take(self, at: datetime) -> Missing | None:
        """One snapshot. What happens in a restart between two calls would be counted twice: hence the second boot."""
        try:
            boot = self._boot()
            answer = self._admin.stats(self._pattern, histogram_buckets="detailed")
            if self._boot() != boot:
                raise Unanswered(Kind.UNAVAILABLE, "Envoy restarted while its counters were read")
            found = readings(answer)
        except Unanswered as error:
            return self._failed(error.missing)
        except (KeyError, TypeError, ValueError) as error:
            return self._failed(Missing(Kind.RUBBISH, f"Envoy's statistics aren't as they should be: {error!r}"))
        self._there, self._failure = frozenset(found), None
        self._history.add(at, boot, found)
        return None

    def _failed(self, missing: Missing) -> Missing:
        if self._failure is None or self._failure.kind is not missing.kind:
            _log.warning("Envoy's counters can't be read: %s", missing)
        self._failure = missing
        return missing

    def _boot(self) -> str:
        """When Envoy read its bootstrap: another time for each of its lives."""
        return str([one.get("last_updated") for one in self._admin.dump(mask="bootstrap.node.id,last_updated")])

    def _answer(self, query: Query, at: datetime, failure: Missing | None) -> Sample:
        if not _known(query):
            return Missing(Kind.INVALID, f"Envoy's own counters answer {', '.join(BUILTINS)}; name a metricsServer")
        if failure is not None:
            return failure
        cluster = stat_name(query.subject.workload)
        if cluster not in self._there:
            return Missing(Kind.ABSENT, f"Envoy has no cluster {query.subject.workload}")
        window = self._history.window(cluster, at - query.window, at)
        if isinstance(window, Missing):
            return self._failure or window
        return _sample_of(query, window)


def _known(query: Query) -> bool:
    return query.text is None and query.metric in BUILTINS


def _sample_of(query: Query, window: Reading) -> Sample:
    requests = Requests.of(window)
    if not requests.total:
        return Missing(Kind.EMPTY, f"no request to {query.subject.workload} was answered")
    if query.shape is Shape.COUNTS:
        slower = tuple((edge, requests.slower(edge)) for edge in query.edges)
        return Counts(requests.total, requests.bad, slower)
    if query.metric == "request-duration":
        p99 = requests.quantile(0.99)
        return Missing(Kind.EMPTY, "no request has ended yet") if p99 is None else Value(p99)
    return Value(requests.success_rate if query.metric == "request-success-rate" else requests.total)
