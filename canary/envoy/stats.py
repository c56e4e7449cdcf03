"""What Envoy counts for a cluster, parsed from /stats, and what the counts mean. Pure; `canary/metrics/envoy.py`
remembers them.

A request is counted once, when its answer is known, from any source: the cluster, or Envoy itself for a time-out,
a reset, or no endpoint (those are 5xx, too). `upstream_rq_total` would be wrong here: it counts tries.
Copies that mirroring makes are counted apart: Envoy marks them internal, and clients external
(https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats).
"""

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from canary.engine.observed import Cause, Missing

BEYOND = 3_600_000.0
"""Milliseconds that stand for a request without any answer in time: the last finite edge of Envoy's histograms.
Prometheus' histogram_quantile, too, gives that edge for a quantile that lies beyond it."""

_GRPC_FAILURES = ("2", "4", "12", "13", "14", "15")
"""The server's fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS, after
OpenTelemetry's semantic conventions for gRPC servers. NOT_FOUND is no failure, just as 404 is none."""


_EXISTS = ".membership_total"
"""The one of our statistics that every cluster has from its beginning."""
PATTERN = (
    r"^cluster\.(.+)\.((external|internal)\.upstream_rq_(completed|5xx|time)|upstream_rq_(per_try_)?timeout"
    rf"|grpc\.(total|{'|'.join(_GRPC_FAILURES)})|membership_total)$"
)
"""The expression that finds all clusters' statistics."""


class Counters(NamedTuple):
    """Requests of one cluster since Envoy started, or in a window."""

    completed: int = 0
    failed: int = 0
    """5xx, Envoy's own answers included."""
    copies: int = 0
    failed_copies: int = 0
    grpc: int = 0
    """Calls that the filter grpc_stats saw; 0 without that filter."""
    failed_grpc: int = 0
    timeouts: int = 0
    """Tries that ran into a time-out, copies included."""


@dataclass(frozen=True)
class Times:
    """How many requests took how long: Envoy's fine bins, two significant digits wide."""

    bins: tuple[tuple[float, float], ...] = ()
    """(lower bound, width) in milliseconds, rising; shared between snapshots."""
    counts: "array[int]" = field(default_factory=lambda: array("Q"))

    @classmethod
    def of(cls, counted: Mapping[tuple[float, float], int]) -> "Times":
        """From counts by bin."""
        bins = tuple(sorted(counted))
        return cls(bins, array("Q", [counted[one] for one in bins]))

    def by_bin(self) -> dict[tuple[float, float], int]:
        """Counts by bin."""
        return dict(zip(self.bins, self.counts, strict=True))

    def plus(self, other: "Times") -> "Times":
        """Both together."""
        mine = self.by_bin()
        for one, count in other.by_bin().items():
            mine[one] = mine.get(one, 0) + count
        return Times.of(mine)

    def minus(self, earlier: "Times") -> "Times":
        """What came since; a histogram that was reset in between counts from zero."""
        before = earlier.by_bin()
        rest = {one: count - before.pop(one, 0) for one, count in self.by_bin().items()}
        return self if before or min(rest.values(), default=0) < 0 else Times.of({k: v for k, v in rest.items() if v})

    def total(self) -> int:
        """Requests with a time."""
        return sum(self.counts)


@dataclass(frozen=True)
class StatsReading:
    """All that is known of one cluster at one time, or of a window."""

    counters: Counters = field(default_factory=Counters)
    times: Times = field(default_factory=Times)
    copy_times: Times = field(default_factory=Times)

    def plus(self, other: "StatsReading") -> "StatsReading":
        """Both together."""
        counters = Counters(*(a + b for a, b in zip(self.counters, other.counters, strict=True)))
        return StatsReading(counters, self.times.plus(other.times), self.copy_times.plus(other.copy_times))

    def minus(self, earlier: "StatsReading") -> "StatsReading":
        """What came since; a counter that was reset in between counts from zero."""
        pairs = zip(self.counters, earlier.counters, strict=True)
        counters = Counters(*(now - then if now >= then else now for now, then in pairs))
        return StatsReading(counters, self.times.minus(earlier.times), self.copy_times.minus(earlier.copy_times))


@dataclass(frozen=True)
class Requests:
    """The requests of a window that judge a version."""

    total: int
    bad: int
    timed: Times
    untimed: int
    """Ran into their time-out, for which Envoy records no time: slower than anything."""

    @classmethod
    def of(cls, window: StatsReading) -> "Requests":
        """The clients'; where there were none, the copies, so that a step which only mirrors has evidence."""
        counted = window.counters
        if counted.completed or not counted.copies:
            return cls._of(counted, counted.completed, counted.failed, window.times, counted.failed_grpc)
        return cls._of(counted, counted.copies, counted.failed_copies, window.copy_times, 0)

    @classmethod
    def _of(cls, counted: Counters, total: int, failed: int, times: Times, failed_grpc: int) -> "Requests":
        """Answers that still stream, or whose time Envoy hasn't flushed yet, lack a time as well: they aren't slow,
        hence no more than those that timed out. A gRPC call that Envoy answered itself failed in both counts."""
        untimed = min(max(total - times.total(), 0), failed, counted.timeouts)
        return cls(total, min(max(failed, failed_grpc), total), times, untimed)

    @property
    def success_rate(self) -> float:
        """Per cent of requests that didn't fail; there must be one."""
        return 100 * (self.total - self.bad) / self.total

    @property
    def timed_total(self) -> int:
        """Requests of which it is known how long they took: those without a time took longer than anything."""
        return self.timed.total() + self.untimed

    def slower(self, edge: float) -> int:
        """Requests that took `edge` milliseconds or more; exact for the edges that `around` gives."""
        return self.untimed + sum(count for (low, _), count in self.timed.by_bin().items() if low >= edge)

    def quantile(self, share: float) -> float | None:
        """Milliseconds, by linear interpolation within a bin, as Prometheus' histogram_quantile does it
        (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile); `BEYOND` where it
        lies among those without a time, None where no request has ended."""
        rank, before = share * (self.timed.total() + self.untimed), 0
        if rank == 0:
            return None
        for (low, width), count in self.timed.by_bin().items():
            if before + count >= rank:
                return low + width * (rank - before) / count
            before += count
        return BEYOND


def around(edge: float) -> tuple[float, ...]:
    """The bounds of Envoy's bins next to `edge` milliseconds, below and above; one if it is such a bound.

    Bins are two significant digits wide, and the lowest begins at 0
    (https://github.com/openhistogram/libcircllhist).
    """
    if edge <= 0:
        return (0.0,)
    exact = Decimal(repr(edge))
    digits = Decimal(1).scaleb(exact.adjusted() - 1)
    low = exact // digits * digits
    return (float(low),) if low == exact else (float(low), float(low + digits))


def readings(answer: Mapping[str, Any]) -> dict[str, StatsReading | Missing]:
    """By cluster, as statistics spell its name, from /stats?format=json&histogram_buckets=detailed.

    A statistic that can't be used costs only the reading of its own cluster.
    """
    counts = values(answer)
    times = {
        one["name"]: one
        for block in answer["stats"]
        for one in _details(block)
        if isinstance(one, dict) and isinstance(one.get("name"), str)
    }
    found = dict[str, StatsReading | Missing]()
    for name in counts:
        if name.endswith(_EXISTS):
            prefix = name.removesuffix(_EXISTS) + "."
            found[prefix[len("cluster.") : -1]] = _reading(prefix, counts, times)
    return found


def _reading(prefix: str, counts: Mapping[str, Any], times: Mapping[str, Any]) -> StatsReading | Missing:
    try:
        slow, copies = (
            _times(times[name]) if (name := f"{prefix}{one}.upstream_rq_time") in times else Times()
            for one in ("external", "internal")
        )
        return StatsReading(_counters(prefix, counts), slow, copies)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return Missing(Cause.RUBBISH, f"statistics of {prefix}* that aren't as they should be: {error!r:.200}")


def values(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Value by full name, of counters, gauges and texts."""
    found = [one for one in answer["stats"] if isinstance(one, dict) and isinstance(one.get("name"), str)]
    return {one["name"]: one["value"] for one in found if "value" in one}


def _counters(prefix: str, counts: Mapping[str, int]) -> Counters:
    """Envoy creates counters with their first request: one that isn't there is 0."""

    def count(name: str) -> int:
        found = int(counts.get(prefix + name, 0))
        if not 0 <= found < 2**64:
            raise ValueError(f"{name} is not between 0 and 2**64")
        return found

    return Counters(
        completed=count("external.upstream_rq_completed"),
        failed=count("external.upstream_rq_5xx"),
        copies=count("internal.upstream_rq_completed"),
        failed_copies=count("internal.upstream_rq_5xx"),
        grpc=count("grpc.total"),
        failed_grpc=sum(count(f"grpc.{code}") for code in _GRPC_FAILURES),
        timeouts=count("upstream_rq_timeout") + count("upstream_rq_per_try_timeout"),
    )


def _details(block: object) -> list[Any]:
    histograms = block.get("histograms") if isinstance(block, dict) else None
    details = histograms.get("details") if isinstance(histograms, dict) else None
    return details if isinstance(details, list) else []


def _times(histogram: Mapping[str, Any]) -> Times:
    counted = {(float(one["lower_bound"]), float(one["width"])): int(one["count"]) for one in histogram["totals"]}
    if not all(low >= 0 and width >= 0 and math.isfinite(low + width) for low, width in counted):
        raise ValueError("a histogram with edges that no duration has")
    return Times.of(counted)
