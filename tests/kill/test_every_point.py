"""Promise: a rollout that is killed anywhere and started again ends as if nothing had happened."""

import json
import subprocess
import sys

import pytest

from tests.kill.world import CASES

SAME = ("code", "phase", "outcome", "traffic")


@pytest.mark.parametrize("name", CASES)
def test_killed_at_any_point_and_started_again_ends_the_same(name: str) -> None:
    """kill -9 before and after every call of a port, each in a process of its own, resumed from what it left."""
    output = subprocess.run(
        [sys.executable, "-m", "tests.kill.nursery", name], capture_output=True, text=True, check=True, timeout=110
    ).stdout
    whole, *resumed = [json.loads(line) for line in output.splitlines()]
    end = {key: whole[key] for key in SAME}
    assert len(resumed) == whole["points"] > 50
    assert {one["died"] for one in resumed} == {-9}
    assert [{key: one[key] for key in SAME} for one in resumed] == [end] * len(resumed)
    assert [one["fatal"] for one in resumed if one["rose"] and whole["outcome"] != "Promoted"] == []
    assert [one["fatal"] for one in resumed if whole["outcome"] not in one["told"]] == []
