"""What Envoy counts for a cluster, parsed from /stats, and what the counts mean. Pure; `history.py` remembers them.

A request is counted once, when its answer is known, whoever gave it: the cluster, or Envoy itself for a time-out,
a reset, or no endpoint (those are 5xx, too). `upstream_rq_total` would be wrong here: it counts tries.
Copies that mirroring makes are counted apart: Envoy marks them internal, and clients external
(https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats).
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .admin import literal

BEYOND = 3_600_000.0
"""Milliseconds that stand for a request without any answer in time: the last finite edge of Envoy's histograms.
Prometheus' histogram_quantile, too, gives that edge for a quantile that lies beyond it."""

_GRPC_FAILURES = ("2", "4", "12", "13", "14", "15")
"""The server's fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS, after
OpenTelemetry's semantic conventions for gRPC servers. NOT_FOUND is no failure, just as 404 is none."""


_EXISTS = ".membership_total"
"""The one of our statistics that every cluster has from its beginning."""


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
class Reading:
    """All that is known of one cluster at one time, or of a window."""

    counters: Counters = field(default_factory=Counters)
    times: Times = field(default_factory=Times)
    copy_times: Times = field(default_factory=Times)

    def plus(self, other: "Reading") -> "Reading":
        """Both together."""
        counters = Counters(*(a + b for a, b in zip(self.counters, other.counters, strict=True)))
        return Reading(counters, self.times.plus(other.times), self.copy_times.plus(other.copy_times))

    def minus(self, earlier: "Reading") -> "Reading":
        """What came since; a counter that was reset in between counts from zero."""
        pairs = zip(self.counters, earlier.counters, strict=True)
        counters = Counters(*(now - then if now >= then else now for now, then in pairs))
        return Reading(counters, self.times.minus(earlier.times), self.copy_times.minus(earlier.copy_times))


@dataclass(frozen=True)
class Requests:
    """The requests of a window that judge a version."""

    total: int
    bad: int
    timed: Times
    untimed: int
    """Ran into their time-out, for which Envoy records no time: slower than anything."""

    @classmethod
    def of(cls, window: Reading) -> "Requests":
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

    def slower(self, edge: float) -> int:
        """Requests that took `edge` milliseconds or more; exact for edges of two significant digits, others go up
        to the next of those."""
        above = sum(count for (low, _), count in self.timed.by_bin().items() if low >= edge)
        return min(above + self.untimed, self.total)

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


def pattern(clusters: Iterable[str]) -> str:
    """The expression that finds all of these clusters' statistics; every cluster's, where none is named."""
    names = "|".join(literal(one) for one in sorted(clusters)) or ".+"
    grpc = "|".join(("total", *_GRPC_FAILURES))
    requests = rf"(external|internal)\.upstream_rq_(completed|5xx|time)|upstream_rq_(per_try_)?timeout|grpc\.({grpc})"
    return rf"^cluster\.({names})\.({requests}|membership_total)$"


def readings(answer: Mapping[str, Any]) -> dict[str, Reading]:
    """By cluster, as statistics spell its name, from /stats?format=json&histogram_buckets=detailed."""
    counts = values(answer)
    times = {one["name"]: _times(one) for block in answer["stats"] for one in _details(block)}
    found = {}
    for name in counts:
        if name.endswith(_EXISTS):
            prefix = name.removesuffix(_EXISTS) + "."
            slow, copies = (times.get(f"{prefix}{one}.upstream_rq_time", Times()) for one in ("external", "internal"))
            found[prefix[len("cluster.") : -1]] = Reading(_counters(prefix, counts), slow, copies)
    return found


def values(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Value by full name, of counters, gauges and texts."""
    return {one["name"]: one["value"] for one in answer["stats"] if "name" in one and "value" in one}


def _counters(prefix: str, counts: Mapping[str, int]) -> Counters:
    """Envoy creates counters with their first request: one that isn't there is 0."""

    def count(name: str) -> int:
        return int(counts.get(prefix + name, 0))

    return Counters(
        completed=count("external.upstream_rq_completed"),
        failed=count("external.upstream_rq_5xx"),
        copies=count("internal.upstream_rq_completed"),
        failed_copies=count("internal.upstream_rq_5xx"),
        grpc=count("grpc.total"),
        failed_grpc=sum(count(f"grpc.{code}") for code in _GRPC_FAILURES),
        timeouts=count("upstream_rq_timeout") + count("upstream_rq_per_try_timeout"),
    )


def _details(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    histograms = block.get("histograms")
    return histograms.get("details", []) if isinstance(histograms, dict) else []


def _times(histogram: Mapping[str, Any]) -> Times:
    return Times.of(
        {(float(one["lower_bound"]), float(one["width"])): int(one["count"]) for one in histogram["totals"]}
    )
