"""Counting on over restarts and resets, and windows that were not watched: without any Envoy."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.engine.observed import Cause, Missing
from canary.envoy.stats import BEYOND, Counters, Requests, StatsReading, Times
from canary.metrics.envoy import History

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """A time past noon."""
    return NOON + timedelta(seconds=seconds)


def counted(completed: int) -> StatsReading:
    """Requests that took 10 ms each."""
    times = Times.of({(10.0, 1.0): completed} if completed else {})
    return StatsReading(Counters(completed=completed), times)


def history(keep: float = 3600) -> History:
    """That lets a snapshot stand for three seconds."""
    return History(keep=timedelta(seconds=keep), gap=timedelta(seconds=3))


def total(found: StatsReading | Missing) -> int:
    """Requests in a window, by counter and by histogram."""
    assert isinstance(found, StatsReading), found
    assert found.counters.completed == found.times.total()
    return found.counters.completed


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=2, max_size=20))
def test_windows_add_up_over_restarts(lives: list[tuple[int, bool]]) -> None:
    """All that is seen between two snapshots is in one window, and in one only."""
    watched, raw, boot, truth = history(), 0, 0, 0
    for second, (requests, restarts) in enumerate(lives):
        if restarts:
            raw, boot = 0, boot + 1
        raw += requests
        truth += requests if second else 0
        watched.add(after(second), str(boot), {"v1": counted(raw)})
    end = len(lives) - 1
    tiles = [total(watched.window("v1", after(second), after(second + 1))) for second in range(end)]
    assert sum(tiles) == total(watched.window("v1", after(0), after(end))) == truth


def test_counters_that_someone_reset_count_from_zero() -> None:
    """POST /reset_counters, in the same life of Envoy."""
    watched = history()
    for second, raw in enumerate((10, 25, 5)):
        watched.add(after(second), "a", {"v1": StatsReading(Counters(completed=raw))})
    found = watched.window("v1", after(0), after(2))
    assert isinstance(found, StatsReading)
    assert found.counters.completed == 20


UNWATCHED = {
    "before the first snapshot": (-5, 10, "read since 12:00:00, and 11:59:55 is needed"),
    "a start in a gap": (15, 20, "weren't read between 12:00:10 and 12:00:15"),
    "an end in a gap": (0, 15, "weren't read between 12:00:10 and 12:00:15"),
}


@pytest.mark.parametrize("name", UNWATCHED)
def test_a_window_that_was_not_watched_is_not_yet_known(name: str) -> None:
    """A gap in the middle loses nothing: counters go on without being looked at."""
    start, end, words = UNWATCHED[name]
    watched = history()
    for second, raw in ((0, 1), (10, 2), (20, 3)):
        watched.add(after(second), "a", {"v1": counted(raw)})
    found = watched.window("v1", after(start), after(end))
    assert isinstance(found, Missing)
    assert (found.cause, words in found.detail) == (Cause.NOT_YET, True), found
    assert total(watched.window("v1", after(0), after(20))) == 2


def test_snapshots_are_those_of_all_clusters() -> None:
    """They stand for later moments, and say nothing where a cluster's counters couldn't be used."""
    watched = history()
    watched.add(after(0), "a", {"v1": counted(1), "v2": counted(1)})
    watched.add(after(1), "a", {"v1": counted(2)}, whole=False)
    watched.add(after(2), "a", {"v1": counted(3), "v2": counted(3)})
    assert watched.snapshots(after(0.5), after(3)) == (after(0), after(2))
    assert watched.snapshots(after(0), after(1.5)) is None
    assert watched.snapshots(after(1), after(2)) is None
    assert watched.snapshots(after(-1), after(2)) is None


def test_a_cluster_that_came_later_is_not_yet_known() -> None:
    """Its counts of before aren't."""
    watched = history()
    watched.add(after(0), "a", {})
    watched.add(after(1), "a", {"v1": counted(7)})
    assert watched.window("v1", after(0), after(1)) == Missing(Cause.NOT_YET, "v1 is counted only since a moment ago")


def test_a_clock_that_was_set_back_starts_again() -> None:
    """Times of before it can't be compared."""
    watched = history()
    watched.add(after(100), "a", {"v1": counted(1)})
    watched.add(after(50), "a", {"v1": counted(2)})
    watched.add(after(51), "a", {"v1": counted(5)})
    assert total(watched.window("v1", after(50), after(51))) == 3


def test_memory_is_bounded() -> None:
    """Older snapshots go; the whole of the last `keep` can be asked for all the time."""
    watched = history(keep=60)
    for second in range(500):
        watched.add(after(second), "a", {"v1": counted(second), "idle": counted(1)})
        if second >= 60:
            assert total(watched.window("v1", after(second - 60), after(second))) == 60
            assert total(watched.window("idle", after(second - 60), after(second))) == 0
    assert len(watched._times) == len(watched._totals["v1"]) == 61
    assert len(watched._totals["idle"]) == 1


@pytest.mark.parametrize(
    ("bins", "failed", "share", "expected"),
    [
        pytest.param({(10.0, 1.0): 100}, 0, 0.99, 10.99, id="within one bin"),
        pytest.param({(10.0, 1.0): 98, (200.0, 10.0): 2}, 0, 0.99, 205.0, id="in the second of two"),
        pytest.param({(10.0, 1.0): 99}, 1, 0.99, 11.0, id="one in a hundred without a time is the p99's limit"),
        pytest.param({(10.0, 1.0): 98}, 2, 0.99, BEYOND, id="two are beyond it"),
        pytest.param({}, 3, 0.99, BEYOND, id="nothing has a time"),
        pytest.param({}, 0, 0.99, None, id="nothing has ended"),
    ],
)
def test_quantiles(bins: dict[tuple[float, float], int], failed: int, share: float, expected: float | None) -> None:
    """Linear within a bin; requests that timed out have no time, and are slower than every one that has one."""
    times = Times.of(bins)
    window = StatsReading(Counters(completed=times.total() + failed, failed=failed, timeouts=failed), times)
    assert Requests.of(window).quantile(share) == (None if expected is None else pytest.approx(expected))


def test_answers_that_still_stream_are_not_slow() -> None:
    """They are counted with their headers and get a time with their end; only time-outs never get one."""
    window = StatsReading(Counters(completed=10), Times.of({(5.0, 0.1): 6}))
    assert (Requests.of(window).untimed, Requests.of(window).slower(100)) == (0, 0)


def test_failures_whose_time_is_not_flushed_yet_are_not_slow() -> None:
    """Counters are fresh, histograms lag a flush: a quick 500 is a failure, and no slow request."""
    window = StatsReading(Counters(completed=10, failed=4), Times.of({(5.0, 0.1): 6}))
    assert (Requests.of(window).bad, Requests.of(window).untimed) == (4, 0)
