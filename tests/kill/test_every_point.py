"""Promise: a rollout that is killed anywhere and started again ends as if nothing had happened."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.kill.calls import CHECKS, GATES
from tests.kill.world import CASES

SOME = pytest.param("failing", 5, id="failing, at some points")
"""For `make test`, where rollout/test_reconcile.py also kills at each call, in one process; all points are long."""
SAME = ("code", "phase", "outcome", "traffic")


@pytest.mark.parametrize(
    ("name", "every"), [SOME, *(pytest.param(name, 1, id=name, marks=pytest.mark.long) for name in CASES)]
)
def test_killed_at_any_point_and_started_again_ends_the_same(name: str, every: int) -> None:
    """kill -9 before and after every call of a port, each in a process of its own, resumed from what it left."""
    command = [sys.executable, "-m", "tests.kill.nursery", name, str(every)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=500).stdout
    whole, *resumed = [json.loads(line) for line in output.splitlines()]
    end = {key: whole[key] for key in SAME}
    assert whole["points"] > 20
    assert [one["fatal"] for one in resumed] == list(range(1, whole["points"] + 1, every))
    assert {one["died"] for one in resumed} == {-9}
    assert [{key: one[key] for key in SAME} for one in resumed] == [end] * len(resumed)
    assert [one["fatal"] for one in resumed if one["rose"] and whole["outcome"] != "Promoted"] == []
    assert [one["fatal"] for one in resumed if whole["outcome"] not in one["reported"]] == []
    if "calls" in CASES[name]:
        assert {one["fatal"]: found for one in resumed if (found := [*faults(one, whole)])} == {}
        assert {times for call, times in Counter(whole["received"]).items() if not call.startswith("refused")} == {1}


def faults(one: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[str]:
    """What was lost or used twice of what hooks and alerts received and answered."""
    times = Counter(one["received"])
    calls, expected = _by_type(one), _by_type(whole)
    if max(times.values()) > 2:
        yield f"made more than twice: {times.most_common(1)}"
    numbers = [call.partition("/")[0] for call in calls["event"]]
    if numbers != [str(number) for number in range(1, one["messages"] + 1)]:
        yield f"events {numbers} of {one['messages']} messages"
    if len(calls["post-rollout"]) != 1 or not calls["alert"][-1].startswith(f"uid/{one['messages']}/"):
        yield f"the end is missing: {calls['post-rollout']}, {calls['alert']}"
    refused = [call for call in calls["refused"] if call.startswith(CHECKS)]
    if one["failed"] > len(refused):
        yield f"{one['failed']} failed checks of {refused}"
    again = {type_: len(calls[type_]) - len(expected[type_]) for type_ in (*GATES, *CHECKS)}
    if max(again.values()) > 1:
        yield f"asked again and again: {again}"


def _by_type(one: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """The different calls by type, in their order; `refused` ones with the type."""
    found: dict[str, list[str]] = {type_: [] for type_ in (*GATES, *CHECKS, "alert", "post-rollout")}
    for line in dict.fromkeys(one["received"]):
        type_, _, call = line.partition(" ")
        found.setdefault(type_, []).append(call)
    return {"refused": [], "event": [], **found}
