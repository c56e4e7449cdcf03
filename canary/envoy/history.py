"""Snapshots of what Envoy counted, and the windows between them. Pure; `metrics/envoy.py` fills it.

Counters are kept as if Envoy had never restarted: a new life counts on from what the last one was seen to reach.
So every window is a plain difference, and windows that tile lose and repeat nothing but what a dying Envoy
counted after it was last looked at.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from canary.engine.observed import Kind, Missing

from .stats import Reading, Times


@dataclass
class History:
    """What was counted in the last `keep`, by cluster; an idle cluster costs nothing. To be locked by its owner."""

    keep: timedelta
    gap: timedelta
    """What was read at one time stands for the moments up to this long after it, and for none later."""
    _times: list[datetime] = field(default_factory=list)
    _totals: dict[str, list[tuple[datetime, Reading]]] = field(default_factory=dict)
    """Of each cluster, when its total changed, and to what."""
    _boot: str = ""
    _raw: dict[str, Reading] = field(default_factory=dict)

    def add(self, at: datetime, boot: str, raw: Mapping[str, Reading]) -> None:
        """`raw` is since Envoy's start; `boot` tells two lives of Envoy apart. A clock that was set back makes what
        came before useless."""
        if self.latest is not None and at < self.latest:
            self._times.clear()
            self._totals.clear()
        for cluster, now in raw.items():
            self._count(cluster, at, now, same_life=boot == self._boot)
        self._boot, self._raw = boot, {**self._raw, **raw}
        self._times.append(at)
        self._forget(at)

    @property
    def latest(self) -> datetime | None:
        """When the counters were read last."""
        return self._times[-1] if self._times else None

    def window(self, cluster: str, start: datetime, end: datetime) -> Reading | Missing:
        """What was counted in between; Missing(NOT_YET) where that wasn't watched all the time."""
        last, first = self._read_at(end), self._read_at(start)
        if isinstance(last, Missing):
            return last
        if isinstance(first, Missing):
            return first
        before, after = (self._total(cluster, moment) for moment in (first, last))
        if before is None or after is None:
            return Missing(Kind.NOT_YET, f"{cluster} is counted only since a moment ago")
        return after.minus(before)

    def _read_at(self, moment: datetime) -> datetime | Missing:
        """When the counters were read last, at the moment or before it."""
        index = bisect_right(self._times, moment)
        if index == 0:
            since = f"since {self._times[0]:%H:%M:%S}" if self._times else "not yet"
            return Missing(Kind.NOT_YET, f"Envoy's counters were read {since}, and {moment:%H:%M:%S} is needed")
        found = self._times[index - 1]
        if moment - found > self.gap:
            between = f"between {found:%H:%M:%S} and {moment:%H:%M:%S}"
            return Missing(Kind.NOT_YET, f"Envoy's counters weren't read {between}")
        return found

    def _total(self, cluster: str, moment: datetime) -> Reading | None:
        totals = self._totals.get(cluster, [])
        index = bisect_right(totals, moment, key=lambda one: one[0])
        return totals[index - 1][1] if index else None

    def _count(self, cluster: str, at: datetime, now: Reading, same_life: bool) -> None:
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
        for totals in self._totals.values():
            del totals[: max(0, bisect_right(totals, oldest, key=lambda one: one[0]) - 1)]


def _sharing(new: Reading, old: Reading) -> Reading:
    """The same, with the bins (most of its size) taken from the last reading where they are equal."""
    return replace(new, times=_same_bins(new.times, old.times), copy_times=_same_bins(new.copy_times, old.copy_times))


def _same_bins(new: Times, old: Times) -> Times:
    return replace(new, bins=old.bins) if new.bins == old.bins else new
