"""Templates with `counts`: their counters' exact differences, on a real Prometheus."""

from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest

from canary.bootstrap.checking import sent
from canary.engine.counters import CLASSIC, counters, doubt
from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject
from canary.metrics.prometheus import Prometheus as Adapter
from tests.metrics.conftest import Watched
from tests.metrics.providers import answer, query
from tests.metrics.server import serve, vector

ALL = 'istio_requests_total{destination_workload="{{ target }}"}'
FAILED = 'istio_requests_total{destination_workload="{{ target }}",response_code=~"{{ variables.codes }}"}'
BUCKET = 'istio_request_duration_milliseconds_bucket{{destination_workload="{{{{ target }}}}",le="{}"}}'


def events(
    watched: Watched, workload: str, start: datetime, end: datetime, total: str = ALL, bad: str = FAILED
) -> Sample:
    """The counts of a template in a window, and in how many requests."""
    names = (("variables.codes", "5.."),)
    asked = Query("orders", end - start, Subject(workload, "shop"), Shape.COUNTS, text=total, bad=bad, names=names)
    return watched.one(asked, end)


def test_windows_of_events_tile(watched: Watched) -> None:
    """Each event once: also the first failures ever, those of a new pod, and after a restart."""
    old = watched.pods.start("orders")
    old.serve(1000)
    moments, driven = [watched.seen()], []
    old.serve(7)
    moments.append(watched.seen())
    driven.append(Counts(7, 0))
    old.serve(3)
    old.serve(40, "503")
    moments.append(watched.seen())
    driven.append(Counts(43, 40))
    watched.pods.start("orders").serve(5, "500")
    moments.append(watched.seen())
    driven.append(Counts(5, 5))
    old.restart()
    old.serve(2, "503")
    moments.append(watched.seen())
    driven.append(Counts(2, 2))
    moments.append(watched.seen())
    driven.append(Counts(0, 0))
    assert [events(watched, "orders", *look) for look in pairwise(moments)] == driven


def test_counters_are_added_and_subtracted(watched: Watched) -> None:
    """Slow requests are all less the quick ones; a counter without a series adds nothing."""
    pod = watched.pods.start("slow-orders")
    start = watched.seen()
    pod.serve(20, ms=50)
    pod.serve(3, ms=700)
    end = watched.seen()
    everything, quick = BUCKET.format("+Inf"), BUCKET.format("500")
    slow = events(watched, "slow-orders", start, end, f"{everything} + absent_total", f"{everything}\n  - {quick}")
    assert slow == Counts(23, 3)
    unknown = events(watched, "slow-orders", start, end, everything, f"{everything} - absent_total")
    assert unknown == Missing(Cause.EMPTY, "no series of absent_total in the window, which is subtracted")
    impossible = events(watched, "slow-orders", start, end, quick, everything)
    assert impossible == Missing(Cause.RUBBISH, "23 bad events of 20")


def test_counters_that_are_not_there(watched: Watched) -> None:
    """No series, or none that was scraped in the window, is no zero."""
    pod = watched.pods.start("unscraped-orders")
    pod.serve(10)
    watched.seen()
    pod.healthy = False
    start = watched.seen()
    end = watched.seen()
    for workload in ("unscraped-orders", "nobody"):
        found = events(watched, workload, start, end)
        assert isinstance(found, Missing)
        assert found.cause is Cause.EMPTY
        assert found.detail == f"no series of {ALL.replace('{{ target }}', workload)} in the window"


def test_both_counters_are_one_request(watched: Watched) -> None:
    """Two where a counter has a new series, for which `up` is needed."""
    pod = watched.pods.start("asked-orders")
    pod.serve(1)
    start = watched.seen()
    pod.serve(4)
    middle = watched.seen()
    pod.serve(2, "503")
    end = watched.seen()
    reported: list[object] = []
    adapter = Adapter(watched.prometheus.url, timeout=60, on_request=reported.append)
    names = (("variables.codes", "5.."),)
    looks = []
    for began, ended in ((start, middle), (middle, end)):
        asked = Query("a", ended - began, Subject("asked-orders"), Shape.COUNTS, text=ALL, bad=FAILED, names=names)
        same = replace(asked, metric="b")
        answers = adapter.measure([asked, same], ended)
        looks.append((answers[asked], answers[same] == answers[asked], len(reported)))
        reported.clear()
    adapter.close()
    assert looks == [(Counts(4, 0), True, 1), (Counts(2, 2), True, 2)]


def test_a_template_with_credentials(watched: Watched) -> None:
    """The same counts of a Prometheus that only the template's own provider may ask; of others there are none."""
    rows = [({"canary_counter": "0"}, "9"), ({"canary_counter": "1"}, "2")]
    with serve((200, vector(*rows))) as server:
        asked = replace(
            query("prometheus", ALL, server.url, "creds"), shape=Shape.COUNTS, bad=ALL.replace("re", "er")
        )
        assert answer(asked, {"token": "s3cret-t0ken"}) == Counts(9, 2)
        assert [one.headers["Authorization"] for one in server.asked] == ["Bearer s3cret-t0ken"]
    found = answer(replace(asked, provider=asked.provider and asked.provider.but(type="graphite")))
    assert isinstance(found, Missing)
    assert found.detail == "the provider graphite has no counts; only Prometheus has"


def test_new_series_of_a_template_with_credentials() -> None:
    """They are asked again, with `up`; and once only."""

    def reply(text: str) -> tuple[int, str]:
        return 200, vector(({"canary_counter": "0"}, "5" if "up[" in text else "-Inf"))

    with serve(reply) as server:
        asked = replace(query("prometheus", "a_total", server.url), shape=Shape.COUNTS, bad="b_total")
        assert answer(asked) == Counts(5, 0)
        assert ["up[" in one.form["query"] for one in server.asked] == [False, True]


def test_what_is_sent_can_be_shown() -> None:
    """Both counters, with their words filled in."""
    asked = replace(query("prometheus", ALL, None), shape=Shape.COUNTS, bad=ALL, provider=None)
    assert (
        sent(asked, "http://prometheus:9090", "istio").count("last_over_time(istio_requests_total{destination_") > 1
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("orders_total", [(1, "orders_total")]),
        (
            ' a_total{x="}+{"} - b:c_total { le = "+Inf" }\n+ d',
            [(1, 'a_total{x="}+{"}'), (-1, 'b:c_total{ le = "+Inf" }'), (1, "d")],
        ),
        ("{__name__=~\"a|b\", c!='d'}", [(1, "{__name__=~\"a|b\", c!='d'}")]),
    ],
)
def test_counters_are_read(text: str, found: list[tuple[int, str]]) -> None:
    """A selector, or several."""
    assert [(one.sign, one.selector) for one in counters(text)] == found


WITHOUT = "isn't one; canary takes the differences itself, without functions and windows"

NATIVE = f"reads a native histogram, of which no exact differences can be taken; {CLASSIC}"


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("sum(orders_total)", f"'sum(orders_total)' {WITHOUT}"),
        ("orders_total[1m]", f"'[1m]' {WITHOUT}"),
        ("histogram_count(a_seconds)", f"'histogram_count(a_seconds)' {NATIVE}"),
        ("a_total - histogram_fraction(0, 0.5, a_seconds)", f"'histogram_fraction(0,' {NATIVE}"),
        ("a_total * 2", "'*' isn't one"),
        ("a_total offset 5m", "'offset' isn't one"),
        ("a_total or b_total", "'or' isn't one"),
        ("a_total - ", "a selector is missing at the end"),
        ("-a_total", "'-a_total' isn't one"),
        ("3", "'3' isn't one"),
        ("a_total == 0", "'==' isn't one"),
        ('a_total{b="c', "'{b=\"c' isn't one"),
        ("", "a selector is missing at the end"),
    ],
)
def test_what_is_no_counter_is_refused(text: str, odd: str) -> None:
    """Before anything is asked, and by lint: the sentence says what stands there."""
    with pytest.raises(Invalid) as raised:
        counters(text)
    assert str(raised.value).endswith(f"with + and - between them: {odd}")


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ("a_total", False),
        ('a_bucket{le="5"}', False),
        ('a_bucket{x="y",le="+Inf"}', False),
        ('{__name__="a"}', False),
        ("a_bucket", True),
        ('a_bucket{le=~"5|6"}', True),
        ("queue_length", True),
    ],
)
def test_what_is_hardly_a_counter(text: str, doubtful: bool) -> None:
    """By its name, and by its buckets."""
    assert bool(doubt(counters(text)[0])) == doubtful


def test_a_native_histogram_is_hardly_a_counter() -> None:
    """It says which buckets can be counted; a queue's length has none."""
    said = doubt(counters("request_seconds")[0])
    assert said.endswith("""keep the classic buckets too, and write X_bucket{le="…"} or X_count""")
    assert "native" not in doubt(counters("queue")[0])
