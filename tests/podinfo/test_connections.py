"""Rollouts of podinfo as a Service of TCP: its connections are shared out, and only its pods are judged."""

import pytest

from tests.mesh import bookinfo
from tests.metrics.mesh import now
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import NAME, PRIMARY, PodinfoSite
from tests.podinfo.test_deletion import gone, objects

pytestmark = pytest.mark.cluster
PORT = "tcp-podinfo"


def test_connections_follow_the_weights(site: PodinfoSite) -> None:
    """No connection fails, and the canary has its share before it is promoted."""
    assert site.load is not None
    site.load.stop()
    site.mesh.apply(bookinfo.service(NAME, 9898, PORT))
    site.mesh.wait_loaded()
    site.load, site.since = site.mesh.load(f"{NAME}:9898", 40), now()
    site.provisioned(spec={"service": {"port": 9898, "portName": PORT}}, metrics=[])
    site.at_rest("1")
    site.push("2", None)
    run = site.run()
    assert run.ends() == 0, run.text
    site.at_rest("2")
    routes = site.object()["spec"]
    assert ("http" in routes, len(routes["tcp"])) == (False, 1)
    met = site.mesh.measured(site.since)
    assert met.failed == 0
    assert met.of(image="podinfo:2", workload=NAME).total > 0
    assert met.of(image="podinfo:2", workload=PRIMARY).total > 0


def test_adopted_tcp_routes_are_given_back(bare: ControlledSite) -> None:
    """Connections to the Service go to primary and canary, then to it again; other routes stay as they are."""
    service = {"port": 9898, "portName": PORT}
    other = {"match": [{"port": 5432}], "route": [{"destination": {"host": "elsewhere", "port": {"number": 5432}}}]}
    mine = {"match": [{"port": 9898}], "route": [{"destination": {"host": NAME}}]}
    bare.podinfo.end()
    bare.mesh.apply(bookinfo.service(NAME, 9898, PORT))
    bare.mesh.apply(bookinfo.virtual_service(NAME, hosts=[NAME], tcp=[other, mine], exportTo=["."]))
    bare.mesh.wait_loaded()
    bare.podinfo.load, bare.since = bare.mesh.load(f"{NAME}:9898", 40), now()
    before = objects(bare)
    bare.controller()
    bare.settle(spec={"service": service, "revertOnDeletion": True}, metrics=[])
    first, second = bare.object()["spec"]["tcp"]
    hosts = [(one["destination"]["host"], one["weight"]) for one in second["route"]]
    assert (first, hosts) == (other, [(PRIMARY, 100), ("podinfo-canary", 0)])
    image = bare.push()
    bare.ends("Succeeded", 1)
    assert bare.met(image=image) > 0
    bare.delete()
    wait_for(lambda: gone(bare), "the Canary to be gone", within=SLOWLY)
    after = objects(bare)
    assert bare.podinfo.image(NAME) == image
    for found in (before, after):
        del found[f"Deployment {NAME}"]
    assert after == before
    bare.mesh.ready(NAME)
    assert bare.failed == 0
