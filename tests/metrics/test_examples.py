"""The templates of examples/metrics on a real Prometheus: each gives the number that was put into the counters."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canary.engine.observed import Cause, Counts, Missing, Query, Sample, Shape, Subject, Value
from canary.engine.resolved import resolve_spec
from canary.manifests import lint, load, read
from canary.metrics.prometheus import Prometheus as Adapter
from tests.metrics.mesh import Pod, mesh
from tests.parts.prometheus import Prometheus

FILES = sorted((Path(__file__).parents[2] / "examples/metrics").glob("*.yaml"))
PODS = {
    "place-0": "reviews-v2-5d9c7-abcde",
    "place-1": "reviews-v2-5d9c7-fghij",
    "place-2": "productpage-0",
    "place-3": "reviews-v2-extra-7c4f2-abcde",
}
BEGIN = 100_000
"""What counters stand at before: so far from 0 that increase() extrapolates all of them alike."""
SUBSET = {"host": "reviews", "subset": "v2"}
Ask = Callable[..., Sample]


class Proxy(Pod):
    """A pod whose page has series of any kind."""

    def __init__(self) -> None:
        super().__init__("", "")
        self.series: dict[str, float] = {}

    def page(self) -> str:
        return "".join(f"{one} {value:.0f}\n" for one, value in list(self.series.items()))


def requests(source: str, code: str, policy: str = "mutual_tls", **other: str) -> str:
    """A series of istio_requests_total."""
    labels = {
        "reporter": "destination",
        "source_workload": source,
        "source_workload_namespace": "shop",
        "destination_workload": "reviews-v2",
        "destination_workload_namespace": "shop",
        "response_code": code,
        "connection_security_policy": policy,
        **other,
    }
    return f"istio_requests_total{{{','.join(f'{name}={json.dumps(value)}' for name, value in labels.items())}}}"


def waiting(what: str, subset: str = "v2", host: str = "reviews.shop") -> str:
    """A series of a circuit breaker, as Istio's proxies name their clusters."""
    cluster = f"outbound|9080|{subset}|{host}.svc.cluster.local"
    return f'envoy_cluster_upstream_rq_pending_{what}{{cluster_name="{cluster}"}}'


GROWN: Mapping[str, Mapping[str, int]] = {
    "place-0": {
        requests("productpage", "200"): 80,
        requests("productpage", "503"): 4,
        requests("batch", "200", "none"): 10,
        requests("batch", "500", "none"): 5,
        requests("batch", "0", "none"): 1,
        requests("idle", "500"): 0,
        requests("other", "500", destination_workload_namespace="elsewhere"): 1000,
        'orders_total{result="shipped"}': 20,
        'orders_total{result="failed"}': 3,
    },
    "place-2": {
        'orders_total{result="failed"}': 1000,
        requests("productpage", "500", "unknown", reporter="source"): 1000,
        waiting("overflow"): 30,
        waiting("overflow", subset="v1"): 1000,
        waiting("overflow", host="ratings.shop"): 1000,
        waiting("overflow", host="reviews.elsewhere"): 1000,
        waiting("active"): 7,
        waiting("active", subset="v1"): 1000,
    },
    "place-3": {requests("batch", "500", destination_workload="reviews-v2-extra"): 1000},
}
"""By how much series grow in the window. Of 100 requests 84 have mTLS; batch has 6 failures of 16."""


@pytest.fixture(scope="module")
def ask(prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Asks for a template's number, in a window in which Prometheus saw series grow; one pod can't be scraped."""
    folder = tmp_path_factory.mktemp("examples")
    with mesh(folder, places=len(PODS)) as places:
        proxies = {place: Proxy() for place in GROWN}
        places.pods.update(proxies)
        places.ended.add("place-1")
        for place, grown in GROWN.items():
            proxies[place].series.update(dict.fromkeys(grown, BEGIN))
        prometheus = Prometheus(prometheus_binary, folder / "own", _scraped(places.port), scrape_interval="200ms")
        prometheus.start()
        adapter = Adapter(prometheus.url, timeout=60)
        try:
            start, *_ = [places.seen(prometheus) for _ in range(5)]
            for place, grown in GROWN.items():
                proxies[place].series.update({one: BEGIN + count for one, count in grown.items()})
            *_, end = [places.seen(prometheus) for _ in range(4)]

            def asked(file: str, name: str, workload: str = "reviews-v2", **variables: str) -> Sample:
                names = tuple((f"variables.{key}", value) for key, value in variables.items())
                query = Query(name, end - start, Subject(workload, "shop"), names=names)
                query = replace(query, **_asked(folder, file, name, variables))
                return adapter.measure([query], end)[query]

            yield asked
        finally:
            adapter.close()
            prometheus.kill()


def _scraped(port: int) -> str:
    targets = [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {"__metrics_path__": f"/{place}", "instance": place, "namespace": "shop", "pod": pod},
        }
        for place, pod in PODS.items()
    ]
    return f"- {json.dumps({'job_name': 'mesh', 'static_configs': targets})}"


def _asked(folder: Path, file: str, name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """What a Canary's metric asks that refers to the template in the file."""
    metric = {"name": name, "templateRef": {"name": name}, "templateVariables": variables}
    spec = {
        "targetRef": {"kind": "VirtualService", "name": "reviews"},
        "version": "v2",
        "metricsServer": "http://prometheus:9090",
        "analysis": {"stepWeight": 10, "metrics": [{**metric, "thresholdRange": {"min": 50}}]},
    }
    manifest = folder / "canary.yaml"
    about = {"apiVersion": "canary-controller.dev/v1beta1", "kind": "Canary", "metadata": {"name": "reviews"}}
    manifest.write_text(json.dumps({**about, "spec": spec}))
    paths = [str(manifest), str(FILES[0].with_name(file))]
    assert lint(read(paths)) == ()
    given = load(paths)
    pinned = resolve_spec(given.canary, given.policy, given.templates).policy.metrics[0]
    if pinned.counts is None:
        return {"text": pinned.query}
    return {"shape": Shape.COUNTS, "text": pinned.counts.total, "bad": pinned.counts.bad}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_template_has_no_problem(file: Path) -> None:
    """Also on its own."""
    assert lint(read([str(file)])) == ()


@pytest.mark.parametrize(
    ("file", "name", "variables", "number"),
    [
        ("mtls.yaml", "mtls", {}, 84.0),
        ("error-rate-by-source.yaml", "error-rate-by-source", {}, 37.5),
    ],
)
def test_a_share_is_exact(ask: Ask, file: str, name: str, variables: dict[str, str], number: float) -> None:
    """Only the canary's own requests count, as its own proxies say."""
    answer = ask(file, name, **variables)
    assert isinstance(answer, Value), answer
    assert answer.value == pytest.approx(number)


def test_counts_are_exact(ask: Ask) -> None:
    """Of the canary's pods only."""
    assert ask("failed-orders.yaml", "failed-orders") == Counts(23, 3)


def test_pods_that_can_not_be_scraped_are_counted(ask: Ask) -> None:
    """One of two; on a busy machine the other one may miss a scrape as well. Other workloads' pods don't count."""
    answer = ask("mesh-health.yaml", "mesh-health")
    assert isinstance(answer, Value), answer
    assert 30 < answer.value <= 50


def test_waiting_requests_are_of_one_version(ask: Ask) -> None:
    """A gauge: the most that any sample of the window had."""
    answer = ask("circuit-breaker.yaml", "circuit-breaker-pending", **SUBSET)
    assert answer == Value(BEGIN + 7)


def test_refused_requests_are_of_one_version(ask: Ask) -> None:
    """increase() extrapolates to the ends of the window, as everywhere."""
    answer = ask("circuit-breaker.yaml", "circuit-breaker-overflow", **SUBSET)
    assert isinstance(answer, Value), answer
    assert 30 <= answer.value < 45


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mtls.yaml", "mtls"),
        ("failed-orders.yaml", "failed-orders"),
        ("mesh-health.yaml", "mesh-health"),
        ("error-rate-by-source.yaml", "error-rate-by-source"),
    ],
)
def test_an_unknown_workload_has_no_number(ask: Ask, file: str, name: str) -> None:
    """No data neither passes nor fails."""
    answer = ask(file, name, workload="reviews-v9")
    assert isinstance(answer, Missing)
    assert answer.cause is Cause.EMPTY


@pytest.mark.parametrize("name", ["circuit-breaker-pending", "circuit-breaker-overflow"])
def test_counters_that_proxies_do_not_show_have_no_number(ask: Ask, name: str) -> None:
    """Istio hides them unless it is configured otherwise: that is no zero."""
    answer = ask("circuit-breaker.yaml", name, host="reviews", subset="v9")
    assert isinstance(answer, Missing)
    assert answer.cause is Cause.EMPTY
