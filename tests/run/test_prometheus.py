"""`canary run` on evidence from a real Prometheus that scrapes the real Envoy."""

import json
from collections.abc import Callable
from urllib.parse import quote, urlsplit

import pytest

from canary.api.status import Phase
from tests.examples import one_now
from tests.parts.processes import get, wait_for
from tests.parts.prometheus import Prometheus
from tests.run.site import METRICS, Site

CUSTOM = {
    "name": "errors",
    "interval": "10s",
    "thresholdRange": {"max": 1},
    "query": 'sum(rate(envoy_cluster_upstream_rq_xx{envoy_cluster_name="{{ target }}",'
    'envoy_response_code_class="5"}[{{ interval }}])) or vector(0)',
}


@pytest.fixture
def prometheus(site: Site, start_prometheus: Callable[..., Prometheus]) -> Prometheus:
    """Scrapes Envoy each second; returned once it has."""
    target = urlsplit(site.world.envoy.admin).netloc
    job = f"- {{job_name: envoy, metrics_path: /stats/prometheus, static_configs: [{{targets: ['{target}']}}]}}\n"
    started = start_prometheus(job)
    query = quote('count_over_time(envoy_cluster_upstream_rq_xx{envoy_cluster_name="v1"}[1m]) > 2')
    url = f"{started.url}/api/v1/query?query={query}"
    wait_for(lambda: json.loads(get(url)[1])["data"]["result"], "Prometheus to have scraped Envoy", within=30)
    return started


CASES = [pytest.param(0.5, 3, id="failing: rolled back"), pytest.param(0.0, 0, id="healthy: promoted")]


@pytest.mark.parametrize(("errors", "code"), one_now(CASES))
def test_builtins_and_a_query_of_ones_own(site: Site, prometheus: Prometheus, errors: float, code: int) -> None:
    """The same manifest, with `--prometheus`; the rollback says a number that Prometheus gave."""
    site.world.backends["v2"].error_share = errors
    site.write(steps=[{"weight": 30}, {"weight": 60}], interval="2s", metrics=[*METRICS, CUSTOM])
    run = site.run("--prometheus", prometheus.url)
    assert run.ends(60) == code
    assert ("request-success-rate" in run.text and "is below 99%" in run.text) == (code == 3)


@pytest.mark.long
def test_a_prometheus_that_stops_is_neither_a_pass_nor_a_failure(site: Site, prometheus: Prometheus) -> None:
    """Promise 3: it holds while Prometheus is away, says so, and goes on with the evidence afterwards."""
    site.write(steps=[{"weight": 30, "iterations": 3}], interval="2s")
    run = site.run("--prometheus", prometheus.url)
    site.until_weight(30)
    prometheus.pause()
    wait_for(lambda: "can't be read: timed out" in run.text, "the run to miss Prometheus", within=30)
    assert (site.status.phase, site.status.failed_checks) == (Phase.PROGRESSING, 0)
    prometheus.resume()
    assert run.ends(60) == 0


@pytest.mark.parametrize(("errors", "code"), one_now(CASES))
def test_evidence_of_counters_and_histograms(site: Site, prometheus: Prometheus, errors: float, code: int) -> None:
    """The judge `sequential` on counts of tiling windows, with latency by the edges of Envoy's histograms."""
    site.world.backends["v2"].error_share = errors
    metrics = [*METRICS, {"name": "request-duration", "thresholdRange": {"max": 500}}]
    judge = {"type": "sequential", "warmup": "2s"}
    site.write(steps=[{"weight": 30}, {"weight": 60}], interval="2s", metrics=metrics, judge=judge)
    run = site.run("--prometheus", prometheus.url)
    assert run.ends(90) == code
    assert ("bar 100)" in run.text) == (code == 3)
    assert "within 500ms 100%" in run.text or code == 3
