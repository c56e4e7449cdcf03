"""How far back a look reads, before and after a step's traffic has settled."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from canary.api.status import Policy
from canary.engine.judges.judge import Standing
from canary.engine.judges.threshold import cut
from canary.engine.observed import Subject

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
