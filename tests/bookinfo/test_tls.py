"""TLS that is passed through: which version a connection reaches, by the server that it asks for."""

from collections.abc import Iterator

import pytest

from tests.bookinfo.shares import ENOUGH, Watched, likely
from tests.bookinfo.site import GATED, Site
from tests.mesh.bookinfo import ISTIO, destination_rule, service, to, virtual_service
from tests.metrics.mesh import now
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

pytestmark = pytest.mark.long
PORT, HOST = 8443, "store:8443"
PARTNERS = "partners.example"
TARGET = {"targetRef": {"apiVersion": ISTIO, "kind": "VirtualService", "name": "store"}}


@pytest.fixture
def store(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A service that speaks TLS, for the mesh and for partners, of whom a fifth meet the third version."""
    tls = [
        {"match": [{"port": PORT, "sniHosts": [PARTNERS]}], "route": to("store", v1=4, v3=1)},
        {"match": [{"port": PORT, "sniHosts": ["store"]}], "route": to("store", v1=100)},
    ]
    rule = destination_rule("store", ("v1", "v2", "v3"))
    hosts = {"hosts": ["store", PARTNERS]}
    site.mesh.apply(service("store", PORT, "tls", app="reviews"), rule, virtual_service("store", tls=tls, **hosts))
    site.mesh.source("partner")
    monkeypatch.setattr(site, "name", "store")
    yield site
    site.mesh.delete("VirtualService", "store")
    site.mesh.delete("Service", "store")


def test_connections_follow_the_weights(store: Site) -> None:
    """Each server name has a route of its own, and all move; a name that no route has is sent nowhere."""
    assert store.mesh.ask(HOST, 3, sni="elsewhere.example").counts == {("", 0): 3}
    assert store.mesh.ask(HOST, 3).counts == {("", 0): 3}, "nothing goes there in the clear"
    before = store.object(name="store")
    store.write("v2", {**TARGET, "stable": "v1"}, steps=GATED, metrics=[])
    loads = [store.mesh.load(HOST, 30, sni="store"), store.mesh.load(HOST, 40, sni=PARTNERS, source="partner")]
    with Watched(store.mesh, "store", "tls", HOST) as watched:
        both_at_last(watched, v1=100)
        start, run = now(), store.run()
        store.until("WaitingForApproval")
        both_at_last(watched, v1=70, v2=30)
        assert store.ask("approve").returncode == 0
        assert run.ends() == 0, run.text
        both_at_last(watched, v2=100)
        served = watched.served
    for load in loads:
        load.stop()
    assert [one.weights for one in served] == [{"v1": 100}, {"v1": 70, "v2": 30}, {"v2": 100}]
    for one in served:
        partners = watched.measured(one, source="partner")
        for version in ("v1", "v2"):
            percent = 0.8 * one.weights.get(version, 0)
            assert likely(partners.versions[version], percent, partners.total), (one, partners.versions)
    watched.followed(served)
    met = store.mesh.measured(start, host=HOST)
    assert met.failed == 0
    assert met.total > 3 * ENOUGH
    before["spec"]["tls"][1]["route"][0]["destination"]["subset"] = "v2"
    before["spec"]["tls"][0]["route"][0]["destination"]["subset"] = "v2"
    after = store.object(name="store")
    assert after["spec"] == before["spec"]


def both_at_last(watched: Watched, **weights: int) -> None:
    """Waits until clients and partners have been served so for long enough to measure it."""

    def enough() -> bool:
        return watched.measured(watched.served[-1], source="partner").total > ENOUGH

    watched.at_last(**weights)
    wait_for(enough, f"partners to be served {weights}", within=SLOWLY)


def test_a_rollback_gives_the_original_back(store: Site) -> None:
    """Equal; the canary's pods are gone in mid-step."""
    before = store.object(name="store")
    store.write("v2", {**TARGET, "stable": "v1"}, steps=[{"weight": 30, "hold": "10m"}], metrics=[])
    run = store.run()
    with Watched(store.mesh, "store", "tls", HOST) as watched:
        wait_for(lambda: watched.served and watched.served[-1].weights == {"v1": 70, "v2": 30}, "30%", within=SLOWLY)
        store.mesh.scale("reviews-v2", 0)
        assert run.ends() == 3, run.text
    assert store.object(name="store") == before
