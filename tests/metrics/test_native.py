"""Native histograms on a real Prometheus 3: classic ones that it converts, and exponential ones that it is sent."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from canary.engine.observed import Cause, Counts, Missing, Query, Shape, Subject, Value
from canary.metrics.prometheus import Prometheus as Adapter
from tests.metrics.conftest import Watched
from tests.metrics.mesh import TOLERANCE, Mesh, ask, mesh, now
from tests.parts import modules
from tests.parts.processes import wait_for
from tests.parts.prometheus import Prometheus

NAME = "istio_request_duration_milliseconds"
CONVERTED = "convert_classic_histograms_to_nhcb: true"
CODES = "istio_requests_total"
Data = dict[str, Any]


@pytest.fixture(scope="module")
def binary() -> Path:
    """Prometheus 3."""
    return modules.program("prometheus3", "Prometheus 3")


@pytest.fixture(scope="module")
def watched(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A mesh whose histograms are converted, watched since before the test."""
    folder = tmp_path_factory.mktemp("native")
    with mesh(folder, places=16) as pods:
        pods.start("idle")
        here = Watched(pods, _started(binary, folder, pods, CONVERTED))
        try:
            for _ in range(3):  # after which what is new counts from 0
                here.seen()
            yield here
        finally:
            here.adapter.close()
            here.prometheus.kill()


def _started(binary: Path, folder: Path, pods: Mesh | None, *more: str) -> Prometheus:
    configs = pods.scrape_configs("", *more) if pods else ""
    flags = ("--web.enable-otlp-receiver",)
    prometheus = Prometheus(binary, folder / "prometheus", configs, scrape_interval="200ms", flags=flags)
    prometheus.start()
    return prometheus


def test_counts_and_percentile_of_a_converted_histogram(watched: Watched) -> None:
    """As of its classic buckets: each bound of a bucket is an edge, and what is between two is bounded by both."""
    pod = watched.pods.start("web")
    pod.serve(1000, ms=50)
    start = watched.seen()
    for count, ms in ((100, 50), (20, 200), (3, 400), (1, 5000)):
        pod.serve(count, ms=ms)
    pod.serve(4, "503", ms=300)
    end = watched.seen()
    assert not ask(watched.prometheus, f"{NAME}_bucket")
    found = watched.counts("web", start, end, 250, 300, 9000)
    assert isinstance(found, Counts)
    assert (found.total, found.bad, found.timed) == (128, 4, 128)
    assert [found.slower_than(edge) for edge in (100, 250, 300, 500, 1000)] == [28, 8, None, 1, 1]
    assert (found.surely_slower(300), found.possibly_slower(300), found.possibly_slower(9000)) == (1, 8, 1)
    assert watched.value("request-success-rate", "web", start, end) == Value(96.875)
    pod.serve(98, ms=50)
    pod.serve(2, ms=400)
    assert watched.value("request-duration", "web", end, watched.seen()) == Value(375)


def test_pods_that_come_restart_and_go(watched: Watched) -> None:
    """A new pod counts from 0, a restarted one what it counted since, and one that is gone nothing. Windows tile."""
    steady, restarted, gone = (watched.pods.start("pods") for _ in range(3))
    for pod in (steady, restarted, gone):
        pod.serve(50, ms=400)
    moments = [watched.seen()]
    steady.serve(7, ms=50)
    restarted.restart()
    restarted.serve(3, ms=400)
    watched.pods.end(gone)
    moments.append(watched.seen())
    watched.pods.start("pods").serve(5, ms=2000)
    restarted.serve(90, ms=50)
    moments.append(watched.seen())
    restarted.restart()
    restarted.serve(200, ms=400)  # more than it had counted before
    moments.append(watched.seen())
    found = [watched.counts("pods", *window, 250) for window in pairwise(moments)]
    assert [(one.timed, one.slower_than(250)) for one in found if isinstance(one, Counts)] == [
        (10, 3),
        (95, 5),
        (200, 200),
    ]
    whole = watched.counts("pods", moments[0], moments[2], 250)
    assert isinstance(whole, Counts)
    assert (whole.timed, whole.slower_than(250)) == (105, 8)


def test_no_request_is_no_missing_histogram(watched: Watched) -> None:
    """Zeros as of classic buckets: before any request, and in a window without one."""
    pod = watched.pods.start("quiet")
    pod.serve(0)
    watched.seen()
    start = watched.seen()
    end = watched.seen()
    assert watched.counts("quiet", start, end, 250) == Counts(0, 0)
    pod.serve(9, ms=50)
    start, end = watched.seen(), watched.seen()
    found = watched.counts("quiet", start, end, 250)
    assert isinstance(found, Counts)
    assert (found.total, found.timed, found.slower_than(250)) == (0, 0, 0)
    answer = watched.value("request-duration", "quiet", start, end)
    assert answer == Missing(Cause.EMPTY, "no request to shop/quiet in the window")


def test_a_prometheus_that_just_began(binary: Path, tmp_path: Path) -> None:
    """It can't know when what it sees first was counted: nothing of it counts."""
    with mesh(tmp_path) as pods:
        pod = pods.start("old")
        pod.serve(5000, ms=400)
        start = now()
        here = Watched(pods, _started(binary, tmp_path, pods, CONVERTED, "always_scrape_classic_histograms: true"))
        try:
            middle = here.seen()
            pod.serve(7, ms=50)
            end = here.seen()
            assert ask(here.prometheus, f'{NAME}_bucket{{le="+Inf"}}')
            assert here.counts("old", start, middle, 250) == Counts(0, 0, ((250, 0),))
            assert here.counts("old", middle, end, 250) == Counts(7, 0, ((250, 0),), timed=7)
        finally:
            here.adapter.close()
            here.prometheus.kill()


@dataclass
class Sent:
    """Exponential histograms of one workload's pods, sent as OpenTelemetry does, and their requests by code."""

    prometheus: Prometheus
    workload: str
    since: dict[str, int] = field(default_factory=dict)
    """When each pod began, in nanoseconds."""

    def send(self, **pods: tuple[int, Mapping[float, int]]) -> datetime:
        """Of each pod: the resolution, and the requests by their duration in ms since it began. A time after it."""
        durations, codes = list[Data](), list[Data]()
        for pod, (resolution, took) in pods.items():
            begun = self.since.setdefault(pod, time.time_ns() - 10**9)
            total = sum(took.values())
            common = {"startTimeUnixNano": str(begun), "timeUnixNano": str(time.time_ns())}
            durations.append(self._point(pod, "") | common | exponential(resolution, took) | {"count": str(total)})
            codes.append(self._point(pod, "200") | common | {"asInt": str(total)})
        metrics = [
            {"name": NAME, "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": durations}},
            {"name": CODES, "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": codes}},
        ]
        sent = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
        url, headers = f"{self.prometheus.url}/api/v1/otlp/v1/metrics", {"Content-Type": "application/json"}
        with urlopen(Request(url, json.dumps(sent).encode(), headers)) as answer:
            assert answer.status == 200
        moment = now()
        wait_for(lambda: now() - moment > TOLERANCE, "the next samples to be later", every=0.001)
        return moment

    def _point(self, pod: str, code: str) -> Data:
        labels = {"pod": pod, "reporter": "destination", "response_code": code}
        labels |= {"destination_workload": self.workload, "destination_workload_namespace": "shop"}
        return {"attributes": [{"key": name, "value": {"stringValue": text}} for name, text in labels.items()]}


def exponential(resolution: int, took: Mapping[float, int]) -> Data:
    """The buckets as OpenTelemetry numbers them: the bounds of number n are 2^(n/2^resolution) and that of n + 1.

    https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram
    """
    counts: dict[int, int] = {}
    for ms, count in took.items():
        number = math.ceil(math.log2(ms) * 2**resolution) - 1
        counts[number] = counts.get(number, 0) + count
    first = min(counts)
    each = [str(counts.get(number, 0)) for number in range(first, max(counts) + 1)]
    return {"scale": resolution, "positive": {"offset": first, "bucketCounts": each}}


@pytest.fixture(scope="module")
def receiving(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that is sent samples."""
    prometheus = _started(binary, tmp_path_factory.mktemp("otlp"), None)
    yield prometheus
    prometheus.kill()


def counted(prometheus: Prometheus, workload: str, start: datetime, end: datetime, edge: float) -> Counts:
    """What the adapter counts between two moments."""
    query = Query("requests", end - start, Subject(workload, "shop"), Shape.COUNTS, edges=(edge / 2, edge))
    with closing(Adapter(prometheus.url, timeout=60)) as source:
        answer = source.measure([query], end)[query]
    assert isinstance(answer, Counts), answer
    return answer


def test_an_exponential_histogram(receiving: Prometheus) -> None:
    """Powers of 2^(1/2) around 500 ms are 362 and 512. If no request is between them, that of 500 ms is known."""
    pods = Sent(receiving, "exponential")
    start = pods.send(a=(1, {100.0: 5}), b=(1, {300.0: 1}))
    middle = pods.send(a=(1, {100.0: 7, 600.0: 3}), b=(1, {300.0: 2}))
    end = pods.send(a=(1, {100.0: 7, 400.0: 4, 600.0: 4}), b=(1, {300.0: 2}))
    first, second = (counted(receiving, "exponential", *window, 500) for window in ((start, middle), (middle, end)))
    assert (first.total, first.timed, first.slower_than(500)) == (6, 6, 3)
    assert (second.timed, second.slower_than(500), second.slower_than(512)) == (5, None, 1)
    assert (second.surely_slower(500), second.possibly_slower(500)) == (1, 5)


def test_a_resolution_that_is_reduced_and_a_restart(receiving: Prometheus) -> None:
    """The coarser buckets' bounds are left, and no request is counted twice."""
    pods = Sent(receiving, "coarse")
    start = pods.send(a=(3, {100.0: 5, 400.0: 5, 900.0: 1}))
    coarse = pods.send(a=(0, {100.0: 6, 400.0: 9, 900.0: 3}))
    pods.since.clear()
    end = pods.send(a=(3, {100.0: 20, 400.0: 1}))
    reduced, restarted = (counted(receiving, "coarse", *window, 512) for window in ((start, coarse), (coarse, end)))
    assert (reduced.timed, reduced.slower_than(512), reduced.slower_than(256)) == (7, 2, 6)
    assert (restarted.timed, restarted.slower_than(512), restarted.slower_than(256)) == (21, 0, 1)


def test_histograms_that_cannot_be_added_up(watched: Watched) -> None:
    """Of one workload they are no data, and hide neither its errors nor what other workloads did."""
    sent = Sent(watched.prometheus, "mixed")
    mixed, other = (watched.pods.start(name) for name in ("mixed", "other"))
    sent.send(a=(1, {100.0: 5}))
    mixed.serve(1)
    start = watched.seen()
    mixed.serve(2, "503")
    other.serve(7, ms=400)
    sent.send(a=(1, {100.0: 6}))
    end = watched.seen()
    queries = [
        Query(metric, end - start, Subject(name, "shop"), Shape.COUNTS, edges=edges)
        for name in ("mixed", "other")
        for metric, edges in (("requests", ()), ("requests", (250.0,)))
    ]
    errors, durations, *of_other = watched.adapter.measure(queries, end).values()
    assert errors == Counts(3, 2)
    assert isinstance(durations, Missing)
    assert durations.cause is Cause.EMPTY
    assert durations.detail.startswith(
        "no native histograms that can be added up: PromQL warning: vector contains a mix"
    )
    assert [(one.total, one.bad) for one in of_other if isinstance(one, Counts)] == [(7, 0)] * 2
    assert isinstance(of_other[1], Counts)
    assert of_other[1].slower_than(250) == 7


def test_pods_with_different_buckets(watched: Watched) -> None:
    """The bounds that all have are left."""
    fine, coarse = (
        watched.pods.start("uneven", edges=edges) for edges in ((100.0, 250.0, math.inf), (100.0, math.inf))
    )
    fine.serve(3, ms=50)
    coarse.serve(4, ms=200)
    start = watched.seen()
    fine.serve(5, ms=200)
    coarse.serve(6, ms=50)
    found = watched.counts("uneven", start, watched.seen(), 250)
    assert isinstance(found, Counts)
    assert (found.timed, found.slower_than(100), found.possibly_slower(250)) == (11, 5, 5)


def test_a_conversion_that_begins_at_the_window(watched: Watched) -> None:
    """What the classic buckets had counted before it isn't counted once more."""
    pod = watched.pods.start("turned")
    pod.typed = False
    pod.serve(5000, ms=400)
    watched.seen()
    pod.typed = True
    pod.serve(3, ms=50)
    middle = watched.seen()
    samples = ask(watched.prometheus, f'{NAME}_bucket{{destination_workload="turned"}}[1h]')
    start = datetime.fromtimestamp(max(row["values"][-1][0] for row in samples), UTC) + TOLERANCE
    first = watched.counts("turned", start, middle, 250)
    pod.serve(7, ms=400)
    second = watched.counts("turned", middle, watched.seen(), 250)
    assert isinstance(first, Counts)
    assert isinstance(second, Counts)
    assert (first.total, first.timed, second.timed, second.slower_than(250)) == (3, 0, 7, 7)
