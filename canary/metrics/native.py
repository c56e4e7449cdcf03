"""Native histograms: two of them in an answer → by how much they grew, as requests at most that slow, by edge. Pure.

An answer has the buckets that aren't empty, with their bounds:
https://prometheus.io/docs/prometheus/latest/querying/api/#native-histograms. Those of one with custom buckets (a
converted classic one) are its edges, and those of an exponential one powers of 2^(1/2^resolution). All but the lowest
are open at the lower bound and closed at the upper one, as classic buckets are.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

from canary.engine.observed import Cause, Missing

from .histogram import BEYOND, whole

MOST = 2000
"""Buckets of a histogram that is read. A proxy keeps up to 160, and pods may have others."""
UNREADABLE = Missing(Cause.EMPTY, "a native histogram that this server can't read; Prometheus 3 and later can")
_LARGE = Missing(Cause.INVALID, f"a native histogram of more than {MOST} buckets")


@dataclass(frozen=True)
class NativeHistogram:
    """What was observed until one moment, in all series of a group."""

    count: float
    buckets: tuple[tuple[float, float, float], ...] = ()
    """(lower bound, upper bound, observations), rising. They may have gaps."""

    @classmethod
    def read(cls, found: object) -> Self | Missing:
        """From a row's `histogram`, which is a time and an object."""
        match found:
            case [int() | float(), {"count": str(count), **rest}]:
                listed: Any = rest.get("buckets") or ()
                with suppress(TypeError, ValueError):
                    if len(listed) > MOST:
                        return _LARGE
                    return cls(float(count), tuple(sorted(_bucket(one) for one in listed)))
        return UNREADABLE

    @classmethod
    def added(cls, several: Iterable[Self]) -> Self:
        """The sum of some with any bounds: buckets may overlap then."""
        each = list(several)
        return cls(sum(one.count for one in each), tuple(sorted(bucket for one in each for bucket in one.buckets)))

    def bounds(self) -> set[float]:
        """All that a duration can have."""
        return {one for lower, upper, _ in self.buckets for one in (lower, upper) if 0 <= one <= BEYOND}


def _bucket(found: object) -> tuple[float, float, float]:
    """Raises ValueError for what is no bucket."""
    match found:
        case [int(), str(lower), str(upper), str(count)]:
            return float(lower), float(upper), float(count)
    raise ValueError("no bucket")


def grown(end: NativeHistogram, start: NativeHistogram) -> Mapping[float, int] | Missing:
    """Requests at most so slow between the two, by the bounds that are inside of no bucket, and by infinity.

    If the resolution was reduced in between, the bounds of the coarser buckets are left.
    """
    if max(len(end.buckets), len(start.buckets)) > MOST:
        return _LARGE
    bounds = sorted(end.bounds() | start.bounds())
    both = zip(
        [*bounds, math.inf], [*_until(end, bounds), end.count], [*_until(start, bounds), start.count], strict=True
    )
    buckets, below = dict[float, int](), 0
    for bound, after, before in both:
        if after is None or before is None:
            continue
        count = whole(after - before)
        if isinstance(count, Missing):
            return count
        if count < below:
            return Missing(Cause.RUBBISH, f"{count} requests up to {bound:g}ms, and {below} up to less")
        buckets[bound] = below = count
    return buckets


def _until(one: NativeHistogram, bounds: list[float]) -> list[float | None]:
    """Observations up to each bound; None for one that is inside of a bucket."""
    lowers, uppers = [lower for lower, _, _ in one.buckets], sorted(upper for _, upper, _ in one.buckets)
    sums = [0.0, *accumulate(count for _, _, count in one.buckets)]
    begun, ended = (
        [side(edges, bound) for bound in bounds] for side, edges in ((bisect_left, lowers), (bisect_right, uppers))
    )
    return [sums[over] if over == open_ else None for open_, over in zip(begun, ended, strict=True)]
