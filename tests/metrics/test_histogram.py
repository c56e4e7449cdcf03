"""Quantiles and slow requests from whole counts."""

import math
from collections.abc import Mapping

import pytest

from canary.metrics.histogram import BEYOND, quantile, slower

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
    ("asked", "told"),
    [
        pytest.param((250,), ((250, 5),), id="an edge of the histogram"),
        pytest.param((300,), ((250, 5), (500, 2)), id="between two: both neighbours"),
        pytest.param((50,), ((100, 9),), id="below the lowest"),
        pytest.param((900,), ((500, 2),), id="above the highest"),
        pytest.param((300, 500, 250), ((250, 5), (500, 2)), id="each edge once, in order"),
        pytest.param((), (), id="none"),
    ],
)
def test_slower(asked: tuple[float, ...], told: tuple[tuple[float, int], ...]) -> None:
    """Each pair is true of the edge that it names."""
    assert slower({100: 1, 250: 5, 500: 8, INF: 10}, asked) == told
