"""Providers against answers in the shapes of their published API documents, served by a server of the test's own."""

from collections.abc import Mapping
from typing import Any

import pytest

from canary.api.providers import PROVIDERS
from canary.engine.observed import Cause, Missing, Value
from canary.kube.errors import Forbidden
from canary.kube.requests import Request as ApiRequest
from canary.metrics.providers.adapter import provider
from tests.metrics.providers import AT, answer, query, recorded

END = int(AT.timestamp())
SECRETS: dict[str, Mapping[str, str]] = {
    "graphite": {"username": "ann", "password": "hunter22"},
    "influxdb": {"token": "influx-token", "org": "shop"},
    "datadog": {"datadog_api_key": "dd-api-key", "datadog_application_key": "dd-app-key"},
    "newrelic": {"newrelic_account_id": "12345", "newrelic_query_key": "nr-query-key"},
    "dynatrace": {"dynatrace_token": "dt0c01.token"},
    "splunk": {"sf_token_key": "sf-token"},
}
FLUX = 'from(bucket: "default") |> range(start: -1m) |> last()'
TEXTS = {
    "graphite": "target=summarize(\n  sumSeries(app.{{ target }}.errors),\n  '{{ interval }}', 'sum')",
    "influxdb": FLUX,
    "datadog": "avg:requests.errors{service:{{ target }}}",
    "newrelic": "SELECT average(duration)\n  FROM Transaction WHERE appName = '{{ target }}'",
    "dynatrace": 'ext:errors:filter(eq("service","{{ target }}"))',
    "splunk": "data('errors', filter=filter('app', '{{ target }}')).sum().publish()",
}


def datadog(*series: dict[str, Any]) -> dict[str, Any]:
    """As https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points has it."""
    return {"status": "ok", "res_type": "time_series", "series": list(series), "query": "q", "message": ""}


def points(*values: float | None, every: int = 20) -> dict[str, Any]:
    """A series of Datadog's whose last point begins at the end of the window."""
    first = END - every * (len(values) - 1)
    listed = [[(first + every * number) * 1000.0, value] for number, value in enumerate(values)]
    return {"metric": "errors", "interval": every, "length": len(values), "pointlist": listed, "scope": "*"}


def dynatrace(*values: list[float | None]) -> dict[str, Any]:
    """As the metrics API v2 has it."""
    data = [{"dimensions": [], "dimensionMap": {}, "timestamps": [1], "values": one} for one in values]
    return {"totalCount": 1, "nextPageKey": None, "resolution": "Inf", "result": [{"metricId": "m", "data": data}]}


def csv(*rows: str, heading: str = ",result,table,_start,_stop,_time,_value") -> bytes:
    """Annotated CSV, as /api/v2/query answers."""
    return "\r\n".join([heading, *rows, "", ""]).encode()


def events(*found: tuple[str, str]) -> bytes:
    """Server-sent events, as SignalFlow's execute answers."""
    start = 'event: control-message\ndata: {\ndata:   "event" : "STREAM_START"\ndata: }\n\n'
    return (start + "".join(f"event: {kind}\ndata: {data}\n\n" for kind, data in found)).encode()


ROW = ",_result,0,2026-01-01T00:00:00Z,2026-01-01T00:01:00Z,2026-01-01T00:00:30Z,{}"
NO_RESULT = "the query has no result"
SPLUNK = '{"data": [{"tsId": "AAAA", "value": %s}], "logicalTimestampMs": 1}'
ANSWERS = [
    pytest.param(
        "graphite", [{"target": "x", "datapoints": [[1.5, 1], [2.5, 2], [None, 3]]}], 2.5, id="graphite: last point"
    ),
    pytest.param(
        "graphite",
        [{"target": "x", "datapoints": [[None, 10]]}, {"target": "y", "datapoints": [[3, 10]]}],
        3.0,
        id="graphite: a series of nulls is none",
    ),
    pytest.param("graphite", [{"target": "x", "datapoints": [[None, 1]]}], NO_RESULT, id="graphite: only nulls"),
    pytest.param("graphite", [], NO_RESULT, id="graphite: no series"),
    pytest.param(
        "graphite",
        [{"target": one, "datapoints": [[1, 1]]} for one in "xy"],
        "2 series where one number was due",
        id="graphite: two series",
    ),
    pytest.param("graphite", {"a": 1}, "an answer that isn't Graphite's", id="graphite: something else"),
    pytest.param("influxdb", csv(ROW.format("0.25")), 0.25, id="influxdb: a number"),
    pytest.param("influxdb", csv(ROW.format("7")), 7.0, id="influxdb: a whole number"),
    pytest.param("influxdb", b"\r\n", NO_RESULT, id="influxdb: no row is no zero"),
    pytest.param(
        "influxdb",
        csv(ROW.format("1"), "", ",result,table,_value", ",_result,1,2"),
        "2 rows where one number was due; group() makes one table of several, last() one row of it",
        id="influxdb: two tables",
    ),
    pytest.param("influxdb", csv(",bad,1", heading=",error,reference"), "the query failed on the server",
                 id="influxdb: an error as a table"),
    pytest.param("influxdb", b"<html></html>", "an answer that isn't InfluxDB's", id="influxdb: a page"),
    pytest.param("influxdb", csv(ROW.format("high")), "text where one number was due", id="influxdb: a text"),
    pytest.param("datadog", datadog(points(1, 2, 3)), 2.0, id="datadog: the newest complete point"),
    pytest.param("datadog", datadog(points(1, None, 3)), 1.0, id="datadog: nulls are passed over"),
    pytest.param("datadog", datadog(points(3)), "the query has no complete point yet", id="datadog: none complete"),
    pytest.param("datadog", datadog(), NO_RESULT, id="datadog: no series"),
    pytest.param(
        "datadog", datadog(points(1, 2), points(1, 2)), "2 series where one number was due", id="datadog: two series"
    ),
    pytest.param("datadog", {"status": "error", "error": "bad dd-api-key"}, "bad ***", id="datadog: an error"),
    pytest.param("newrelic", {"results": [{"result": 1.5}]}, 1.5, id="newrelic: result"),
    pytest.param("newrelic", {"results": [{"average": 0.25}], "metadata": {}}, 0.25, id="newrelic: average"),
    pytest.param("newrelic", {"results": [{"percentiles": {"95": 3.5}}]}, 3.5, id="newrelic: percentile"),
    pytest.param("newrelic", {"results": [{"average": None}]}, NO_RESULT, id="newrelic: null"),
    pytest.param(
        "newrelic", {"results": [{"count": 1}, {"count": 2}]}, "2 results where one number was due",
        id="newrelic: two results",
    ),
    pytest.param("newrelic", {"facets": []}, "an answer that isn't New Relic's", id="newrelic: facets"),
    pytest.param("dynatrace", dynatrace([0.5]), 0.5, id="dynatrace: a number"),
    pytest.param("dynatrace", dynatrace([None]), NO_RESULT, id="dynatrace: null"),
    pytest.param("dynatrace", dynatrace(), NO_RESULT, id="dynatrace: no series"),
    pytest.param("dynatrace", dynatrace([1], [2]), "2 series where one number was due", id="dynatrace: two series"),
    pytest.param("splunk", events(("metadata", "{}"), ("data", SPLUNK % 1), ("data", SPLUNK % 2.5)), 2.5,
                 id="splunk: the last value"),
    pytest.param("splunk", events(("data", SPLUNK % "null")), NO_RESULT, id="splunk: null"),
    pytest.param("splunk", events(("data", SPLUNK % 1), ("data", (SPLUNK % 1).replace("AAAA", "BBBB"))),
                 "2 series where one number was due", id="splunk: two series"),
    pytest.param("splunk", events(("error", '{"errors": []}')), "the program failed on the server",
                 id="splunk: an error"),
    pytest.param("splunk", b"hello", "an answer that isn't SignalFlow's", id="splunk: something else"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "document", "expected"), ANSWERS)
def test_an_answer_is_one_number_or_says_why_not(kind: str, document: Any, expected: float | str) -> None:
    """The last of several series never wins silently, and no data is no zero."""
    with recorded((200, document)) as server:
        found = answer(query(kind, TEXTS[kind], server.url, "creds"), SECRETS[kind])
    if isinstance(expected, str):
        assert isinstance(found, Missing)
        assert found.detail == f"{expected}; {server.url}"
    else:
        assert found == Value(expected)


REQUESTS: dict[str, tuple[Any, str, dict[str, str], dict[str, str]]] = {
    "graphite": (
        [{"target": "x", "datapoints": [[1, 1]]}],
        "/render",
        {
            "target": "summarize( sumSeries(app.web.errors), '1m', 'sum')",
            "from": str(END - 60),
            "until": str(END),
            "format": "json",
        },
        {"Authorization": "Basic YW5uOmh1bnRlcjIy"},
    ),
    "influxdb": (csv(ROW.format("1")), "/api/v2/query", {"org": "shop"}, {"Authorization": "Token influx-token"}),
    "datadog": (
        datadog(points(1, 2)),
        "/api/v1/query",
        {"query": "avg:requests.errors{service:web}", "from": str(END - 600), "to": str(END)},
        {"DD-API-KEY": "dd-api-key", "DD-APPLICATION-KEY": "dd-app-key"},
    ),
    "newrelic": (
        {"results": [{"count": 1}]},
        "/v1/accounts/12345/query",
        {
            "nrql": "SELECT average(duration) FROM Transaction WHERE appName = 'web' "
            f"SINCE {(END - 60) * 1000} UNTIL {END * 1000}"
        },
        {"X-Query-Key": "nr-query-key"},
    ),
    "dynatrace": (
        dynatrace([1]),
        "/api/v2/metrics/query",
        {
            "metricSelector": 'ext:errors:filter(eq("service","web"))',
            "resolution": "Inf",
            "from": str((END - 60) * 1000),
            "to": str(END * 1000),
        },
        {"Authorization": "Api-Token dt0c01.token"},
    ),
    "splunk": (
        events(("data", SPLUNK % 1)),
        "/v2/signalflow/execute",
        {"start": str((END - 60) * 1000), "stop": str(END * 1000), "immediate": "true"},
        {"X-SF-Token": "sf-token"},
    ),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_what_is_sent(kind: str) -> None:
    """The query over the window, and the credentials where the API document has them."""
    document, path, params, headers = REQUESTS[kind]
    with recorded((200, document)) as server:
        answer(query(kind, TEXTS[kind], server.url, "creds"), SECRETS[kind])
    (asked,) = server.asked
    sent = {name.lower(): value for name, value in asked.headers.items()}
    assert (asked.path, asked.query) == (path, params)
    assert {name: sent[name.lower()] for name in headers} == headers


@pytest.mark.parametrize("kind", [one for one, facts in PROVIDERS.items() if facts.keys])
def test_a_key_that_the_secret_lacks_is_named(kind: str) -> None:
    """And nothing is sent."""
    for key in PROVIDERS[kind].keys:
        secret = {name: value for name, value in SECRETS[kind].items() if name != key}
        with recorded((200, {})) as server:
            found = answer(query(kind, "x", server.url, "creds"), secret)
        assert found == Missing(Cause.INVALID, f"the Secret creds has no key {key}; {server.url}")
        assert not server.asked


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (403, Cause.DENIED), (429, Cause.UNAVAILABLE), (503, Cause.UNAVAILABLE), (400, Cause.INVALID),
        (302, Cause.RUBBISH), (404, Cause.RUBBISH),
    ],
)  # fmt: skip
def test_a_refusal_is_no_number_and_tells_no_secret(kind: str, status: int, cause: Cause) -> None:
    """Also if the server repeats it."""
    words = " ".join(SECRETS[kind].values())
    with recorded((status, {"errors": [f"bad {words}"]})) as server:
        found = answer(query(kind, TEXTS[kind], server.url, "creds"), SECRETS[kind])
    assert isinstance(found, Missing)
    assert found.cause is cause
    hidden = [value for key, value in SECRETS[kind].items() if key not in ("username", "org", "newrelic_account_id")]
    assert not [value for value in hidden if value in str(found)]


@pytest.mark.parametrize("kind", PROVIDERS)
def test_each_type_has_its_file(kind: str) -> None:
    """By its name."""
    assert callable(provider(kind).ask)


class Cluster:
    """An API server with these answers, by the end of the path."""

    def __init__(self, **found: Any) -> None:
        self.found = found
        self.asked: list[ApiRequest] = []

    def __call__(self, request: ApiRequest) -> Any:
        self.asked.append(request)
        found = self.found[request.path.rpartition("/")[2]]
        if isinstance(found, Exception):
            raise found
        return found


def metrics(*values: str) -> dict[str, Any]:
    """An ExternalMetricValueList."""
    items = [{"metricName": "queue", "timestamp": "2026-01-01T00:00:00Z", "value": one} for one in values]
    return {"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "items": items}


@pytest.mark.parametrize(
    ("value", "number"),
    [("7", 7.0), ("1500m", 1.5), ("2k", 2000.0), ("1Ki", 1024.0), ("-2e3", -2000.0), ("3u", 3e-6)],
)
def test_an_external_metric_is_a_quantity(value: str, number: float) -> None:
    """In the API server's notation."""
    cluster = Cluster(queue=metrics(value))
    found = answer(query("externalmetrics", "shop/queue?labelSelector=app%3D{{ target }}", None), objects=cluster)
    assert found == Value(pytest.approx(number))  # type: ignore[arg-type]
    (asked,) = cluster.asked
    assert asked.path == "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue"
    assert asked.query == (("labelSelector", "app=web"),)


def test_an_external_metric_of_another_address_is_asked_with_the_templates_token() -> None:
    """Any namespace is, because canary's own permissions aren't used."""
    with recorded((200, metrics("5"))) as server:
        found = answer(query("externalmetrics", "other/queue", server.url, "creds"), {"token": "their-token"})
    assert found == Value(5)
    assert server.asked[0].path == "/apis/external.metrics.k8s.io/v1beta1/namespaces/other/queue"
    assert server.asked[0].headers["Authorization"] == "Bearer their-token"


@pytest.mark.parametrize(
    ("kind", "text", "found", "sentence"),
    [
        ("externalmetrics", "queue", metrics(), "there is no such external metric"),
        ("externalmetrics", "queue", metrics("1", "2"), "2 values where one number was due"),
        ("externalmetrics", "queue", metrics("much"), "an answer that isn't the external metrics API's"),
        ("externalmetrics", "a/b/c", {}, "a query of external metrics is NAMESPACE/METRIC?labelSelector=app%3Dweb"),
        ("externalmetrics", "kube-system/queue", {},
         "objects of namespace kube-system aren't read for a Canary of shop"),
        ("externalmetrics", "queue", Forbidden(Cause.DENIED, "canary may not list queue"),
         "canary may not list queue"),
        ("keptn", "keptnmetric/other/queue", {}, "objects of namespace other aren't read for a Canary of shop"),
        ("keptn", "analysis/shop/queue/1m/a=b", {},
         "a query of Keptn is keptnmetric/NAMESPACE/NAME; canary creates no analyses"),
        ("keptn", "keptnmetric/shop/queue", {"metadata": {}}, "the KeptnMetric has no value yet"),
        ("keptn", "keptnmetric/shop/queue", {"metadata": {}, "status": {"value": "x"}},
         "text where one number was due"),
    ],
)  # fmt: skip
def test_what_the_api_server_lacks_is_said(kind: str, text: str, found: Any, sentence: str) -> None:
    """canary's permissions don't reach further than the Canary's and the template's namespaces."""
    given = answer(query(kind, text, None), objects=Cluster(queue=found))
    assert isinstance(given, Missing)
    assert given.detail == sentence


def test_a_keptn_metric_has_a_value() -> None:
    """A text, as Keptn writes it."""
    cluster = Cluster(queue={"metadata": {"name": "queue"}, "status": {"value": "0.75"}})
    assert answer(query("keptn", "keptnmetric/shop/queue\n", None), objects=cluster) == Value(0.75)
    assert cluster.asked[0].path == "/apis/metrics.keptn.sh/v1/namespaces/shop/keptnmetrics/queue"


def test_without_a_cluster_there_is_no_api_server() -> None:
    """As for a standalone Envoy."""
    assert answer(query("keptn", "keptnmetric/shop/queue", None)) == Missing(
        Cause.REFUSED, "there is no cluster to ask"
    )


@pytest.mark.parametrize("kind", SECRETS)
def test_a_page_of_any_size_is_refused_before_it_is_parsed(kind: str) -> None:
    """A server may be hostile or broken."""
    with recorded((200, b"[" * 2_000_000)) as server:
        found = answer(query(kind, TEXTS[kind], server.url, "creds"), SECRETS[kind])
    assert isinstance(found, Missing)
    assert found.detail.startswith("the answer is larger than")
