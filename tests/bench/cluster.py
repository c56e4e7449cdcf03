"""How fast a bad version is taken out in a cluster: 20 rollouts on a real API server, Envoy and Prometheus."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from canary.api.exit_codes import Exit
from tests.bookinfo.counting import counted
from tests.bookinfo.site import Site
from tests.mesh import bookinfo
from tests.mesh.mesh import mesh
from tests.parts import cluster, envoy, prometheus
from tests.parts.cluster import ControlPlane

from .row import Row

RUNS = 20
SHORT: dict[str, Any] = {"interval": "1s", "settle": "0s", "threshold": 1}
BAD = [{"name": "request-success-rate", "interval": "5s", "thresholdRange": {"min": 99}}]


def reactions() -> Iterator[Row]:
    """From the first read of the reconcile that reads the bad evidence until the API server accepted weight 0."""
    parts = (cluster.find(), envoy.find(), prometheus.find())
    if None in parts:
        print("without the control plane, Envoy and Prometheus of `make test`, nothing is measured in a cluster")
        return
    with tempfile.TemporaryDirectory() as folder, _site(Path(folder)) as (site, plane):
        taken = [_reaction(site, plane) * 1000 for _ in range(RUNS)]
    yield Row(f"bad evidence read → weight 0 accepted: median of {RUNS}", median(taken), "ms")
    yield Row(f"bad evidence read → weight 0 accepted: slowest of {RUNS}", max(taken), "ms", 1000)


@contextmanager
def _site(folder: Path) -> Iterator[tuple[Site, ControlPlane]]:
    tools, proxy, metrics = cluster.find(), envoy.find(), prometheus.find()
    assert tools is not None
    assert proxy is not None
    plane = ControlPlane(tools, folder)
    try:
        plane.start()
        namespace = plane.kube.create_namespace()
        with mesh(plane, namespace, folder, proxy, metrics) as made:
            made.apply(*bookinfo.objects())
            made.ready("reviews-v1", "reviews-v2", "reviews-v3")
            load = made.load("reviews", 60)
            yield Site(made, plane.kubeconfig(), folder), plane
            load.stop()
    finally:
        plane.kill()


def _reaction(site: Site, plane: ControlPlane) -> float:
    site.forget()
    site.mesh.apply(bookinfo.reviews(v1=100))
    site.mesh.behave("reviews-v2", errors=1.0)
    site.write("v2", steps=[{"weight": 50, "hold": "60s"}], metrics=BAD, **SHORT)
    run = counted(site, plane.kubeconfig())
    assert run.over.code == Exit.ROLLED_BACK, run.over
    return next(cost.seconds for cost in run.costs if cost.evaluated and cost.weight == 0)
