"""Requests that reach no pod: what the mesh's proxies say of them, and whom the builtins count them against."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

import pytest

from canary.engine.observed import Counts, Query, Sample, Shape, Subject
from canary.metrics.prometheus import Prometheus as Adapter
from tests.metrics.mesh import ask

from . import bookinfo
from .bookinfo import reviews, to, virtual_service
from .mesh import Mesh

ABORT = {"abort": {"httpStatus": 503, "percentage": {"value": 100}}}


@pytest.fixture(scope="module")
def mesh(shared: Mesh) -> Mesh:
    """Reviews in two versions, of which v2 has no pod; each also as a service of its own."""
    own = [bookinfo.service(f"reviews-{one}", app="reviews", version=one) for one in ("v1", "v2")]
    shared.apply(*bookinfo.objects(1, ("v1", "v2")), *own)
    shared.scale("reviews-v2", 0)
    shared.ready("reviews-v1", "reviews-v2")
    for _ in range(3):  # then what is new counts from 0
        shared.seen()
    return shared


@pytest.fixture
def book(mesh: Mesh) -> Iterator[Mesh]:
    """With its pods and routes as they were."""
    yield mesh
    mesh.apply(reviews(v1=100))
    mesh.wait_loaded()


def counted(mesh: Mesh, workload: str, service: str, start: datetime, end: datetime, *, alone: bool) -> Sample:
    """What the builtin says of a version through the real Prometheus."""
    host = f"{service}.{mesh.namespace}.svc.cluster.local"
    query = Query("requests", end - start, Subject(workload, mesh.namespace, host, alone), Shape.COUNTS)
    with closing(Adapter(mesh.prometheus.url)) as source:
        return source.measure([query], end)[query]


def labels(mesh: Mesh, flags: str) -> dict[str, str]:
    """What the source says of the only requests with these flags."""
    (row,) = ask(mesh.prometheus, f'istio_requests_total{{response_flags="{flags}"}}')
    ends = ("workload", "workload_namespace", "service", "service_name", "service_namespace", "canonical_revision")
    wanted = ["reporter", *(f"destination_{one}" for one in ends)]
    return {name: row["metric"][name] for name in wanted}


def test_a_subset_without_pods(book: Mesh) -> None:
    """The service is known and the version isn't; against v2 it counts only because v2 alone has no pod."""
    book.apply(reviews(v1=50, v2=50))
    book.wait_loaded()
    start = book.seen()
    met = book.ask("reviews", 100)
    end = book.seen()
    lost = met.counts["", 503]
    assert 0 < lost == met.failed < 100
    for version, alone, expected in (
        ("v2", True, Counts(lost, lost)),
        ("v1", False, Counts(100 - lost, 0, unattributed=lost)),
    ):
        assert counted(book, f"reviews-{version}", "reviews", start, end, alone=alone) == expected
    assert not isinstance(counted(book, "reviews-v2", "reviews", start, end, alone=False), Counts)
    assert labels(book, "UH") == {
        "reporter": "source",
        "destination_workload": "unknown",
        "destination_workload_namespace": "unknown",
        "destination_service": f"reviews.{book.namespace}.svc.cluster.local",
        "destination_service_name": "reviews",
        "destination_service_namespace": "unknown",
        "destination_canonical_revision": "latest",
    }


def test_hosts_of_their_own(book: Mesh) -> None:
    """The service says which version was meant, also of a request that a fault aborted before any pod was chosen."""
    both = [{"destination": {"host": f"reviews-{one}"}, "weight": 50} for one in ("v1", "v2")]
    for fault, flags in (({}, "UH"), ({"fault": ABORT}, "FI")):
        book.apply(virtual_service("reviews", {"route": both, **fault}))
        book.wait_loaded()
        start = book.seen()
        met = book.ask("reviews", 100)
        end = book.seen()
        v1, v2 = (counted(book, f"reviews-{one}", f"reviews-{one}", start, end, alone=True) for one in ("v1", "v2"))
        assert isinstance(v1, Counts)
        assert isinstance(v2, Counts)
        assert (v1.total + v2.total, v1.bad + v2.bad) == (100, met.failed), flags
        assert v2.bad == v2.total > 0
        assert v1.bad == (v1.total if fault else 0)


def test_an_abort_between_subsets(book: Mesh) -> None:
    """Made by the source's proxy before any pod was chosen: the service is known, and it is no one's."""
    book.apply(virtual_service("reviews", {"route": to("reviews", v1=100), "fault": ABORT}))
    book.wait_loaded()
    start = book.seen()
    assert book.ask("reviews", 10).counts == {("", 503): 10}
    book.apply(reviews(v1=100))
    book.wait_loaded()
    assert book.ask("reviews", 10).failed == 0
    end = book.seen()
    found = counted(book, "reviews-v1", "reviews", start, end, alone=False)
    assert found == Counts(10, 0, unattributed=10)
