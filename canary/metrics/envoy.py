"""Evidence from Envoy's own counters: exact, aware of restarts, and without a Prometheus.

A thread takes a snapshot of the counters every scrape interval, and every evaluation takes one of its own; windows
are differences between two of them (`History`; `canary/envoy/stats.py` says what counts as a request).

Counters are kept as if Envoy had never restarted: a new life counts on from what the last one was seen to reach.
So every window is a plain difference, and windows that tile lose and repeat nothing but what a dying Envoy
counted after it was last looked at.
"""

import logging
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Value
from canary.envoy.admin import Admin, Unanswered, stat_name
from canary.envoy.stats import PATTERN, Requests, StatsReading, Times, around, readings
from canary.ports import Metrics


@dataclass
class History:
    """What was counted in the last `keep`, by cluster; an idle cluster costs nothing. To be locked by its owner."""

    keep: timedelta
    gap: timedelta
    """What was read at one time stands for the moments up to this long after it, and for none later."""
    _times: list[datetime] = field(default_factory=list)
    _totals: dict[str, list[tuple[datetime, StatsReading]]] = field(default_factory=dict)
    """Of each cluster, when its total changed, and to what."""
    _partial: list[datetime] = field(default_factory=list)
    """Times at which the counters of some cluster couldn't be used."""
    _boot: str = ""
    _raw: dict[str, StatsReading] = field(default_factory=dict)

    def add(self, at: datetime, boot: str, raw: Mapping[str, StatsReading], whole: bool = True) -> None:
        """`raw` is since Envoy's start; `boot` tells two lives of Envoy apart. A clock that was set back makes what
        came before useless. Unless it is `whole`, `raw` lacks clusters that Envoy has."""
        if self.latest is not None and at < self.latest:
            self._times.clear()
            self._totals.clear()
            self._partial.clear()
        for cluster, now in raw.items():
            self._count(cluster, at, now, same_life=boot == self._boot)
        self._boot, self._raw = boot, {**self._raw, **raw}
        self._times.append(at)
        if not whole:
            self._partial.append(at)
        self._forget(at)

    @property
    def latest(self) -> datetime | None:
        """When the counters were read last."""
        return self._times[-1] if self._times else None

    def window(self, cluster: str, start: datetime, end: datetime) -> StatsReading | Missing:
        """What was counted in between; Missing(NOT_YET) where that wasn't watched all the time."""
        last, first = self._read_at(end), self._read_at(start)
        if isinstance(last, Missing):
            return last
        if isinstance(first, Missing):
            return first
        before, after = (self._total(cluster, moment) for moment in (first, last))
        if before is None or after is None:
            return Missing(Cause.NOT_YET, f"{cluster} is counted only since a moment ago")
        return after.minus(before)

    def snapshots(self, start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
        """When all clusters were read for this window; None where some of them have older counts."""
        first, last = self._read_at(start), self._read_at(end)
        if isinstance(first, Missing) or isinstance(last, Missing) or {first, last} & set(self._partial):
            return None
        return first, last

    def _read_at(self, moment: datetime) -> datetime | Missing:
        """When the counters were read last, at the moment or before it."""
        index = bisect_right(self._times, moment)
        if index == 0:
            since = f"since {self._times[0]:%H:%M:%S}" if self._times else "not yet"
            return Missing(Cause.NOT_YET, f"Envoy's counters were read {since}, and {moment:%H:%M:%S} is needed")
        found = self._times[index - 1]
        if moment - found > self.gap:
            between = f"between {found:%H:%M:%S} and {moment:%H:%M:%S}"
            return Missing(Cause.NOT_YET, f"Envoy's counters weren't read {between}")
        return found

    def _total(self, cluster: str, moment: datetime) -> StatsReading | None:
        totals = self._totals.get(cluster, [])
        index = bisect_right(totals, moment, key=lambda one: one[0])
        return totals[index - 1][1] if index else None

    def _count(self, cluster: str, at: datetime, now: StatsReading, same_life: bool) -> None:
        """Adds to the total what came since; a first reading is a total by itself."""
        totals = self._totals.setdefault(cluster, [])
        if not totals:
            totals.append((at, now))
            return
        total = totals[-1][1]
        since = now.minus(self._raw[cluster]) if same_life else now
        if any(since.counters) or since.times.bins or since.copy_times.bins:
            totals.append((at, _sharing(total.plus(since), total)))

    def _forget(self, now: datetime) -> None:
        """Drops what is too old, and keeps what stands for the oldest moment that may be asked for."""
        oldest = now - self.keep
        del self._times[: max(0, bisect_right(self._times, oldest) - 1)]
        del self._partial[: max(0, bisect_right(self._partial, oldest) - 1)]
        for totals in self._totals.values():
            del totals[: max(0, bisect_right(totals, oldest, key=lambda one: one[0]) - 1)]


def _sharing(new: StatsReading, old: StatsReading) -> StatsReading:
    """The same, with the bins (most of its size) taken from the last reading where they are equal."""
    return replace(new, times=_same_bins(new.times, old.times), copy_times=_same_bins(new.copy_times, old.copy_times))


def _same_bins(new: Times, old: Times) -> Times:
    return replace(new, bins=old.bins) if new.bins == old.bins else new


BUILTINS = ("request-success-rate", "request-duration", "requests")
SECOND = timedelta(seconds=1)
LONGEST = timedelta(hours=1)
"""What a window may be."""

_log = logging.getLogger(__name__)


class EnvoyCounters(Metrics):
    """The port Metrics on one Envoy. A context manager: inside of it snapshots are taken.

    An hour of snapshots, one a second, takes up to 10 MiB for each cluster with traffic, and nothing for idle ones.
    """

    def __init__(
        self,
        admin: Admin,
        interval: timedelta = SECOND,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`interval` between snapshots."""
        self._admin = admin
        self._interval = interval
        self._now = now
        self._history = History(keep=LONGEST + interval, gap=3 * interval)
        self._there: frozenset[str] = frozenset()
        self._strange: Mapping[str, Missing] = {}
        """Clusters whose counters couldn't be used the last time."""
        self._failure: Missing | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="envoy-counters", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        """Fresh counters for an evaluation, kept under the evaluation's own time so that the next window begins right
        there."""
        now, latest = self._now(), self._history.latest
        if now - at > self._interval or (latest is not None and latest >= at and self._failure is None):
            return None
        return self._take(min(at, now) if latest is None or latest < at else now)

    def _take(self, at: datetime) -> Missing | None:
        """One snapshot. What happens in a restart between two calls would be counted twice: hence the second boot."""
        try:
            boot = self._boot()
            answer = self._admin.stats(PATTERN, histogram_buckets="detailed")
            if self._boot() != boot:
                raise Unanswered(Cause.UNAVAILABLE, "Envoy restarted while its counters were read")
            found = readings(answer)
        except Unanswered as error:
            return self._failed(error.missing)
        self._there, self._failure = frozenset(found), None
        self._strange = {cluster: one for cluster, one in found.items() if isinstance(one, Missing)}
        counted = {cluster: one for cluster, one in found.items() if isinstance(one, StatsReading)}
        self._history.add(at, boot, counted, whole=not self._strange)
        return None

    def _failed(self, missing: Missing) -> Missing:
        if self._failure is None or self._failure.cause is not missing.cause:
            _log.warning("Envoy's counters can't be read: %s", missing)
        self._failure = missing
        return missing

    def _boot(self) -> str:
        """When Envoy read its bootstrap: another time for each of its lives."""
        return str([one.get("last_updated") for one in self._admin.dump(mask="bootstrap.node.id,last_updated")])

    def _answer(self, query: Query, at: datetime, failure: Missing | None) -> Sample:
        if query.text is not None or query.metric not in BUILTINS:
            return Missing(Cause.INVALID, f"Envoy's own counters answer {', '.join(BUILTINS)}; name a metricsServer")
        if failure is not None:
            return failure
        cluster = stat_name(query.subject.workload)
        if cluster not in self._there:
            return Missing(Cause.ABSENT, f"Envoy has no cluster {query.subject.workload}")
        if cluster in self._strange:
            return self._strange[cluster]
        start = at - query.window
        window = self._history.window(cluster, start, at)
        if isinstance(window, Missing):
            return self._failure or window
        return _sample_of(query, window, self._history.snapshots(start, at))


def _sample_of(query: Query, window: StatsReading, snapshots: tuple[datetime, datetime] | None) -> Sample:
    requests = Requests.of(window)
    if query.shape is Shape.COUNTS:
        edges = sorted({one for asked in query.edges for one in around(asked)})
        slower = tuple((edge, requests.slower(edge)) for edge in edges)
        timed = requests.timed_total if edges else 0
        return Counts(requests.total, requests.bad, slower, timed=timed, snapshots=snapshots)
    if not requests.total:
        return Missing(Cause.EMPTY, f"no request to {query.subject.workload} was answered")
    if query.metric == "request-duration":
        p99 = requests.quantile(0.99)
        return Missing(Cause.EMPTY, "no request has ended yet") if p99 is None else Value(p99)
    return Value(requests.success_rate if query.metric == "request-success-rate" else requests.total)
