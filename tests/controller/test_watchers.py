"""Metrics and logs as one Watcher of the controller."""

import logging

import pytest

from canary.controller.fleet import Watcher
from canary.controller.logs import Decisions
from canary.controller.metrics import Metrics
from canary.controller.watchers import Watchers
from tests.show.turns import Play


def test_metrics_and_logs_are_told_alike(caplog: pytest.LogCaptureFixture) -> None:
    """Of each turn, of what raised, and of what is gone."""
    metrics, decisions, key = Metrics(), Decisions(), ("shop", "reviews")
    both: Watcher = Watchers((metrics, decisions))
    with caplog.at_level(logging.INFO):
        both.ticked(key, Play().turn(), 0.01, 0.0)
        both.crashed(key, ValueError("no such step"))
    assert b'canary_ticks_total{result="error"} 1.0' in metrics.exposition()
    assert caplog.messages == ["v2 shall take over from v1", "a tick raised"]
    assert "ValueError: no such step" in caplog.text
    assert b'name="reviews"' in metrics.exposition()
    both.forgot(key)
    assert b'name="reviews"' not in metrics.exposition()
    assert decisions.said == {}
