"""Quantiles and slow requests from whole counts."""

import math
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.engine.observed import Counts
from canary.envoy.stats import Requests, Times, around
from canary.metrics.histogram import BEYOND, quantile, slower
from tests.examples import examples

INF = math.inf


@pytest.mark.parametrize(
    ("q", "buckets", "value"),
    [
        pytest.param(0.99, {100: 100, INF: 100}, 99.0, id="all in the lowest, which begins at 0"),
        pytest.param(0.5, {100: 0, 200: 10, INF: 10}, 150.0, id="the middle of a bucket"),
        pytest.param(0.99, {100: 98, 250: 98, 500: 100, INF: 100}, 375.0, id="an empty bucket is passed over"),
        pytest.param(0.9, {100: 90, 500: 100, INF: 100}, 100.0, id="exactly at an edge"),
        pytest.param(0.99, {100: 98, INF: 100}, BEYOND, id="above the highest edge"),
        pytest.param(0.99, {INF: 10}, BEYOND, id="no edges at all"),
        pytest.param(0.5, {100: 10, 200: 8, INF: 10}, 50.0, id="a bucket that lost observations"),
    ],
)
def test_quantile(q: float, buckets: Mapping[float, int], value: float) -> None:
    """As Prometheus interpolates, but what lies above every edge fails every maximum."""
    assert quantile(q, buckets) == pytest.approx(value)


@pytest.mark.parametrize(
    ("asked", "reported"),
    [
        pytest.param((250,), ((250, 5),), id="an edge of the histogram"),
        pytest.param((300,), ((250, 5), (500, 2)), id="between two: both neighbours"),
        pytest.param((50,), ((100, 9),), id="below the lowest"),
        pytest.param((900,), ((500, 2),), id="above the highest"),
        pytest.param((300, 500, 250), ((250, 5), (500, 2)), id="each edge once, in order"),
        pytest.param((), (), id="none"),
    ],
)
def test_slower(asked: tuple[float, ...], reported: tuple[tuple[float, int], ...]) -> None:
    """Each pair is true of the edge that it names."""
    assert slower({100: 1, 250: 5, 500: 8, INF: 10}, asked) == reported


EDGES = (5.0, 10.0, 100.0, 250.0, 500.0)
POD = st.tuples(st.lists(st.integers(0, 600), min_size=1, max_size=20), st.sets(st.sampled_from(EDGES)))
"""What a pod observed, and the buckets that it lacks."""


def summed(pods: list[tuple[list[int], set[float]]]) -> dict[float, int]:
    """Prometheus' sum over the pods, by edge."""
    found: dict[float, int] = {}
    for observed, lacking in pods:
        for edge in {*EDGES, INF} - lacking:
            found[edge] = found.get(edge, 0) + sum(one <= edge for one in observed)
    return found


@settings(max_examples=examples(500))
@given(pods=st.lists(POD, min_size=1, max_size=4), q=st.sampled_from((0.5, 0.9, 0.99)))
def test_pods_with_different_buckets_never_seem_faster(pods: list[tuple[list[int], set[float]]], q: float) -> None:
    """Against the same pods with every bucket that any of them has: a slow version isn't promoted by it."""
    mixed = summed(pods)
    lacking = set(EDGES) - mixed.keys()
    whole = summed([(observed, lacking) for observed, _ in pods])
    assert quantile(q, mixed) >= quantile(q, whole) or quantile(q, mixed) == pytest.approx(quantile(q, whole))
    fewer, more = dict(slower(whole, EDGES)), dict(slower(mixed, EDGES))
    assert fewer.keys() == more.keys()
    assert all(more[edge] >= fewer[edge] for edge in more)


@settings(max_examples=examples(300))
@given(
    took=st.lists(st.integers(0, 700), min_size=1, max_size=30),
    edges=st.sets(st.integers(1, 600), max_size=6),
    asked=st.lists(st.integers(0, 700), min_size=1, max_size=3),
)
def test_an_edge_that_the_histogram_lacks_is_conservative(took: list[int], edges: set[int], asked: list[int]) -> None:
    """On both sides, for any histogram; exact at an edge of its own."""
    buckets = {float(edge): sum(one <= edge for one in took) for edge in edges} | {INF: len(took)}
    counts = Counts(len(took), 0, slower(buckets, asked), timed=len(took))
    for edge in asked:
        truth = sum(one > edge for one in took)
        assert counts.surely_slower(edge) <= truth <= counts.possibly_slower(edge)
        assert edge not in edges or counts.surely_slower(edge) == counts.possibly_slower(edge)


@given(took=st.lists(st.integers(0, 70_000), min_size=1, max_size=30), asked=st.floats(0, 70_000))
def test_envoys_bins_are_conservative(took: list[int], asked: float) -> None:
    """Two significant digits wide; a request of just `asked` milliseconds is slow to Envoy."""
    bins = [(around(one)[0], 10.0 ** (len(str(one)) - 2) if one else 0.0) for one in took]
    requests = Requests(len(took), 0, Times.of({one: bins.count(one) for one in bins}), 0)
    reported = tuple((edge, requests.slower(edge)) for edge in around(asked))
    counts = Counts(len(took), 0, reported, timed=requests.timed_total)
    assert counts.surely_slower(asked) <= sum(one >= asked for one in took) <= counts.possibly_slower(asked)


@pytest.mark.parametrize(
    ("edge", "bounds"),
    [(250, (250,)), (251, (250, 260)), (0.15, (0.15,)), (0.123, (0.12, 0.13)), (99.5, (99, 100)), (1000, (1000,)),
     (0, (0,)), (7, (7,))],
)  # fmt: skip
def test_bounds_of_envoys_bins(edge: float, bounds: tuple[float, ...]) -> None:
    """The two next to an edge, or the edge itself."""
    assert around(edge) == bounds
