"""Counts are the truth: what was driven between two moments is what is read, to the last request."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from canary.api.analysis import Reporter
from canary.engine.observed import Cause, Counts, Missing, Query, Shape, Subject, Value
from canary.metrics.promql import Dialect
from tests.metrics.conftest import Watched
from tests.metrics.mesh import Mesh, ask, now
from tests.parts.processes import wait_for


def nothing(answer: Counts | str) -> bool:
    """There is no series in the window, which is not zero."""
    return isinstance(answer, str) and answer.startswith("no data (no series")


def test_windows_tile(watched: Watched) -> None:
    """Windows that follow each other hold every request once, and their sum is what one long window holds."""
    pod = watched.pods.start("tiles")
    moments, driven = [watched.seen()], []
    for count in (3, 0, 250, 1):
        pod.serve(count)
        pod.serve(2 * count, "503")
        moments.append(watched.seen())
        driven.append(Counts(3 * count, 2 * count))
    looks = pairwise(moments)
    assert [watched.counts("tiles", *look) for look in looks] == driven
    assert watched.counts("tiles", moments[0], moments[-1]) == Counts(762, 508)


def test_what_counts_as_failed(watched: Watched) -> None:
    """5xx, no response at all, and the gRPC codes that are 5xx in HTTP; not 4xx, not NOT_FOUND."""
    pod = watched.pods.start("codes")
    start = watched.seen()
    for count, code, grpc in (
        (1, "200", ""),
        (2, "404", ""),
        (4, "500", ""),
        (8, "0", ""),
        (16, "200", "0"),
        (32, "200", "5"),
        (64, "200", "14"),
    ):
        pod.serve(count, code, grpc=grpc)
    end = watched.seen()
    assert watched.counts("codes", start, end) == Counts(127, 4 + 8 + 64)
    assert watched.value("request-success-rate", "codes", start, end) == Value(100 * 51 / 127)


def test_a_new_pods_first_requests_count(watched: Watched) -> None:
    """A pod that comes, fails everything and dies between two evaluations is counted in full, `rate()` sees
    nothing."""
    start = watched.seen()
    pod = watched.pods.start("short-lived")
    pod.serve(40, "503")
    watched.seen()
    watched.pods.end(pod)
    end = watched.seen()
    assert watched.counts("short-lived", start, end) == Counts(40, 40)
    assert watched.value("request-success-rate", "short-lived", start, end) == Value(0)
    assert watched.counts("short-lived", end, watched.seen()) == (
        "no data (no series istio_requests_total of shop/short-lived in the window)"
    )


def test_a_share_of_good_requests_where_all_fail(watched: Watched) -> None:
    """It has no value, as lint warns: the first good request makes the series that it divides."""
    pod = watched.pods.start("all-fail")
    start = watched.seen()
    for _ in range(2):
        pod.serve(20, "503")
        end = watched.seen()
    every = 'sum(rate(istio_requests_total{destination_workload="all-fail"}[1m]))'
    good = every.replace("}", ',response_code!~"5.*"}')
    assert ask(watched.prometheus, f"{good} / {every}") == []
    (row,) = ask(watched.prometheus, f"({good} or vector(0)) / {every}")
    assert row["value"][1] == "0"
    assert watched.value("request-success-rate", "all-fail", start, end) == Value(0)


def test_a_burst_of_a_new_code_counts(watched: Watched) -> None:
    """The first 503 ever of a healthy pod has no sample before it; all of the burst is there all the same."""
    pod = watched.pods.start("burst")
    pod.serve(1000)
    start = watched.seen()
    pod.serve(100)
    pod.serve(500, "503")
    end = watched.seen()
    assert watched.counts("burst", start, end) == Counts(600, 500)


def test_a_restart_begins_again(watched: Watched) -> None:
    """After a reset what the new process counted counts, also when it has more than the old one had."""
    small, large = watched.pods.start("restart-small"), watched.pods.start("restart-large")
    late = watched.pods.start("restart-late")
    small.serve(1000)
    large.serve(10)
    late.serve(10)
    start = watched.seen()
    small.restart()
    large.restart()
    small.serve(20, "500")
    large.serve(1, "200")
    late.serve(90)
    watched.seen()
    large.serve(299, "200")
    late.restart()
    late.serve(50)
    end = watched.seen()
    assert watched.counts("restart-small", start, end) == Counts(20, 20)
    assert watched.counts("restart-large", start, end) == Counts(300, 0)
    assert watched.counts("restart-late", start, end) == Counts(50, 0)  # what the old process had is lost


def test_buckets_are_reset_together(watched: Watched) -> None:
    """A bucket that is higher after a restart than before is no growth when its neighbours say restart."""
    pod = watched.pods.start("joint")
    pod.serve(5, ms=10)
    pod.serve(995, ms=700)
    start = watched.seen()
    pod.restart()
    pod.serve(10, ms=10)
    pod.serve(2, ms=700)
    end = watched.seen()
    assert watched.counts("joint", start, end, 500) == Counts(12, 0, ((500, 2),), timed=12)


def test_failed_scrapes_at_the_edge(watched: Watched) -> None:
    """A scrape that fails where two windows meet moves requests into the second; none is lost or counted twice."""
    pod = watched.pods.start("edge")
    pod.serve(1_000_000)
    start = watched.seen()
    pod.serve(7)
    watched.seen()
    pod.healthy = False
    pod.serve(30, "503")
    middle = watched.seen()
    pod.healthy = True
    end = watched.seen()
    assert watched.counts("edge", start, middle) == Counts(7, 0)
    assert watched.counts("edge", middle, end) == Counts(30, 30)


def test_a_window_without_a_scrape_is_no_look(watched: Watched) -> None:
    """Nothing was scraped: that is missing, not zero. A pod without requests, in contrast, has zero."""
    pod = watched.pods.start("unscraped")
    pod.serve(10)
    watched.seen()
    start = watched.seen()
    end = watched.seen()
    assert watched.counts("unscraped", start, end) == Counts(0, 0)
    pod.healthy = False
    start = watched.seen()
    end = watched.seen()
    assert nothing(watched.counts("unscraped", start, end))


def test_a_pod_that_goes_and_comes_back(watched: Watched) -> None:
    """What a pod counted while no one could scrape it counts when it is back; its whole life doesn't."""
    pod = watched.pods.start("away")
    pod.serve(5000)
    watched.seen()
    watched.pods.end(pod)
    left = watched.seen()
    gone = watched.seen()
    pod.serve(50)
    watched.pods.back(pod)
    end = watched.seen()
    assert nothing(watched.counts("away", left, gone))
    assert watched.counts("away", gone, end) == Counts(50, 0)


def test_slower_than_an_edge(watched: Watched) -> None:
    """An edge of the histogram is answered as it is; another by its neighbours, which are surely true."""
    pod = watched.pods.start("slower")
    start = watched.seen()
    for count, ms in ((100, 50), (20, 200), (3, 400), (1, 5000)):
        pod.serve(count, ms=ms)
    end = watched.seen()
    assert watched.counts("slower", start, end, 250) == Counts(124, 0, ((250, 4),), timed=124)
    assert watched.counts("slower", start, end, 300) == Counts(124, 0, ((250, 4), (500, 1)), timed=124)
    assert watched.counts("slower", start, end, 50, 9000) == Counts(124, 0, ((100, 24), (1000, 1)), timed=124)


def test_the_99th_percentile(watched: Watched) -> None:
    """Within a bucket as Prometheus interpolates; above the highest edge it fails every maximum."""
    pod = watched.pods.start("p99")
    start = watched.seen()
    pod.serve(98, ms=50)
    pod.serve(2, ms=400)
    middle = watched.seen()
    pod.serve(10, ms=50_000)
    end = watched.seen()
    assert watched.value("request-duration", "p99", start, middle) == Value(375)
    assert watched.value("request-duration", "p99", middle, end) == Value(1e9)


def test_no_series_and_no_request_are_distinguished(watched: Watched) -> None:
    """Both are no data, and the message says which."""
    watched.pods.start("quiet").serve(5)
    start = watched.seen()
    end = watched.seen()
    none = Missing(Cause.EMPTY, "no request to shop/quiet in the window")
    assert watched.value("request-success-rate", "quiet", start, end) == none
    assert watched.value("request-duration", "quiet", start, end) == none
    assert watched.value("request-success-rate", "nobody", start, end) == Missing(
        Cause.EMPTY, "no series istio_requests_total of shop/nobody in the window"
    )


def test_which_reporter_is_believed(watched: Watched) -> None:
    """The destination's proxy, else the waypoint, else the source's; for a value also where one has no request."""
    both = [watched.pods.start("both"), watched.pods.start("both", "source")]
    only = watched.pods.start("source-only", "source")
    broken = [watched.pods.start("broken"), watched.pods.start("broken", "source")]
    broken[0].serve(5)
    ambient = [watched.pods.start("ambient", "waypoint"), watched.pods.start("ambient", "source")]
    start = watched.seen()
    ambient[0].serve(7, "503")
    ambient[1].serve(99)
    both[0].serve(10)
    both[1].serve(99, "503")
    only.serve(4, "503")
    broken[1].serve(6, "503")
    end = watched.seen()
    assert watched.counts("both", start, end) == Counts(10, 0)
    assert watched.counts("source-only", start, end) == Counts(4, 4)
    assert watched.counts("ambient", start, end) == Counts(7, 7)
    assert watched.value("request-success-rate", "ambient", start, end) == Value(0)
    assert watched.counts("broken", start, end) == Counts(0, 0)
    assert watched.value("request-success-rate", "broken", start, end) == Value(0)


def test_a_reporter_of_ones_choice(watched: Watched) -> None:
    """Only what it has seen counts; queries that believe different ones are still one request."""
    sides = ("destination", "waypoint", "source")
    pods = [watched.pods.start("chosen", side) for side in sides]
    start = watched.seen()
    for number, pod in enumerate(pods):
        pod.serve(number + 1, "503" if number else "200")
    end = watched.seen()
    queries = {
        side: Query("requests", end - start, Subject("chosen", "shop", reporter=Reporter(side)), Shape.COUNTS)
        for side in sides
    }
    answers = watched.adapter.measure(queries.values(), end)
    assert [answers[query] for query in queries.values()] == [Counts(1, 0), Counts(2, 2), Counts(3, 3)]
    alone = Query("requests", end - start, Subject("both", "shop", reporter=Reporter.WAYPOINT), Shape.COUNTS)
    assert not isinstance(watched.one(alone, end), Counts)


def test_envoy_scraped_directly(watched: Watched) -> None:
    """Envoy's own counters, by cluster, have the same meaning."""
    envoy = watched.pods.start("envoy")
    reader = Watched(watched.pods, watched.prometheus, Dialect("envoy"))
    start = watched.seen()
    envoy.serve_as_envoy("v2.blue", 90, ms=50)
    envoy.serve_as_envoy("v2.blue", 10, "5", ms=400)
    envoy.serve_as_envoy("v2xblue", 7, "5")
    end = watched.seen()
    v2 = Subject("v2.blue")
    counts = Query("requests", end - start, v2, Shape.COUNTS, edges=(250,))
    rate = Query("request-success-rate", end - start, v2)
    p99 = Query("request-duration", end - start, v2)
    answers = reader.adapter.measure([counts, rate, p99], end)
    assert answers == {counts: Counts(100, 10, ((250, 10),), timed=100), rate: Value(90), p99: Value(475)}
    reader.adapter.close()


def test_a_prometheus_that_has_just_begun(own: Mesh, watch: Callable[..., Watched]) -> None:
    """Counters that are high at the first scrape are a past life, not an evaluation; what is new since then
    counts."""
    pod = own.start("old")
    pod.serve(1_000_000, "503")
    here = watch(own)
    start = now()
    here.seen()
    pod.serve(9)
    pod.serve(500, "500")
    end = here.seen()
    assert here.counts("old", start, end) == Counts(509, 500)
    assert here.counts("old", start - timedelta(minutes=5), end) == Counts(509, 500)


def test_prometheus_restarts(own: Mesh, watch: Callable[..., Watched]) -> None:
    """Killed and started again it misses nothing that the counters hold; started without its data it starts again."""
    pod = own.start("survivor")
    pod.serve(1_000_000)
    here = watch(own)
    start = [here.seen() for _ in range(3)][-1]  # after three scrapes what is new counts from 0
    here.prometheus.kill()
    pod.serve(60)
    own.start("born-meanwhile").serve(5, "503")
    here.prometheus.start()
    end = here.seen()
    assert here.counts("survivor", start, end) == Counts(60, 0)
    assert here.counts("born-meanwhile", start, end) == Counts(5, 5)


@pytest.mark.parametrize(
    ("relabel", "counted"),
    [
        pytest.param("[{source_labels: [__name__], regex: up, action: keep}]", None, id="no series at all"),
        pytest.param("[{target_label: job, replacement: other}]", 30, id="a job that has no up"),
        pytest.param(
            "[{regex: job|instance, action: labeldrop}]", 30, id="neither job nor instance", marks=pytest.mark.long
        ),
    ],
)
def test_without_up(own: Mesh, watch: Callable[..., Watched], relabel: str, counted: int | None) -> None:
    """Where relabelling parts series from their `up`, new series count if others were there before; never a life."""
    old = own.start("known")
    old.serve(1_000_000)
    here = watch(own, relabel=relabel)
    begin = now()
    start = here.seen()
    old.serve(11)
    old.serve(30, "503")
    end = here.seen()
    if counted is None:
        assert nothing(here.counts("known", start, end))
    else:
        assert here.counts("known", start, end) == Counts(11 + counted, counted)
        assert here.counts("known", begin - timedelta(minutes=5), end) == Counts(11, 0)


def test_a_target_that_was_down_for_longer_than_the_look_back(own: Mesh, watch: Callable[..., Watched]) -> None:
    """An old pod that can be scraped at last brings its whole life along, which isn't counted; a new pod's is."""
    here = watch(own, dialect=Dialect(lookback=timedelta(seconds=1)))
    old = own.start("freed")
    old.healthy = False
    old.serve(1_000_000)
    here.seen()
    # `up offset` looks back 5 minutes, so the target counts as listed for longer than the evaluation-back at once.
    wait_for(lambda: ask(here.prometheus, "min_over_time(up[2s:1s] offset 2s) == 0"), "2 s of failures")
    start = here.seen()
    old.healthy = True
    here.seen()
    old.serve(3)
    end = here.seen()
    assert here.counts("freed", start, end) == Counts(3, 0)


def test_a_target_that_is_new_and_forgotten(own: Mesh, watch: Callable[..., Watched]) -> None:
    """A pod that discovery brings and takes away again is counted from its first request to its last scrape."""
    own.start("old").serve(10)
    here = watch(own)
    start = [here.seen() for _ in range(3)][-1]  # after three scrapes what is new counts from 0
    pod = own.start("discovered", listed=False)
    pod.serve(40, "503")
    here.seen()
    own.forget(pod)
    end = here.seen()
    assert here.counts("discovered", start, end) == Counts(40, 40)
