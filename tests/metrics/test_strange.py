"""Series that can't be used cost only what they would have said, and the reason says what is wrong with them."""

import logging
import math
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject, Value
from canary.metrics import answers
from canary.metrics.histogram import BEYOND
from canary.metrics.prometheus import Prometheus as Adapter
from canary.metrics.promql import Dialect
from tests.metrics.conftest import Watched
from tests.metrics.server import serve, vector

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEB, CART = Subject("web", "shop"), Subject("cart", "shop")
RATE = "request-success-rate"
P99 = "request-duration"
TIMES = "istio_request_duration_milliseconds_bucket"
Labels = Mapping[str, str]
Rows = list[tuple[Labels, str]]


def of(workload: str, **labels: str) -> Labels:
    """The labels of a row."""
    row = {"reporter": "destination", "destination_workload_namespace": "shop", "destination_workload": workload}
    return {**row, **labels}


def code(workload: str, count: str, value: str = "200", **labels: str) -> tuple[Labels, str]:
    """Requests with a response code."""
    return of(workload, response_code=value, **labels), count


def bucket(workload: str, edge: str, count: str) -> tuple[Labels, str]:
    """Requests up to a duration."""
    return of(workload, le=edge), count


FINE = [code("cart", "50", "500"), code("cart", "50"), bucket("cart", "100", "100"), bucket("cart", "+Inf", "100")]


def ask(rows: Rows, *queries: Query, dialect: Dialect | None = None) -> list[Sample]:
    """What is made of these rows."""
    with serve((200, vector(*rows))) as server, closing(Adapter(server.url, dialect=dialect)) as source:
        found = source.measure(queries, AT)
    return [found[query] for query in queries]


def lacks(count: int, label: str) -> Missing:
    """No data for want of a label."""
    return empty(f"{count} requests in istio_requests_total lack the label {label}")


def empty(words: str) -> Missing:
    """No data, and why."""
    return Missing(Cause.EMPTY, f"of shop/web, {words}")


EDGELESS = empty(f'{TIMES} has no bucket but le="+Inf", which tells no duration')
GOOD = [bucket("web", "100", "9"), bucket("web", "+Inf", "9")]
GRPC = {"request_protocol": "grpc"}
STRANGE: list[tuple[str, Rows, Sample]] = [
    ("a bucket without le", [(of("web"), "7")], Missing(Cause.EMPTY, f"no series {TIMES} of shop/web in the window")),
    ("a bucket marked so", [bucket("web", "none", "7")], empty(f'{TIMES} has no bucket le="+Inf"')),
    ("only +Inf", [bucket("web", "+Inf", "7")], EDGELESS),
    ("only 0 and +Inf", [bucket("web", "0", "0"), bucket("web", "+Inf", "7")],
     empty(f'{TIMES} has no bucket between le="0" and le="+Inf"')),
    ("an older +Inf", [bucket("web", "10", "0"), bucket("web", "110", "100"), bucket("web", "+Inf", "20")],
     Value(109)),
    ("no +Inf", [bucket("web", "100", "7")], empty(f'{TIMES} has no bucket le="+Inf"')),
    ("NaN beside good ones", [bucket("web", "NaN", "7"), *GOOD], Value(99)),
    ("none beside good ones", [bucket("web", "none", "7"), *GOOD], Value(99)),
    ("an edge that overflows", [bucket("web", "1e999", "7"), bucket("web", "+Inf", "7")],
     EDGELESS),
    ("an edge of years", [bucket("web", "1e300", "7"), bucket("web", "1", "0"), bucket("web", "+Inf", "7")],
     Value(BEYOND)),
    ("a negative edge", [bucket("web", "-5", "7"), bucket("web", "10", "7"), bucket("web", "+Inf", "7")], Value(9.9)),
    ("an infinite count", [bucket("web", "100", "+Inf"), bucket("web", "+Inf", "+Inf")],
     Missing(Cause.NAN, "inf requests")),
    ("a huge count", [bucket("web", "100", "1e308"), bucket("web", "+Inf", "1e308")],
     Missing(Cause.NAN, "1e+308 requests, more than a counter can count one by one")),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "answer"), [pytest.param(*row, id=sentence) for sentence, *row in STRANGE])
def test_strange_durations_cost_only_their_workload(rows: Rows, answer: Sample) -> None:
    """Cart's failing half is seen in the same request, with any histogram of the other workload."""
    web, cart, rate = (Query(*one) for one in ((P99, MINUTE, WEB), (P99, MINUTE, CART), (RATE, MINUTE, CART)))
    found = ask([*rows, *FINE], web, cart, rate)
    assert found == [answer, Value(99), Value(50)]
    assert ask([*rows, *FINE], web, cart) == [answer, Value(99)]


LACKING: list[tuple[str, Rows, Sample]] = [
    ("no code at all", [(of("web"), "100")], lacks(100, "response_code")),
    ("some pods", [code("web", "60"), (of("web"), "40")],
     lacks(40, "response_code")),
    ("a code that is none", [code("web", "60", "unknown")],
     lacks(60, "response_code")),
    ("nothing counted without it", [code("web", "60"), (of("web"), "0")], Value(100)),
    ("code 0", [code("web", "60"), code("web", "40", "0")], Value(60)),
    ("gRPC", [code("web", "60", request_protocol="grpc", grpc_response_status="0")], Value(100)),
    ("gRPC without its status", [code("web", "60", request_protocol="grpc")],
     lacks(60, "grpc_response_status")),
    ("some gRPC without its status",
     [code("web", "60", **GRPC, grpc_response_status="0"), code("web", "40", **GRPC)],
     lacks(40, "grpc_response_status")),
    ("gRPC that failed anyhow", [code("web", "30", "503", request_protocol="grpc"), code("web", "30")], Value(50)),
    ("HTTP has no gRPC status", [code("web", "60", request_protocol="http")], Value(100)),
    ("a value that is no number", [({**of("web"), "response_code": "200"}, "many")],
     Missing(Cause.NAN, "nan requests")),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "answer"), [pytest.param(*row, id=sentence) for sentence, *row in LACKING])
def test_requests_without_the_label_of_the_verdict_are_no_data(rows: Rows, answer: Sample) -> None:
    """Neither a success nor a failure; the others of the request have their answer."""
    assert ask([*rows, *FINE], Query(RATE, MINUTE, WEB), Query(RATE, MINUTE, CART)) == [answer, Value(50)]
    counts = ask([*rows, *FINE], Query("requests", MINUTE, WEB, Shape.COUNTS))
    assert isinstance(counts[0], Counts if isinstance(answer, Value) else Missing)


UNREADABLE = Missing(Cause.RUBBISH, "a series with a label that isn't text")
UNREAD: list[tuple[str, dict[str, object], tuple[bool, bool, bool]]] = [
    ("a code", {"response_code": 503}, (True, False, False)),
    ("a code and its workload", {"response_code": 503, "destination_workload": None}, (True, True, False)),
    ("an edge", {"le": 100}, (False, False, True)),
    ("an edge and its workload", {"le": [], "destination_workload": ["web"]}, (False, False, True)),
    ("a reporter", {"reporter": {}}, (True, False, False)),
    ("the namespace", {"destination_workload_namespace": 1}, (True, False, False)),
    ("the namespace of another", {"destination_workload_namespace": 1, "destination_workload": "x"}, (False,) * 3),
    ("of another namespace", {"destination_workload_namespace": "x", "destination_workload": 1}, (False,) * 3),
    ("of another workload", {"response_code": 1, "destination_workload": "other"}, (False, False, False)),
    ("no one asked for", {"more": None}, (True, False, False)),
]


@pytest.mark.parametrize(("labels", "spoilt"), [pytest.param(*row, id=sentence) for sentence, *row in UNREAD])
def test_a_label_that_is_no_text_costs_only_the_workload_whose_row_it_may_be(
    labels: dict[str, object], spoilt: tuple[bool, bool, bool]
) -> None:
    """Its workload is known, or it may be that of each."""
    queries = Query(RATE, MINUTE, WEB), Query(RATE, MINUTE, CART), Query(P99, MINUTE, WEB)
    rows: list[Any] = [({**of("web"), **labels}, "7"), code("web", "60"), *GOOD, *FINE]
    good = Value(100), Value(50), Value(99)
    assert ask(rows, *queries) == [UNREADABLE if no else one for one, no in zip(good, spoilt, strict=True)]


@pytest.mark.parametrize(
    ("window", "spoilt"), [("1m", (True, False)), ("2m", (False, True)), (60, (True, True)), ("3m", (False, False))]
)
def test_a_window_that_is_no_text_may_be_each(window: object, spoilt: tuple[bool, bool]) -> None:
    """Windows of one request are distinguished by a label as well."""
    rows: list[Any] = [({**of("web"), "response_code": 1, "canary_window": window}, "7")]
    rows += [code("web", "60", canary_window=one) for one in ("1m", "2m")]
    found = ask(rows, Query(RATE, MINUTE, WEB), Query(RATE, 2 * MINUTE, WEB))
    assert found == [UNREADABLE if no else Value(100) for no in spoilt]


@pytest.mark.parametrize(
    ("labels", "spoilt"),
    [
        ({"response_code": 503}, (True, True)),
        ({"destination_service": 1}, (True, True)),
        ({"destination_service": 1, "destination_workload": "web"}, (True, False)),
        ({"destination_workload": 1}, (True, True)),
        ({"response_code": 503, "destination_workload": "web"}, (True, False)),
        ({"destination_service": "other.shop", "response_code": 1}, (False, False)),
    ],
)
def test_requests_that_reached_no_pod_with_a_label_that_is_no_text(
    labels: dict[str, object], spoilt: tuple[bool, bool]
) -> None:
    """They may count for each version of their host, unless they name one."""
    lost = {"reporter": "source", "destination_service": "shop", "destination_workload": "unknown", **labels}
    rows: list[Any] = [(lost, "7"), code("web", "60"), code("cart", "50")]
    web, cart = (Query(RATE, MINUTE, Subject(name, "shop", "shop")) for name in ("web", "cart"))
    assert ask(rows, web, cart) == [UNREADABLE if no else Value(100) for no in spoilt]


def test_a_query_with_a_label_that_is_no_text() -> None:
    """Its own answer is none, and the builtins have theirs."""
    own = Query("own", MINUTE, WEB, text="up")
    rows: list[Any] = [({"pod": 1}, "7"), *FINE]
    assert ask(rows, own, Query(RATE, MINUTE, CART)) == [
        Missing(Cause.INVALID, "a series with a label that isn't text"),
        Value(50),
    ]


def test_requests_beside_an_older_total_are_slow_as_well() -> None:
    """None of those between two edges is lost."""
    rows = [code("web", "100"), bucket("web", "10", "40"), bucket("web", "100", "90"), bucket("web", "+Inf", "20")]
    query = Query("requests", MINUTE, WEB, Shape.COUNTS, edges=(10.0,))
    assert ask(rows, query) == [Counts(100, 0, ((10.0, 50),), timed=90)]


def test_envoy_without_its_class() -> None:
    """The same for the counters of an Envoy."""
    rows: Rows = [
        ({"envoy_cluster_name": "v2"}, "9"),
        ({"envoy_cluster_name": "v1", "envoy_response_code_class": "2"}, "9"),
    ]
    v1, v2 = (Query(RATE, MINUTE, Subject(name)) for name in ("v1", "v2"))
    words = "of v2, 9 requests in envoy_cluster_upstream_rq_xx lack the label envoy_response_code_class"
    assert ask(rows, v1, v2, dialect=Dialect("envoy")) == [Value(100), Missing(Cause.EMPTY, words)]


def test_strangers_without_a_code_concern_no_version() -> None:
    """Of requests that reached no pod, and may have been meant for either, only the number is asked."""
    web = Subject("web", "shop", "web.shop")
    lost = {"reporter": "source", "destination_service": "web.shop", "destination_workload": "unknown"}
    assert ask([code("web", "60"), (lost, "5")], Query(RATE, MINUTE, web)) == [Value(100, 5)]


def test_one_number_that_is_none() -> None:
    """A native histogram in place of a number."""
    found = [{"metric": {}, "histogram": [AT.timestamp(), {"count": "1"}]}]
    assert answers.one_number(found, str) == Missing(Cause.INVALID, "something else where one number was due")


def test_a_fault_of_ours_is_no_time_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It says what it is at once, in the log once, and others have their answer."""

    def broken(*_: object) -> Sample:
        raise KeyError("le")

    monkeypatch.setattr(answers, "one_number", broken)
    mine, rate = Query("mine", MINUTE, WEB, text="up"), Query(RATE, MINUTE, CART)
    why = Missing(Cause.RUBBISH, "the answer could not be read: KeyError; the log has the traceback")
    with (
        caplog.at_level(logging.ERROR),
        serve((200, vector(*FINE))) as server,
        closing(Adapter(server.url)) as source,
    ):
        for _ in range(3):
            assert source.measure([mine, rate], AT) == {mine: why, rate: Value(50)}
    assert [(one.levelname, one.exc_info is not None) for one in caplog.records] == [("ERROR", True)]


def test_a_fault_of_ours_in_one_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the answers are put together, one query's fault is no other's."""
    honest = answers.sample

    def broken(query: Query, *rest: object) -> Sample:
        return math.nan / 0 if query.subject == WEB else honest(query, *rest)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(answers, "sample", broken)
    web, cart = Query(RATE, MINUTE, WEB), Query(RATE, MINUTE, CART)
    found = ask(FINE, web, cart)
    assert (str(found[0]), found[1]) == (
        "not an answer (the answer could not be read: ZeroDivisionError; the log has the traceback)",
        Value(50),
    )


def test_a_real_prometheus_tells_buckets_without_le_apart(watched: Watched) -> None:
    """A bucket without `le` isn't taken for requests without a code, though the two are one set of labels."""
    start = watched.seen()
    pod = watched.pods.start("edgeless")
    pod.serve(6)
    pod.serve(2, "500")
    pod._add("istio_request_duration_milliseconds_bucket", pod.labels, 5)
    end = watched.seen()
    assert watched.value(RATE, "edgeless", start, end) == Value(75)
    assert watched.value(P99, "edgeless", start, end) == Value(99)
    both = [Query(name, end - start, Subject("edgeless", "shop")) for name in (RATE, P99)]
    assert watched.adapter.measure(both, end) == {both[0]: Value(75), both[1]: Value(99)}
