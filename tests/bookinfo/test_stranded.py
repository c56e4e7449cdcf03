"""Requests that reached no pod, in a whole rollout: counted for the version that they were meant for."""

from typing import Any

import pytest

from tests.bookinfo.site import GATED, RATES, Site
from tests.mesh.bookinfo import service, virtual_service

pytestmark = pytest.mark.long
ABORT = {"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 50}}}}


def test_between_hosts_they_count(site: Site) -> None:
    """Half of all requests are aborted before a pod is chosen; the service says whose, and v2 is rolled back."""
    site.mesh.apply(*(service(f"reviews-{one}", app="reviews", version=one) for one in ("v1", "v2")))
    route: dict[str, Any] = {"route": [{"destination": {"host": "reviews-v1"}}]}
    site.mesh.apply(virtual_service("reviews", route))
    site.mesh.wait_loaded()
    site.write("reviews-v2", steps=GATED, metrics=RATES)
    run = site.run()
    site.until("WaitingForApproval")
    found = site.object()["spec"]["http"][0]
    path = site.mesh.path("networking.istio.io/v1", "VirtualService", "reviews")
    site.mesh.kube.merge(path, {"spec": {"http": [{**found, **ABORT}]}})
    assert run.ends() == 3, run.text
    assert site.status.history[0].reason == "SuccessRateBelowMinimum"
    assert site.object()["spec"]["http"] == [{**route, **ABORT}]
