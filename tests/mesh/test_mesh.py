"""The mesh does what Istio would do: users get what the objects say, and the metrics say what users got."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from canary.api.analysis import Reporter
from canary.engine.observed import Counts, Query, Sample, Shape, Subject, Value
from canary.metrics.prometheus import Prometheus as Adapter
from tests.metrics.mesh import ask, now
from tests.parts.cluster import ControlPlane
from tests.parts.processes import wait_for

from . import bookinfo
from .bookinfo import JASON, reviews, to, virtual_service
from .exporter import WAYPOINT
from .hosts import Refused
from .mesh import Measured, Mesh
from .mesh import mesh as made

ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: default
    route:
    - destination: {host: reviews, subset: v2}
---
"""


@pytest.fixture(scope="module")
def mesh(shared: Mesh) -> Mesh:
    """Bookinfo, all of its pods ready and scraped: new series count from 0 once their job was scraped three times."""
    shared.apply(*bookinfo.objects())
    shared.ready(*(f"reviews-{one}" for one in bookinfo.VERSIONS), "ratings-v1")
    shared.source("productpage", {"app": "productpage", "version": "v1"})
    for _ in range(3):
        shared.seen()
    return shared


@pytest.fixture
def book(mesh: Mesh) -> Iterator[Mesh]:
    """Bookinfo as it was."""
    mesh.apply(reviews(v1=100))
    mesh.wait_loaded()
    yield mesh
    for name in ("part", "public-a", "public-b", "younger"):
        mesh.delete("VirtualService", name)
    for version in bookinfo.VERSIONS:
        mesh.behave(f"reviews-{version}")


def likely(found: int, share: float, total: int) -> bool:
    """Whether a count is within five standard deviations of its share: it fails once in a million."""
    return abs(found - share * total) <= 5 * sqrt(total * share * (1 - share))


def asked(mesh: Mesh, query: Query, at: datetime, reporter: str = "auto") -> Sample:
    """The answer of the real Prometheus, through the adapter."""
    query = replace(query, subject=replace(query.subject, reporter=Reporter(reporter)))
    with closing(Adapter(mesh.prometheus.url)) as source:
        return source.measure([query], at)[query]


def counts(mesh: Mesh, workload: str, start: datetime, end: datetime, reporter: str = "auto") -> Any:
    namespace = "" if workload == "unknown" else mesh.namespace
    subject = Subject(workload, namespace)
    return asked(mesh, Query("requests", end - start, subject, Shape.COUNTS), end, reporter)


def truth(measured: Measured) -> Counts:
    return Counts(measured.total, measured.failed)


def change(book: Mesh, route: dict[str, Any], name: str = "reviews") -> None:
    """One route for everyone."""
    book.apply(virtual_service(name, route))
    book.wait_loaded()


def test_shares_follow_weights(book: Mesh) -> None:
    """A version without weight gets nothing, and weights needn't add up to 100."""
    assert book.ask("reviews", 50).versions == {"v1": 50}
    book.apply(reviews(v1=6, v2=2, v3=0))
    book.wait_loaded()
    found = book.ask("reviews", 800)
    assert set(found.versions) == {"v1", "v2"}
    assert likely(found.versions["v2"], 0.25, 800)


def test_an_absent_weight(book: Mesh) -> None:
    """Among several it is 0; alone it is everything."""
    first, second = to("reviews", v2=30, v3=0)
    del second["weight"]
    change(book, {"route": [first, second]})
    assert book.ask("reviews", 50).versions == {"v2": 50}
    change(book, {"route": [second]})
    assert book.ask("reviews", 50).versions == {"v3": 50}


def test_weights_that_istio_refuses(book: Mesh) -> None:
    """Its webhook isn't there, so the mesh says it, and goes on with what it had."""
    book.apply(reviews(v1=0, v2=0))
    with pytest.raises(Refused, match="weights must be positive"):
        book.wait_loaded()
    assert book.ask("reviews", 20).versions == {"v1": 20}


def test_routes_are_tried_in_order(book: Mesh) -> None:
    """Jason's header takes him to v2; someone else's doesn't."""
    assert book.ask("reviews", 20, headers={"end-user": "jason"}).versions == {"v2": 20}
    assert book.ask("reviews", 20, headers={"end-user": "jasons"}).versions == {"v1": 20}
    change(book, {"route": to("reviews", v3=100)})
    book.apply(virtual_service("reviews", {"route": to("reviews", v3=100)}, JASON))
    book.wait_loaded()
    assert book.ask("reviews", 20, headers={"end-user": "jason"}).versions == {"v3": 20}


@pytest.mark.parametrize(
    ("match", "request_", "fits"),
    [
        ({"uri": {"prefix": "/a"}}, {"path": "/abc"}, True),
        ({"uri": {"prefix": "/a"}}, {"path": "/b"}, False),
        ({"uri": {"exact": "/a"}}, {"path": "/a?x=1"}, True),
        ({"uri": {"exact": "/a"}}, {"path": "/A"}, False),
        ({"uri": {"exact": "/a"}, "ignoreUriCase": True}, {"path": "/A"}, True),
        ({"uri": {"regex": "/[0-9]+"}}, {"path": "/12"}, True),
        ({"uri": {"regex": "/[0-9]+"}}, {"path": "/12/x"}, False),
        ({"headers": {"x-a": {"prefix": "be"}}}, {"headers": {"x-a": "beta"}}, True),
        ({"headers": {"x-a": {"regex": "b|c"}}}, {"headers": {"x-a": "bc"}}, False),
        ({"headers": {"x-a": {}}}, {"headers": {"x-a": "anything"}}, True),
        ({"headers": {"x-a": {}}}, {}, False),
        ({"withoutHeaders": {"x-a": {"exact": "b"}}}, {"headers": {"x-a": "c"}}, True),
        ({"withoutHeaders": {"x-a": {"exact": "b"}}}, {"headers": {"x-a": "b"}}, False),
        ({"queryParams": {"user": {"exact": "beta"}}}, {"path": "/?user=beta"}, True),
        ({"queryParams": {"user": {"exact": "beta"}}}, {"path": "/?user=a"}, False),
        ({"sourceLabels": {"app": "productpage"}}, {"source": "productpage"}, True),
        ({"sourceLabels": {"app": "productpage"}}, {"source": "client"}, False),
        ({"port": 9080}, {}, True),
        ({"port": 80}, {}, False),
    ],
)
def test_matches(match: dict[str, Any], request_: dict[str, Any], fits: bool, book: Mesh) -> None:
    """What a match lets through goes to v2, all else to v1."""
    rest = {"route": to("reviews", v1=100)}
    book.apply(virtual_service("reviews", {"match": [match], "route": to("reviews", v2=100)}, rest))
    book.wait_loaded()
    assert book.ask("reviews", **request_).versions == {"v2" if fits else "v1": 1}


def test_faults(book: Mesh) -> None:
    """They hit the share that is asked for, at the source: no pod hears of an abort."""
    percentage = {"percentage": {"value": 25}}
    change(book, {"route": to("reviews", v1=100), "fault": {"abort": {"httpStatus": 418, **percentage}}})
    found = book.ask("reviews", 400)
    assert likely(found.counts["", 418], 0.25, 400)
    assert found.counts["v1", 200] == 400 - found.counts["", 418]
    delay = {"fixedDelay": "300ms", "percentage": {"value": 100}}
    change(book, {"route": to("reviews", v1=100), "fault": {"delay": delay}})
    assert min(one.at - one.sent for one in book.ask("reviews", 5).answers) >= 0.29
    change(book, {"route": to("reviews", v1=100), "fault": {"abort": {"httpStatus": 418}}})
    assert book.ask("reviews", 20).counts == {("v1", 200): 20}


def test_a_slow_or_failing_version(book: Mesh) -> None:
    """Time-outs and retries are the source's, errors the application's; only one image may have them."""
    book.behave("reviews-v2", errors=0.5)
    change(book, {"route": to("reviews", v2=100)})
    assert book.ask("reviews", 40).counts == {("v2", 200): 20, ("v2", 500): 20}
    change(book, {"route": to("reviews", v2=100), "retries": {"attempts": 3, "retryOn": "5xx"}})
    assert book.ask("reviews", 20).failed < 10
    book.behave("reviews-v2", delay=0.5, image="reviews:v2")
    change(book, {"route": to("reviews", v2=100), "timeout": "100ms"})
    assert book.ask("reviews", 4).counts == {("", 504): 4}
    book.behave("reviews-v2", image="reviews:another", errors=1)
    book.behave("reviews-v2", image="reviews:v2")
    change(book, {"route": to("reviews", v2=100)})
    assert book.ask("reviews", 4).counts == {("v2", 200): 4}


def test_a_mirror(book: Mesh) -> None:
    """Copies reach the other version, users hear only the one; the mirror's own proxy counts them."""
    start = book.seen()
    mirrored = {"mirror": {"host": "reviews", "subset": "v3"}, "mirrorPercentage": {"value": 50}}
    change(book, {"route": to("reviews", v1=100), **mirrored})
    assert book.ask("reviews", 200).versions == {"v1": 200}
    end = book.seen()
    found = counts(book, "reviews-v3", start, end)
    assert likely(found.total, 0.5, 200)
    assert counts(book, "reviews-v3", start, end, "source") != found


def test_rewrites_and_headers(book: Mesh) -> None:
    """What arrives is what the route makes of it."""
    match = [{"uri": {"prefix": "/old"}}]
    headers = {"request": {"set": {"host": "elsewhere"}}, "response": {"add": {"x-by": "route"}}}
    route = {"match": match, "rewrite": {"uri": "/new"}, "headers": headers, "route": to("reviews", v1=100)}
    change(book, route)
    (answer,) = book.ask("reviews", path="/old/1").answers
    assert [answer.headers[one] for one in ("x-mesh-path", "x-mesh-host", "x-by")] == ["/new/1", "elsewhere", "route"]
    assert book.ask("reviews").counts == {("", 404): 1}
    change(book, {"directResponse": {"status": 410, "body": {"string": "gone"}}})
    assert book.ask("reviews").counts == {("", 410): 1}


def test_a_delegate(book: Mesh) -> None:
    """Its routes stand in the root's place, within the root's match; what contradicts that is left out."""
    inside = {"match": [{"uri": {"prefix": "/a/b"}}], "route": to("reviews", v2=100)}
    outside = {"match": [{"uri": {"prefix": "/c"}}], "route": to("reviews", v3=100)}
    delegate = virtual_service("part", inside, outside)
    del delegate["spec"]["hosts"]
    book.apply(delegate)
    root = {"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "part"}}
    book.apply(virtual_service("reviews", root, {"route": to("reviews", v1=100)}))
    book.wait_loaded()
    paths = ("/a/b", "/a", "/c")
    assert [list(book.ask("reviews", path=path).versions) for path in paths] == [["v2"], ["v1"], ["v1"]]


def test_who_hears_of_a_virtual_service(book: Mesh) -> None:
    """Gateways hear of what names them, and take their routes together; sidecars take the oldest only."""
    book.source("edge", namespace="istio-system", gateway="istio-system/public")
    public = {"hosts": ["shop.example"], "gateways": ["istio-system/public"]}
    host = "reviews." + book.namespace + ".svc.cluster.local"
    to_v3 = [{"destination": {"host": host, "subset": "v3"}}]
    book.apply(virtual_service("public-a", {"match": [{"uri": {"prefix": "/a"}}], "route": to_v3}, **public))
    book.apply(virtual_service("public-b", {"route": to("reviews", v2=100)}, **public))
    book.apply(virtual_service("younger", {"route": to("reviews", v3=100)}, hosts=["reviews"]))
    book.wait_loaded()
    found = [book.ask("shop.example", path=path, source="edge").counts for path in ("/a", "/b")]
    assert found == [{("v3", 200): 1}, {("v2", 200): 1}]
    assert book.ask("shop.example", source="client").counts == {("", 404): 1}
    assert book.ask("reviews", 10).versions == {"v1": 10}


def test_a_host_without_a_virtual_service(book: Mesh) -> None:
    """Goes to its Service: to all of its pods alike, of any version."""
    assert book.ask("ratings:9080", 10).counts == {("v1", 200): 10}
    book.delete("VirtualService", "reviews")
    book.wait_loaded()
    found = book.ask("reviews", 600).versions
    assert all(likely(found[one], 1 / 3, 600) for one in bookinfo.VERSIONS)


def test_tcp_routes(book: Mesh) -> None:
    """Connections are shared by weight as requests are."""
    ports = bookinfo.service("store", 3306, "mysql", app="reviews")
    rule = bookinfo.destination_rule("store", ("v1", "v2"))
    book.apply(ports, rule, virtual_service("store", tcp=[{"route": to("store", v1=80, v2=20)}]))
    book.wait_loaded()
    found = book.ask("store:3306", 300)
    assert set(found.versions) == {"v1", "v2"}
    assert likely(found.versions["v2"], 0.2, 300)


def test_metrics_are_what_happened(book: Mesh) -> None:
    """Through a real Prometheus: each request once at each end, failures, unknown ones, durations."""
    book.behave("reviews-v2", errors=0.2)
    book.apply(reviews(v1=50, v2=50))
    book.wait_loaded()
    start = book.seen()
    load = book.load("reviews", 200, source="productpage")
    wait_for(lambda: book.measured(start).total > 500, "some requests")
    load.stop()
    end = book.seen()
    met = book.measured(start, end)
    for version in ("v1", "v2"):
        for reporter in ("auto", "source", "destination"):
            found = counts(book, f"reviews-{version}", start, end, reporter)
            assert found == truth(met.of(version=version)), f"{version} by {reporter}"
    assert met.of(version="v2").failed > 30
    duration = Query("request-duration", end - start, Subject("reviews-v1", book.namespace))
    slowest = asked(book, duration, end)
    assert isinstance(slowest, Value)
    assert 0 < slowest.value < 5000
    failed = 'istio_requests_total{source_workload="productpage",response_code="500",reporter="source"}'
    (row,) = ask(book.prometheus, failed)
    expected = {
        "source_workload": "productpage",
        "destination_service": f"reviews.{book.namespace}.svc.cluster.local",
        "destination_service_name": "reviews",
        "destination_canonical_revision": "v2",
        "response_flags": "-",
        "request_protocol": "http",
        "connection_security_policy": "unknown",
    }
    assert {key: row["metric"][key] for key in expected} == expected


def test_a_subset_that_no_pod_is_in(book: Mesh) -> None:
    """Without a ready pod, or without a rule: 503, which the source alone knows, with an unknown workload."""
    start = book.seen()
    for version, flags in (("v2", "UH"), ("v9", "NC")):
        book.scale("reviews-v2", 0)
        book.apply(reviews(**{version: 100}))
        book.ready("reviews-v2")
        assert book.ask("reviews", 10).counts == {("", 503): 10}
        book.seen()
        query = f'sum by (destination_workload) (istio_requests_total{{response_flags="{flags}"}})'
        (row,) = ask(book.prometheus, query)
        assert (row["metric"], row["value"][1]) == ({"destination_workload": "unknown"}, "10")
    end = book.seen()
    assert counts(book, "unknown", start, end, "source") == Counts(20, 20)
    assert not isinstance(counts(book, "unknown", start, end, "destination"), Counts)
    book.scale("reviews-v2", 2)
    book.ready("reviews-v2")


def test_pods_come_and_go(book: Mesh) -> None:
    """A new revision serves once its pods are ready; an unready one never does; users hardly lose a request."""
    start, load = now(), book.load("reviews", 100)
    book.deploy("reviews-v1", {"app": "reviews", "version": "v1"}, 2, "reviews:v1-unready")
    wait_for(lambda: len([one for one in book.pilot.pods() if one.workload == "reviews-v1"]) == 3, "an unready pod")
    assert {one.image for one in book.ask("reviews", 50).answers} == {"reviews:v1"}
    book.deploy("reviews-v1", {"app": "reviews", "version": "v1"}, 3, "reviews:v1b")
    book.ready("reviews-v1")
    assert {one.image for one in book.ask("reviews", 50).answers} == {"reviews:v1b"}
    load.stop()
    met = book.measured(start)
    assert met.failed <= len(met.answers) / 100  # what was on its way to a pod while that ended
    assert len({one.pod for one in book.ask("reviews", 60).answers}) == 3
    book.deploy("reviews-v1", {"app": "reviews", "version": "v1"}, 2, "reviews:v1")
    book.ready("reviews-v1")


def test_scrapes_fail_and_proxies_restart(book: Mesh) -> None:
    """A failed scrape is `up` of 0 and loses nothing; a restart loses nothing that was scraped.

    Each pod answers more before than after: a counter that has overtaken itself doesn't look restarted.
    """
    start = book.seen()
    book.ask("reviews", 100)
    middle = book.seen()
    book.restart("reviews-v1")
    book.fail_scrapes("reviews-v1")
    book.ask("reviews", 20)
    book.seen()
    down = {row["metric"]["instance"] for row in ask(book.prometheus, "up == 0")}
    pods = {one.name for one in book.pilot.pods() if one.workload == "reviews-v1"}
    assert down & book.exporter.targets.keys() == pods
    book.fail_scrapes("reviews-v1", fail=False)
    end = book.seen()
    assert counts(book, "reviews-v1", start, middle, "destination") == Counts(100, 0)
    assert counts(book, "reviews-v1", middle, end, "destination") == Counts(20, 0)


def test_grpc(book: Mesh) -> None:
    """The response's code is 200, its status tells; UNAVAILABLE is retried, and the pods' proxies count each try."""
    for status, tries in ((13, 1), (14, 3)):
        start = book.seen()
        book.behave("reviews-v1", grpc_status=status)
        found = book.ask("reviews", 10, headers={"content-type": "application/grpc"})
        book.behave("reviews-v1", grpc_status=None)
        assert (found.counts, found.failed) == ({("v1", 200): 10}, 10)
        end = book.seen()
        assert counts(book, "reviews-v1", start, end, "source") == Counts(10, 10)
        assert counts(book, "reviews-v1", start, end, "destination") == Counts(10 * tries, 10 * tries)


def test_ambient_mode(book: Mesh, control_plane: ControlPlane, envoy_binary: Path, tmp_path: Path) -> None:
    """Waypoints alone report requests, as waypoints; yaml is taken as it stands in files."""
    with made(control_plane, book.namespace, tmp_path, envoy_binary, reporters=(WAYPOINT,)) as ambient:
        ambient.apply(ROUTES)
        ambient.wait_loaded()
        assert ambient.ask("reviews", 5).versions == {"v2": 5}
        ambient.pilot.settle()
        page = ambient.exporter.targets[WAYPOINT].page()
        assert list(ambient.exporter.targets) == [WAYPOINT]
    (line,) = (line for line in page.splitlines() if line.startswith("istio_requests_total"))
    assert line.endswith(" 5")
    assert {'reporter="waypoint"', 'destination_workload="reviews-v2"'} <= set(re.split("[{},]", line))


def test_an_outage_of_the_api_server(book: Mesh, control_plane: ControlPlane) -> None:
    """Users notice nothing; what is changed afterwards is served."""
    start, load = now(), book.load("reviews", 50)
    control_plane.restart_api_server()
    book.apply(reviews(v3=100))
    book.wait_loaded()
    load.stop()
    assert book.measured(start).failed == 0
    assert book.ask("reviews", 10).versions == {"v3": 10}


def test_what_envoy_refuses(book: Mesh) -> None:
    """It is reported once, and what comes next is served."""
    broken = {"match": [{"uri": {"regex": "("}}], "route": to("reviews", v1=100)}
    book.apply(virtual_service("reviews", broken))
    for _ in range(2):
        with pytest.raises(Refused, match="missing \\)"):
            book.wait_loaded()
    change(book, {"route": to("reviews", v3=100)})
    assert book.ask("reviews", 10).versions == {"v3": 10}
