"""How far back an evaluation reads, before and after a step's traffic has settled."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.pinned import Policy
from canary.api.status import Rollout
from canary.engine import evaluations
from canary.engine.judges.judge import Standing
from canary.engine.judges.threshold import cut
from canary.engine.observed import Subject
from canary.engine.situation import in_our_time
from tests.engine.situations import at_20_percent

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(scrape_interval=timedelta(seconds=1))
STANDING = Standing(
    at=BEGAN,
    since=None,
    step=1,
    steps=3,
    weight=10,
    exposed=True,
    paused=False,
    stable=Subject("v1"),
    canary=Subject("v2"),
    began=BEGAN,
)


@pytest.mark.parametrize(
    ("at", "since", "window"),
    [
        pytest.param(5, None, 5, id="not in place yet: back to the rollout's start, and no further"),
        pytest.param(90, None, 60, id="not in place for long: the whole window"),
        pytest.param(0, None, 1, id="at the start: one scrape, for a window of nothing can't be asked"),
        pytest.param(8, 8, 8, id="not settled yet: back to the rollout's start"),
        pytest.param(40, 10, 30, id="settled: back to that moment"),
        pytest.param(90, 10, 60, id="settled for long: the whole window"),
    ],
)
def test_what_was_seen_before_the_rollout_is_about_another_one(at: int, since: int | None, window: int) -> None:
    """A version that failed before, and was mended, isn't judged by what it was."""
    settled = None if since is None else BEGAN + timedelta(seconds=since)
    standing = replace(STANDING, at=BEGAN + timedelta(seconds=at), since=settled)
    assert cut(timedelta(minutes=1), POLICY, standing) == timedelta(seconds=window)


@pytest.mark.parametrize(
    ("age", "scrape", "window"),
    [
        pytest.param(23.9, 1.0, 23.0, id="rounded down, never back over the cut"),
        pytest.param(23.0, 1.0, 23.0, id="whole already"),
        pytest.param(44.9, 15.0, 30.0, id="whole scrapes"),
        pytest.param(44.9, 7.5, 42.0, id="a scrape in whole seconds"),
        pytest.param(0.7, 0.2, 0.7, id="nothing would be left: as it is"),
        pytest.param(1.6, 1.5, 1.6, id="less than a scrape would be left: as it is"),
        pytest.param(59.999, 1.0, 59.0, id="just shorter than the metric's own window"),
        pytest.param(61.3, 1.0, 60.5, id="not cut: what the metric says, to its fraction"),
    ],
)
@pytest.mark.parametrize("placed", [True, False], ids=["since the step settled", "since the rollout began"])
def test_a_cut_window_is_whole_seconds(age: float, scrape: float, window: float, placed: bool) -> None:
    """Rollouts whose steps began in fractions of a second ask for the same windows."""
    at, policy = BEGAN + timedelta(seconds=age), POLICY.but(scrape_interval=timedelta(seconds=scrape))
    standing = replace(STANDING, at=at, since=BEGAN if placed else None)
    assert cut(timedelta(seconds=60.5), policy, standing) == timedelta(seconds=window)


@given(st.integers(0, 999_999), st.integers(1, 30))
def test_cut_windows_begin_at_one_moment(fraction: int, interval: int) -> None:
    """Looks on the grid of whole seconds see one window grow: no request is left out between two of them."""
    since = BEGAN + timedelta(microseconds=fraction)
    looks = [BEGAN + timedelta(seconds=2 + interval * number) for number in range(10)]
    hour = timedelta(hours=1)
    starts = {at - cut(hour, POLICY, replace(STANDING, at=at, since=since)) for at in looks}
    assert len(starts) == 1
    assert since <= starts.pop() < since + timedelta(seconds=1)


@pytest.mark.parametrize(
    "restart", [evaluations.forgotten, in_our_time], ids=["evidence begins again", "the clock was set back"]
)
def test_a_new_grid_is_of_whole_seconds(restart: Callable[[Rollout, datetime], Rollout]) -> None:
    """Wherever the grid of evaluations begins again, its evaluations are asked together with those of other
    rollouts."""
    case = at_20_percent()
    now = case.rollout.next_evaluation - timedelta(days=1, microseconds=1)
    again = restart(case.rollout, now).next_evaluation
    assert now + case.rollout.policy.interval <= again < now + case.rollout.policy.interval + timedelta(seconds=1)
    assert again.microsecond == 0
