"""Answers with native histograms, as they should be and strange ones, from a server of the test's own."""

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject, Value
from canary.metrics.batching import NATIVES
from canary.metrics.limits import Bounds
from canary.metrics.prometheus import Prometheus as Adapter
from tests.metrics.server import DATED, serve, vector

NAME = "istio_request_duration_milliseconds"
WEB = Subject("web", "shop")
CODE = {"reporter": "destination", "destination_workload_namespace": "shop", "response_code": "200"}
UNREADABLE = Missing(Cause.EMPTY, "a native histogram that this server can't read; Prometheus 3 and later can")
Data = dict[str, Any]
MINUTE = timedelta(minutes=1)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def histogram(le: str, count: object, *buckets: Sequence[object], **labels: str) -> Data:
    """A row of an answer that has a native histogram."""
    row = {
        "reporter": "destination",
        "destination_workload": "web",
        "destination_workload_namespace": "shop",
        "le": le,
    }
    return {"metric": {**row, **labels}, "histogram": [DATED, {"count": count, "sum": "0", "buckets": list(buckets)}]}


FINE = histogram("native end", "9", [0, "100", "250", "9"])
BEGUN = histogram("native start", "0")
HALF = Missing(Cause.PARTIAL, "native histograms at the window's start and none at its end, or the reverse")
MANY = [[0, str(number), str(number + 1), "1"] for number in range(2001)]
ELSEWHERE = {"destination_workload_namespace": "other"}
STRANGE: list[tuple[str, list[Data], Sample]] = [
    ("as they should be", [FINE, histogram("native start", "2", [0, "100", "250", "2"])], Value(248.5)),
    ("all of it in the window", [FINE, BEGUN], Value(248.5)),
    ("none at the start", [FINE], HALF),
    ("none at the end", [BEGUN], HALF),
    ("at the start that of another reporter", [FINE, histogram("native start", "0", more="1")], HALF),
    ("too many buckets", [histogram("native end", "2001", *MANY), BEGUN],
     Missing(Cause.INVALID, "a native histogram of more than 2000 buckets")),
    ("too many buckets of several", [
        *(histogram("native end", "1001", *MANY[:1001], more=more) for more in "ab"),
        *(histogram("native start", "0", more=more) for more in "ab"),
    ], Missing(Cause.INVALID, "a native histogram of more than 2000 buckets")),
    ("what Prometheus 2 makes of one", [{**FINE, "value": [DATED, "0"], "histogram": None}], UNREADABLE),
    ("a count that is none", [histogram("native end", "many")], UNREADABLE),
    ("a count that is no text", [histogram("native end", 9)], UNREADABLE),
    ("a bucket that is none", [histogram("native end", "9", [0, "100", "250"])], UNREADABLE),
    ("a bound that is none", [histogram("native end", "9", [0, "x", "250", "9"])], UNREADABLE),
    ("a start that can't be read", [FINE, histogram("native start", "many")], UNREADABLE),
    ("half of a request", [histogram("native end", "9.5", [0, "100", "250", "9"]), BEGUN],
     Missing(Cause.RUBBISH, "9.5 requests, where a counter holds whole ones")),
    ("fewer than at the start", [FINE, histogram("native start", "10", [0, "100", "250", "10"])],
     Missing(Cause.RUBBISH, "-1.0 requests, where a counter holds whole ones")),
    ("another histogram at the start", [FINE, histogram("native start", "2", [0, "10", "50", "2"])],
     Missing(Cause.RUBBISH, "-2.0 requests, where a counter holds whole ones")),
    ("no buckets", [histogram("native end", "9"), BEGUN],
     Missing(Cause.EMPTY, f'of shop/web, {NAME} has no bucket but le="+Inf", which tells no duration')),
    ("a NaN", [histogram("native end", "NaN"), BEGUN], Missing(Cause.NAN, "nan requests")),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "answer"), [pytest.param(*row, id=sentence) for sentence, *row in STRANGE])
def test_strange_histograms(rows: list[Data], answer: Sample) -> None:
    """One that can't be read is no data; errors are judged all the same."""
    codes = {"metric": {**CODE, "destination_workload": "web"}, "value": [DATED, "9"]}

    def reply(text: str) -> tuple[int, str]:
        found = [row for row in [codes, *rows] if row is codes or '"native end"' in text]
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": found}})

    rate, p99 = (Query(name, MINUTE, WEB) for name in ("request-success-rate", "request-duration"))
    with serve(reply) as server, closing(Adapter(server.url)) as source:
        found = source.measure([rate, p99], AT)
    assert (found[rate], found[p99]) == (Value(100), answer)
    assert len(server.asked) == 2


def test_one_workload_has_native_histograms_and_another_has_new_series() -> None:
    """What is asked again for one takes nothing from the other, in whichever metric the new series are."""
    new, old = ({**CODE, "destination_workload": name} for name in ("new", "old"))
    buckets = [({**old, "le": le, "response_code": ""}, "9") for le in ("100", "+Inf")]

    def reply(text: str) -> tuple[int, str]:
        rows = [(new, "3"), (old, "4"), *(buckets if "_bucket{" in text and '"native end"' not in text else [])]
        found = json.loads(vector(*[(labels, value if "up[" in text else "-Inf") for labels, value in rows]))
        if '"native end"' in text:
            ends = histogram("native end", "3", [0, "50", "99", "3"]), BEGUN
            found["data"]["result"] = [
                {**row, "metric": {**row["metric"], "destination_workload": "new"}} for row in ends
            ]
        return 200, json.dumps(found)

    queries = [
        Query("requests", MINUTE, Subject(name, "shop"), Shape.COUNTS, edges=(100.0,)) for name in ("new", "old")
    ]
    with serve(reply) as server, closing(Adapter(server.url)) as source:
        found = source.measure(queries, AT)
    assert found[queries[1]] == Counts(4, 0, ((100.0, 0),), timed=9)
    assert found[queries[0]] == Counts(3, 0, ((50.0, 3), (99.0, 0)), timed=3)


def test_no_namespace_is_all_of_them() -> None:
    """Their histograms are added up, also if their bounds differ."""
    here = [
        histogram("native end", "9", [0, "100", "250", "9"]),
        histogram("native start", "4", [0, "100", "250", "4"]),
    ]
    there = [
        histogram("native end", "30", [0, "50", "200", "10"], [0, "200", "400", "20"], **ELSEWHERE),
        histogram("native start", "7", [0, "200", "400", "7"], **ELSEWHERE),
    ]

    def reply(text: str) -> tuple[int, str]:
        rows = [*here, *there] if '"native end"' in text else []
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}})

    query = Query("request-duration", MINUTE, Subject("web"))
    with serve(reply) as server, closing(Adapter(server.url)) as source:
        assert source.measure([query], AT) == {query: Value(50 + 350 * 0.99)}


def test_an_honest_answer_is_not_too_large() -> None:
    """As many subjects as are asked for in one request, each with three reporters of 200 buckets."""
    buckets = [[0, f"{number / 7}", f"{(number + 1) / 7}", "123456"] for number in range(200)]
    rows = [histogram(le, "9", *buckets) for le in ("native end", "native start")] * 3 * NATIVES
    body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}}).encode()
    assert Bounds.of(NATIVES, NATIVES).refusal(body) is None
