"""The arithmetic of a weighted route: turns a share of the pair into whole weights. Shared by all routers."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd


@dataclass(frozen=True)
class Split:
    """Whole weights for the two of a pair, and the factor by which all other weights of the route grow."""

    stable: int
    canary: int
    factor: int = 1


def split(pair_total: int, percent: int) -> Split:
    """Shares `pair_total` so that the canary gets exactly `percent` of it.

    A total that can't be divided so is scaled by the smallest whole factor that makes it exact; the caller
    multiplies the route's other weights by the same factor, so that third versions keep their share.
    """
    if pair_total <= 0:
        raise ValueError("a pair without weight has nothing to share")
    factor = 100 // gcd(100, pair_total * percent)
    canary = pair_total * factor * percent // 100
    return Split(pair_total * factor - canary, canary, factor)


def shares(weights: Mapping[str, int]) -> dict[str, float]:
    """Per cent by version, of a route's weights; empty where all are 0."""
    total = sum(weights.values())
    return {name: 100 * weight / total for name, weight in weights.items()} if total else {}
