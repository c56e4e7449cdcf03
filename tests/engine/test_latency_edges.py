"""At which edge the judge `sequential` compares the latency of canary and stable."""

from itertools import product

import pytest

from canary.engine.judges.sequential_lanes import Kind, Lane, _lane
from canary.engine.observed import Counts

FINE = (128.0, 181.0, 256.0, 362.0, 512.0, 724.0, 1024.0)
COARSE = (128.0, 256.0, 512.0, 1024.0)
TOOK = (100, 200, 300, 400, 600, 900)


def histogram(edges: tuple[float, ...], took: tuple[int, ...], *, native: bool) -> Counts:
    """Of requests that took so many milliseconds."""
    slower = tuple((edge, sum(one > edge for one in took)) for edge in edges)
    return Counts(len(took), 0, slower, timed=len(took), native=native)


@pytest.mark.parametrize(("kind", "edge"), [(Kind.OVER, 512), (Kind.WITHIN, 256)])
@pytest.mark.parametrize("finer", ["canary", "stable"])
def test_different_resolutions_are_compared_at_the_coarser_bounds(kind: Kind, edge: float, finer: str) -> None:
    """Whatever was counted: an edge that is chosen by the counts would favour one of two that are alike."""
    lane = Lane("request-duration", kind, 1)
    usual = (150,) * 9  # what tells that one is coarser
    for some, others in product(product(TOOK, repeat=2), repeat=2):
        fine, coarse = (
            histogram(edges, (*usual, *took), native=True) for edges, took in ((FINE, some), (COARSE, others))
        )
        canary, stable = (fine, coarse) if finer == "canary" else (coarse, fine)
        slow = [sum(one > edge for one in took) for took in (some, others)]
        expected = slow if finer == "canary" else slow[::-1]
        assert _lane(lane, canary, stable, 360) == (expected[0], 11, expected[1], 11)


def test_what_stable_never_was_is_compared_at_the_edges_of_the_canary() -> None:
    """A native histogram has no edges where there never was a request."""
    stable = histogram((128.0, 256.0), (150,) * 9, native=True)
    canary = histogram(FINE, (150,) * 5 + (600,) * 4, native=True)
    assert _lane(Lane("request-duration", Kind.OVER, 1), canary, stable, 500) == (4, 9, 0, 9)


def test_classic_histograms_are_compared_at_edges_of_both() -> None:
    """So that it isn't what they counted that chooses the edge."""
    for took in ((150,) * 9, (150, 400)):
        canary = histogram((250.0, 500.0), (150, 450, 600), native=False)
        stable = histogram((250.0, 1000.0), took, native=False)
        assert _lane(Lane("request-duration", Kind.OVER, 1), canary, stable, 400) == (0, 0, 0, 0)
        within = (2, 3, sum(one > 250 for one in took), len(took))
        assert _lane(Lane("request-duration", Kind.WITHIN, 1), canary, stable, 400) == within
