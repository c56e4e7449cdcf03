"""A real Envoy that a real Prometheus scrapes: its counters have the names and the meaning that PromQL expects."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from canary.engine.observed import Counts, Query, Shape, Subject, Value
from canary.metrics.prometheus import Prometheus as Adapter
from canary.metrics.promql import Dialect
from tests.metrics.mesh import Mesh, ask, now
from tests.parts.envoy import Envoy
from tests.parts.processes import free_port, get, wait_for
from tests.parts.prometheus import Prometheus

V2 = Subject("v2-canary")


def proxy(port: int, backend: int) -> dict[str, Any]:
    """A bootstrap with one listener, and one cluster behind it."""

    def at(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    route = {"match": {"prefix": "/"}, "route": {"cluster": V2.workload}}
    http = {
        "@type": f"type.googleapis.com/{manager}",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": router}}],
    }
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": at(backend)}}]}]
    cluster = {
        "name": V2.workload,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": V2.workload, "endpoints": endpoints},
    }
    chains = [{"filters": [{"name": "http", "typed_config": http}]}]
    listener = {"address": at(port), "filter_chains": chains}
    return {
        "stats_flush_interval": "1s",
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
    }


def test_a_real_envoy(
    own: Mesh,
    start_envoy: Callable[[Mapping[str, Any]], Envoy],
    start_prometheus: Callable[..., Prometheus],
) -> None:
    """Each request once, failures by response class, durations in milliseconds."""
    port = free_port()
    envoy = start_envoy(proxy(port, own.port))
    target = envoy.admin.removeprefix("http://")
    prometheus = start_prometheus(
        f"- job_name: envoy\n  metrics_path: /stats/prometheus\n  static_configs: [{{targets: ['{target}']}}]"
    )
    scraped = 'count_over_time(up{job="envoy"}[1m]) >= 3'  # from then on what is new counts from 0
    wait_for(lambda: ask(prometheus, scraped), "three scrapes of Envoy", child=prometheus.child)
    start = now()
    pod = own.start("answers")
    for _ in range(7):
        assert get(f"http://127.0.0.1:{port}/{pod.place}")[0] == 200
    own.end(pod)
    for _ in range(3):
        assert get(f"http://127.0.0.1:{port}/{pod.place}")[0] == 503
    counted = 'sum(envoy_cluster_upstream_rq_time_bucket{le="+Inf"}) == 10'
    wait_for(lambda: ask(prometheus, counted), "Envoy's histogram", child=prometheus.child)
    end = now()
    counts = Query("requests", end - start, V2, Shape.COUNTS, edges=(3_600_000,))
    rate = Query("request-success-rate", end - start, V2)
    duration = Query("request-duration", end - start, V2)
    with closing(Adapter(prometheus.url, dialect=Dialect("envoy"))) as source:
        answers = source.measure([counts, rate, duration], end)
    assert answers[counts] == Counts(10, 3, ((3_600_000, 0),), timed=10)
    assert answers[rate] == Value(70)
    p99 = answers[duration]
    assert isinstance(p99, Value)
    assert 0 < p99.value < 5000
