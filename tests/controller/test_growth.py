"""What a controller keeps in memory doesn't grow with the rollouts that it has seen."""

import gc
import logging
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from canary.api.status import Phase
from canary.controller.logs import Decisions
from canary.controller.metrics import ControllerMetrics
from canary.kube.names import NamespacedName
from tests.controller.test_controller import Both
from tests.controller.virtual import Virtual

AT_ONCE = 10
WARM, ROLLOUTS = 200, 1000
SLACK = 64 * 1024
"""Bytes that come and go: free lists, caches that aren't full yet."""
SHORT: dict[str, Any] = {"steps": [{"weight": 50}], "threshold": 1, "drain": "0s"}


def lives(many: Virtual, round_: int) -> list[NamespacedName]:
    """Canaries are made, come to their end, and are deleted."""
    keys = [many.add(f"web-{round_}-{number}", "bad" if number % 4 == 0 else "good", **SHORT) for number in range(10)]
    for key in keys:
        many.controller.wake(key)
    many.fleet.advance(120)
    assert {many.status(key).phase for key in keys} == {Phase.SUCCEEDED, Phase.FAILED}
    for key in keys:
        del many.fleet.reconcilers[key]
        many.controller.forget(key)
    many.fleet.advance(900)  # slots of those that are gone
    return keys


def held() -> tuple[int, int, int]:
    """Bytes of Python objects that canary's and others' code has allocated, threads, open files and sockets."""
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, tracemalloc.__file__)])
    size = sum(one.size for one in snapshot.statistics("filename"))
    return size, threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.long
def test_a_thousand_rollouts_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Memory, threads and sockets after 1,000 are what they were after 200, in virtual time."""
    caplog.set_level(logging.CRITICAL)  # pytest would keep every line
    many, metrics, decisions = Virtual(), ControllerMetrics(), Decisions()
    many.controller = many.another(Both(metrics, decisions))
    many.controller.start()
    tracemalloc.start()
    try:
        for number in range(WARM // AT_ONCE):
            lives(many, number)
        before = held()
        for number in range(WARM // AT_ONCE, ROLLOUTS // AT_ONCE):
            lives(many, number)
        after = held()
    finally:
        tracemalloc.stop()
    assert after[0] - before[0] < SLACK
    assert after[1:] == before[1:]
    assert (many.controller.count, decisions.said) == (0, {})
    text = metrics.exposition().decode()
    assert f"canary_rollouts_started_total {ROLLOUTS:.1f}" in text
    assert "web-" not in text
