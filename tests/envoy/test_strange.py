"""A statistic that can't be used costs only its own cluster's evidence, and never the thread that reads them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.engine.observed import Cause, Missing, Query, Subject, Value
from canary.envoy.admin import Admin
from canary.metrics.envoy import EnvoyCounters

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def counter(name: str, value: object) -> dict[str, object]:
    """A statistic."""
    return {"name": f"cluster.{name}", "value": value}


def histogram(cluster: str, totals: object) -> dict[str, object]:
    """The times of one cluster's requests."""
    name = f"cluster.{cluster}.external.upstream_rq_time"
    return {"histograms": {"details": [{"name": name, "totals": totals}]}}


class Reported(Admin):
    """An Envoy that counts ten requests of each cluster a minute, half of them failed, and has more to say."""

    def __init__(self, *more: object) -> None:
        super().__init__("http://127.0.0.1:1")
        self.more = more
        self.count = 0

    def dump(self, **query: str) -> list[dict[str, Any]]:
        return [{"last_updated": "once"}]

    def stats(self, pattern: str, **query: str) -> Mapping[str, Any]:
        self.count += 10
        counts = [("membership_total", 1), ("external.upstream_rq_completed", self.count)]
        counts.append(("external.upstream_rq_5xx", self.count // 2))
        return {"stats": [*(counter(f"{of}.{name}", its) for of in ("v1", "v2") for name, its in counts), *self.more]}


STRANGE = [
    ("a count that is none", counter("v1.upstream_rq_timeout", "many")),
    ("an infinite count", counter("v1.upstream_rq_timeout", float("inf"))),
    ("a negative count", counter("v1.upstream_rq_timeout", -5)),
    ("no totals", histogram("v1", None)),
    ("a total without an edge", histogram("v1", [{"count": 5}])),
    ("a NaN edge", histogram("v1", [{"lower_bound": float("nan"), "width": 1.0, "count": 5}])),
    ("an edge below zero", histogram("v1", [{"lower_bound": -1.0, "width": 1.0, "count": 5}])),
    ("a width below zero", histogram("v1", [{"lower_bound": 5.0, "width": -1.0, "count": 5}])),
    ("an edge and a width beyond all numbers", histogram("v1", [{"lower_bound": 1e308, "width": 1e308, "count": 5}])),
    ("a count of a thousand digits", counter("v1.upstream_rq_timeout", 10**1000)),
    ("a count below zero", histogram("v1", [{"lower_bound": 1.0, "width": 1.0, "count": -5}])),
]
NOTHING = [
    "text",
    7,
    None,
    {"name": 5, "value": 5},
    {"histograms": {"details": 5}},
    {"histograms": {"details": ["x"]}},
]


def look(*more: object) -> list[object]:
    """The success rates of v1 and v2 over a minute."""
    admin, now = Reported(*more), [NOON]
    counters = EnvoyCounters(admin, now=lambda: now[0])
    queries = [Query("request-success-rate", MINUTE, Subject(name)) for name in ("v1", "v2")]
    counters.measure(queries, now[0])
    now[0] += MINUTE
    found = counters.measure(queries, now[0])
    return [found[query] for query in queries]


@pytest.mark.parametrize("more", [pytest.param(one, id=sentence) for sentence, one in STRANGE])
def test_a_strange_statistic_costs_its_own_cluster_only(more: object) -> None:
    """The other one is judged as ever, and the reason names the cluster."""
    v1, v2 = look(more)
    assert v2 == Value(50)
    assert isinstance(v1, Missing)
    assert (v1.cause, "statistics of cluster.v1.*" in v1.detail) == (Cause.RUBBISH, True)
    assert len(v1.detail) < 300


@pytest.mark.parametrize("more", NOTHING)
def test_what_is_no_statistic_is_passed_over(more: object) -> None:
    """It belongs to no cluster."""
    assert look(more) == [Value(50), Value(50)]
