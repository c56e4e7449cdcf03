"""A mesh and its Prometheus for the tests that only read, and the adapter on it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from canary.engine.observed import Counts, Query, Sample, Shape, Subject
from canary.metrics.prometheus import Prometheus as Adapter
from canary.metrics.promql import Dialect
from tests.metrics.mesh import Mesh, mesh
from tests.parts.certificates import authority
from tests.parts.prometheus import Prometheus


class Watched:
    """A mesh that Prometheus has watched for a while, and questions about it."""

    def __init__(self, pods: Mesh, prometheus: Prometheus, dialect: Dialect | None = None) -> None:
        self.pods = pods
        self.prometheus = prometheus
        self.adapter = Adapter(prometheus.url, dialect=dialect, timeout=60)  # a busy machine is no broken server

    def seen(self) -> datetime:
        """A moment after which Prometheus knows all that happened so far."""
        return self.pods.seen(self.prometheus)

    def counts(self, workload: str, start: datetime, end: datetime, *edges: float) -> Counts | str:
        """(total, bad) between two moments, or why there is none."""
        query = Query("requests", end - start, Subject(workload, "shop"), Shape.COUNTS, edges=edges)
        answer = self.one(query, end)
        return answer if isinstance(answer, Counts) else str(answer)

    def value(self, metric: str, workload: str, start: datetime, end: datetime) -> Sample:
        """A builtin's value between two moments."""
        return self.one(Query(metric, end - start, Subject(workload, "shop")), end)

    def one(self, query: Query, at: datetime) -> Sample:
        """The answer to one query."""
        return self.adapter.measure([query], at)[query]


@pytest.fixture(scope="module")
def watched(prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A mesh with an idle pod, watched since before the test; each test uses workloads of its own."""
    folder = tmp_path_factory.mktemp("watched")
    with mesh(folder, places=40) as pods:
        pods.start("idle")
        prometheus = Prometheus(
            prometheus_binary, folder / "prometheus", pods.scrape_configs(), scrape_interval="200ms"
        )
        prometheus.start()
        here = Watched(pods, prometheus)
        try:
            for _ in range(3):  # after which what is new counts from 0
                here.seen()
            yield here
        finally:
            here.adapter.close()
            prometheus.kill()


@pytest.fixture
def watch(start_prometheus: Callable[..., Prometheus], tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Start a Prometheus on a mesh of the test's own: `watch(pods)`."""
    started: list[Watched] = []

    def start(pods: Mesh, *, relabel: str = "", dialect: Dialect | None = None) -> Watched:
        prometheus = start_prometheus(pods.scrape_configs(relabel), scrape_interval="200ms")
        started.append(Watched(pods, prometheus, dialect))
        return started[-1]

    yield start
    for one in started:
        one.adapter.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Mesh]:
    """A mesh of the test's own."""
    with mesh(tmp_path) as pods:
        yield pods


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority with certificates for a server and a client, made by openssl."""
    return authority(tmp_path_factory.mktemp("keys"))
