"""A clock that is set while rollouts wait for their slots."""

import pytest

from canary.controller.process import Leaps


@pytest.mark.parametrize(
    ("set_by", "back"),
    [(-3600.0, True), (-1.5, True), (-0.2, False), (0.0, False), (3600.0, False)],
    ids=["an hour back", "a little back", "kept right", "left alone", "an hour forward"],
)
def test_a_clock_that_is_set_back_is_noticed_once(set_by: float, back: bool) -> None:
    """Time that passes is no leap, however much of it there is between two evaluations."""
    wall, steady = [1_000_000.0], [50.0]
    leaps = Leaps(lambda: wall[0], lambda: steady[0])
    wall[0], steady[0] = wall[0] + 300, steady[0] + 300
    assert not leaps.back()
    wall[0], steady[0] = wall[0] + 0.5 + set_by, steady[0] + 0.5
    assert leaps.back() is back
    assert not leaps.back()
