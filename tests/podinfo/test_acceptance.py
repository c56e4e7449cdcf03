"""Rollouts of podinfo that users of Flagger know, beside those in `test_controller.py`: what users got."""

import pytest

from canary.api.plan import Traffic
from tests.bookinfo.site import SLOW
from tests.incluster.objects import make
from tests.mesh import bookinfo
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import NAME, PRIMARY, SERVICE

pytestmark = pytest.mark.cluster

WHOSE = (
    'reporter="destination", destination_workload_namespace="{{ namespace }}", destination_workload="{{ target }}"'
)
ERRORS = (
    "100 * (sum(rate(istio_requests_total{" + WHOSE + ", response_code=~'5..'}[{{ interval }}])) or vector(0))"
    " / sum(rate(istio_requests_total{" + WHOSE + "}[{{ interval }}]))"
)


def test_a_delegate_with_discovered_ports_and_metadata_of_its_own(bare: ControlledSite) -> None:
    """Requests come through the user's own VirtualService, which stays as it is."""
    podinfo = bare.podinfo
    assert podinfo.load is not None
    podinfo.load.stop()
    ports = [{"name": "http", "containerPort": 9898}, {"name": "http-metrics", "containerPort": 9797}]
    containers = [{"name": "main", "image": "podinfo:1", "ports": ports}]
    bare.merge({"template": {"spec": {"containers": containers}}})
    bare.mesh.apply(bookinfo.virtual_service("shop", {"delegate": {"name": NAME}}, hosts=[NAME]))
    bare.mesh.ready(NAME)
    shop = bare.object(name="shop")
    bare.controller()
    apex = {"labels": {"team": "shop"}, "annotations": {"note": "for clients"}}
    bare.settle(spec={"service": {**SERVICE, "delegation": True, "portDiscovery": True, "apex": apex}})
    service = bare.mesh.kube.read(bare.mesh.path("v1", "Service", NAME))
    assert [one["port"] for one in service["spec"]["ports"]] == [9898, 9797]
    assert (service["metadata"]["labels"]["team"], service["metadata"]["annotations"]["note"]) == (
        "shop",
        "for clients",
    )
    assert {"hosts", "gateways"}.isdisjoint(bare.object()["spec"])
    podinfo.load = bare.mesh.load(NAME, 60)
    image = bare.push()
    bare.ends("Succeeded", 1)
    assert (bare.image, bare.failed, bare.met(image=image, workload=NAME) > 0) == (image, 0, True)
    assert bare.object(name="shop") == shop
    bare.mesh.delete("VirtualService", "shop")


def test_a_slow_build_is_rolled_back(bare: ControlledSite) -> None:
    """No request fails."""
    bare.controller()
    bare.settle(metrics=SLOW)
    image = bare.push(delay=0.8)
    bare.ends("Failed", 1)
    assert (bare.traffic, bare.image, bare.failed) == (Traffic(), "podinfo:1", 0)
    assert bare.met(image=image, workload=PRIMARY) == 0 < bare.met(image=image)


def test_without_requests_nothing_is_promoted(bare: ControlledSite) -> None:
    """Neither a pass nor a failed check: the manifest says what follows."""
    bare.controller()
    bare.settle(onNoData={"after": "4s", "then": "rollback"})
    assert bare.podinfo.load is not None
    bare.podinfo.load.stop()
    bare.mesh.wait_loaded()
    bare.push()
    bare.ends("Failed", 1)
    assert (bare.traffic, bare.image, bare.failed) == (Traffic(), "podinfo:1", 0)
    last = bare.status.history[0]
    assert "no requests" in last.message or "no data" in last.message or "no value" in last.message, last.message


def test_from_10_to_30_by_a_template(bare: ControlledSite) -> None:
    """A MetricTemplate alone judges: the good build is promoted after 30%, the bad one goes back at 10%."""
    provider = {"type": "prometheus", "address": bare.mesh.prometheus.url}
    make(bare, "metrictemplates", "errors", {"provider": provider, "query": ERRORS})
    metric = {"name": "errors", "templateRef": {"name": "errors"}, "interval": "10s", "thresholdRange": {"max": 1}}
    bare.controller()
    bare.settle(steps=None, stepWeights=[10, 30], interval="1s", metrics=[metric])
    image = bare.push()
    for weight in (10, 30):
        bare.until_weight(weight)
    bare.ends("Succeeded", 1)
    assert (bare.image, bare.failed) == (image, 0)
    bad = bare.push(errors=1.0)
    bare.ends("Failed", 2)
    last = bare.status.history[0]
    assert "errors" in last.message, last
    measured = bare.mesh.measured(bare.since)
    assert measured.failed == measured.of(image=bad, workload=NAME).failed > 0
