"""The rules of other tools, held against sequences that were worked out by hand."""

from collections.abc import Iterable

import numpy as np
import pytest

from canary.characteristics.arrays import Ints
from canary.characteristics.requests import BAD, SLOWER, TOTAL, Grid, Tick
from canary.characteristics.rollouts import PROMOTED, ROLLED_BACK, RUNNING, Rollouts

from . import kayenta
from .contestants import CONTESTANTS, TICK, grid

FINE, FAILING, BROKEN, SLOW, NONE = (100, 0, 0), (100, 5, 0), (100, 100, 0), (100, 0, 5), (0, 0, 0)
"""The canary's requests in a minute: all, failing ones, and those that take two seconds."""


def played(name: str, minutes: Iterable[tuple[int, int, int]]) -> Rollouts:
    """One rollout whose canary answers so at any weight, and whose counters are always read."""
    shared = grid()
    rollouts = CONTESTANTS[name](shared, 1)
    now = 0.0
    for minute in minutes:
        for part in range(round(60 / TICK)):
            now += TICK
            rollouts.take(tick(shared, minute, part), now)
    return rollouts


def tick(shared: Grid, minute: tuple[int, int, int], part: int) -> Tick:
    """A part of this minute; its failing and its slow requests are spread over it."""
    weights, parts = len(shared.weights), round(60 / TICK)
    counts = np.zeros((weights, 1, shared.columns), np.int64)
    total, bad, slow = (one * (part + 1) // parts - one * part // parts for one in minute)
    counts[:, :, TOTAL], counts[:, :, BAD], counts[:, :, SLOWER:] = total, bad, 0
    counts[:, :, SLOWER : SLOWER + sum(edge < 2000 for edge in shared.edges)] = slow
    stable = np.zeros_like(counts)
    stable[:, :, TOTAL] = 1000
    nothing = np.zeros(1)
    return Tick(((0, counts),), stable, np.ones((2, 1), bool), ((0, nothing),), lambda: nothing)


@pytest.mark.parametrize(
    ("name", "minutes", "outcome", "ended"),
    [
        pytest.param("Flagger 60 s × 5", [FINE] * 6, PROMOTED, 360, id="six weights, six checks"),
        pytest.param("Flagger 60 s × 5", [FAILING] * 6, ROLLED_BACK, 360, id="one interval after the fifth failure"),
        pytest.param("Flagger 60 s × 5", [SLOW] * 6, ROLLED_BACK, 360, id="p99"),
        pytest.param("Flagger 60 s × 5", [NONE] * 6, ROLLED_BACK, 360, id="no value is a failed check"),
        pytest.param("Flagger 60 s × 5", [FAILING, FINE] * 4 + [FINE] * 2, PROMOTED, 600, id="four are allowed"),
        pytest.param("Flagger 60 s × 5", [FAILING, FINE] * 5, ROLLED_BACK, 600, id="failures add up"),
        pytest.param("Flagger 10 s × 5", [FINE], PROMOTED, 60, id="every ten seconds"),
        pytest.param("Flagger 10 s × 5", [BROKEN], ROLLED_BACK, 60, id="five and one"),
        pytest.param("Argo, limit 0", [FINE] * 6, PROMOTED, 360, id="six timed steps"),
        pytest.param("Argo, limit 0", [FINE, FAILING], ROLLED_BACK, 120, id="the first failure"),
        pytest.param("Argo, limit 3", [FAILING] * 4, ROLLED_BACK, 240, id="the fourth failure"),
        pytest.param("Argo, limit 3", [FAILING] * 3 + [FINE] * 3, PROMOTED, 360, id="steps go on"),
        pytest.param("Argo, limit 3", [FAILING, SLOW] * 3, PROMOTED, 360, id="each metric for itself"),
        pytest.param("Argo, limit 3", [NONE] * 2, ROLLED_BACK, 100, id="the fifth error, ten seconds apart"),
        pytest.param("Argo, limit 0", [FINE, NONE], ROLLED_BACK, 120, id="0/0 fails"),
        pytest.param("Kayenta", [FINE] * 6, PROMOTED, 360, id="six timed steps"),
        pytest.param("Kayenta", [FAILING] * 2, ROLLED_BACK, 120, id="eight points against eight"),
        pytest.param("Kayenta", [NONE] * 2, ROLLED_BACK, 120, id="no score without data"),
        pytest.param("sequential", [FINE] * 1, RUNNING, None, id="ours runs on the same requests"),
    ],
)
def test_outcomes(name: str, minutes: list[tuple[int, int, int]], outcome: int, ended: float | None) -> None:
    """How and when a rollout ends."""
    rollouts = played(name, minutes)
    assert rollouts.outcome[0] == outcome
    assert ended is None or rollouts.ended[0] == ended


def test_argo_moves_while_checks_fail_and_flagger_does_not() -> None:
    """Three bad minutes."""
    assert played("Argo, limit 3", [FAILING] * 3).weight[0] == 30
    assert played("Flagger 60 s × 5", [FAILING] * 3).weight[0] == 5


@pytest.mark.parametrize(
    ("x", "y", "shift", "z"),
    [
        # R 4: wilcox.test(x, y, exact=FALSE) and its asymptotic statistic, worked out by hand from the ranks.
        pytest.param([5, 6, 7, 8, 9], [0, 1, 2, 3, 4], 0, 12 / np.sqrt(25 / 12 * 11), id="apart"),
        pytest.param([1, 3], [2, 4], 0, -0.5 / np.sqrt(4 / 12 * 5), id="mixed"),
        pytest.param([1, 1, 2], [1, 2, 2], 0, -1.0 / np.sqrt(9 / 12 * (7 - 48 / 30)), id="ties"),
        pytest.param([5, 5], [5, 5], 0, 0.0, id="all tied"),
        pytest.param([5, 6, 7, 8, 9], [0, 1, 2, 3, 4], 5, 0.0, id="shifted"),
    ],
)
def test_mann_whitney(x: list[float], y: list[float], shift: float, z: float) -> None:
    """The statistic; a point without data changes nothing."""
    found = kayenta.z(np.array([[*x, np.nan]], float), np.array([[*y, np.nan]], float), np.array([float(shift)]))
    assert found == pytest.approx(z)


def test_counts_are_of_one_minute() -> None:
    """Flagger's `rate(…[1m])` at the end of a minute sees that minute only."""
    rollouts = played("Flagger 60 s × 5", [FAILING, FINE])
    failed: Ints = rollouts.failed_checks  # type: ignore[attr-defined]
    assert failed[0] == 1
