"""Arithmetic on a histogram's cumulative buckets: {edge: observations at most that large}, `inf` for all. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping

from canary.engine.observed import Cause, Missing

BEYOND = 1e9
"""Stands for a quantile above the highest edge, about 11 days in milliseconds: it fails every maximum, is
plain to see, and goes through JSON, which infinity doesn't."""
_WHOLE = 2**53
"""Counters are floats, and count exactly up to here."""


def whole(value: float) -> int | Missing:
    """A number of requests; Missing for what is none."""
    if not math.isfinite(value):
        return Missing(Cause.NAN, f"{value} requests")
    if value < 0 or not value.is_integer():
        return Missing(Cause.RUBBISH, f"{value} requests, where a counter holds whole ones")
    if value > _WHOLE:
        return Missing(Cause.NAN, f"{value:g} requests, more than a counter can count one by one")
    return int(value)


def edge(text: str) -> float | None:
    """The upper bound that a label `le` states, up to `BEYOND` or infinite; None if no duration can have it."""
    try:
        found = float(text)
    except ValueError:
        return None
    if 0 <= found <= BEYOND:
        return found
    return math.inf if text.lstrip("+").lower() in ("inf", "infinity") else None


def untold(buckets: Mapping[float, int]) -> str:
    """Why these buckets tell no duration; empty if they do."""
    if math.inf not in buckets:
        return 'no bucket le="+Inf"'
    if len(buckets) == 1:
        return 'no bucket but le="+Inf", which tells no duration'
    return "" if any(0 < one < math.inf for one in buckets) else 'no bucket between le="0" and le="+Inf"'


def largest(buckets: Mapping[float, int]) -> int:
    """All observations. Not always those of `inf`: a server that is sent samples one by one may have an older one of
    it, and Prometheus raises a bucket to those below it as well."""
    return max(buckets.values(), default=0)


def quantile(q: float, buckets: Mapping[float, int]) -> float:
    """Prometheus' `histogram_quantile` over whole counts: linear inside of a bucket, the lowest begins at 0.

    Prometheus answers with the highest edge where the quantile lies above it, which would pass a maximum that
    equals it; here that is `BEYOND`.
    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    edges = sorted(buckets)
    rank, below, start = q * largest(buckets), 0, 0.0
    for edge in edges:
        count = max(buckets[edge], below)
        if count >= rank and count > below:
            return BEYOND if math.isinf(edge) else start + (edge - start) * (rank - below) / (count - below)
        below, start = count, edge
    return BEYOND


def slower(buckets: Mapping[float, int], asked: Iterable[float]) -> tuple[tuple[float, int], ...]:
    """(edge, observations above it) for the asked edges.

    Where the histogram has no such edge its two neighbours stand in: what is above the upper one is surely
    slower than was asked, what is below the lower one surely isn't.
    """
    edges, everything = sorted(edge for edge in buckets if math.isfinite(edge)), largest(buckets)
    chosen = set[float]()
    for edge in asked:
        below, above = bisect_left(edges, edge), bisect_right(edges, edge)
        chosen.update(edges[below:above] or edges[max(below - 1, 0) : above + 1])
    return tuple((edge, max(everything - buckets[edge], 0)) for edge in sorted(chosen))
