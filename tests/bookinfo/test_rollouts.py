"""Whole rollouts of reviews: what users got, and what is left in the user's objects."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.bookinfo.shares import ENOUGH, Watched
from tests.bookinfo.site import GATED, STEPS, Site
from tests.mesh import bookinfo
from tests.mesh.bookinfo import ISTIO, JASON, SECURITY, to, virtual_service
from tests.metrics.mesh import now

POLICIES = ("PeerAuthentication", "RequestAuthentication", "AuthorizationPolicy")
WAY = (0, 10, 30, 50, 80, 100)
FEW = [{"weight": 30}, {"weight": 100}]


def test_reviews_go_to_v2_then_to_v3(site: Site) -> None:
    """90/10 → 70/30 → 50/50 → 20/80 → 0/100: only the subset is another one, and users followed the weights."""
    before, beside = site.object(), others(site)
    with jason(site), Watched(site.mesh) as watched:
        watched.at_last(v1=100)
        start = now()
        for canary, steps, way in (("v2", STEPS, WAY), ("v3", FEW, (0, 30, 100))):
            first = max(len(watched.served) - 1, 0)
            site.write(canary, steps=steps)
            run = site.run()
            assert run.ends() == 0, run.text
            watched.at_last(**{canary: 100})
            served = watched.served[first:]
            assert tuple(one.weights.get(canary, 0) for one in served) == way, served
            watched.followed(served)
            before["spec"]["http"][1]["route"][0]["destination"]["subset"] = canary
            assert site.object() == before
    assert others(site) == beside
    policies_cover_all_that_serve(site)
    assert site.mesh.measured(start).failed == 0
    assert only_met(site, "v2")


@pytest.mark.basic
def test_a_third_version_keeps_its_share(site: Site) -> None:
    """v3 has 20% beside the pair, at each step and afterwards; the weights end as small as they were.

    A gate holds the first step until enough users have been served by it, however busy the machine is.
    """
    site.mesh.apply(virtual_service("reviews", JASON, {"route": to("reviews", v1=4, v3=1)}))
    site.mesh.wait_loaded()
    before = site.object()
    site.write("v2", {"stable": "v1"}, steps=[*GATED, {"weight": 100}])
    with Watched(site.mesh) as watched:
        watched.at_last(v1=80, v3=20)
        start, run = now(), site.run()
        site.until("WaitingForApproval")
        watched.at_last(v1=56, v2=24, v3=20)
        assert site.ask("approve").returncode == 0
        assert run.ends() == 0, run.text
        watched.at_last(v2=80, v3=20)
        served = watched.served
    way = [{"v1": 80, "v3": 20}, {"v1": 56, "v2": 24, "v3": 20}, {"v2": 80, "v3": 20}]
    assert [one.weights for one in served] == way
    watched.followed(served)
    assert site.mesh.measured(start).failed == 0
    assert without_v1(site.object()) == without_v1(before)


@pytest.fixture
def public(site: Site) -> Iterator[Site]:
    """Users reach reviews through a gateway as well, by another VirtualService."""
    bound = {"hosts": ["shop.example"], "gateways": ["istio-system/public"]}
    site.mesh.apply(virtual_service("public", {"route": to("reviews", v1=100)}, **bound))
    site.mesh.source("edge", namespace="istio-system", gateway="istio-system/public")
    load = site.mesh.load("shop.example", 40, source="edge")
    yield site
    load.stop()
    site.mesh.delete("VirtualService", "public")


def test_several_virtual_services_move_together(public: Site) -> None:
    """`spec.virtualServices`: users of the gateway follow the weights as those in the mesh do.

    Across several, v1 stays at weight 0 until the next rollout: else it it would be unclear what has moved.
    """
    before = [everything_else(public, name) for name in ("reviews", "public")]
    public.write("v2", {"virtualServices": ["public"]}, steps=[{"weight": 50}])
    start = now()
    with Watched(public.mesh) as inside, Watched(public.mesh, "public", host="shop.example") as outside:
        inside.at_last(v1=100)
        run = public.run()
        assert run.ends() == 0, run.text
        inside.at_last(v2=100)
    way = [{"v1": 100}, {"v1": 50, "v2": 50}, {"v2": 100}]
    assert [[one.weights for one in each.served] for each in (inside, outside)] == [way, way]
    inside.followed(inside.served)
    for one in outside.served:
        met = public.mesh.measured(one.since, one.until, source="edge")
        assert set(met.versions) == set(one.weights)
    assert public.mesh.measured(start).failed == 0
    assert [everything_else(public, name) for name in ("reviews", "public")] == before


def everything_else(site: Site, name: str) -> Any:
    """All of a VirtualService but its last route's weights, and their mark."""
    found = site.object(name=name)
    found["metadata"].pop("annotations", None)
    found["spec"]["http"][-1].pop("route")
    return found


def test_connections_follow_the_weights(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tcp route moves by weight as well; it has no metrics of its own, so that only pods are judged."""
    rule = bookinfo.destination_rule("store", ("v1", "v2"))
    routes = virtual_service("store", tcp=[{"route": to("store", v1=100)}])
    site.mesh.apply(bookinfo.service("store", 3306, "mysql", app="reviews"), rule, routes)
    site.mesh.wait_loaded()
    before = site.object(name="store")
    target = {"apiVersion": ISTIO, "kind": "VirtualService", "name": "store"}
    monkeypatch.setattr(site, "name", "store")
    site.write("v2", {"targetRef": target}, steps=GATED, metrics=[])
    load = site.mesh.load("store:3306", 40)
    with Watched(site.mesh, "store", "tcp", "store:3306") as watched:
        watched.at_last(v1=100)
        start, run = now(), site.run()
        site.until("WaitingForApproval")
        watched.at_last(v1=70, v2=30)
        assert site.ask("approve").returncode == 0
        assert run.ends() == 0, run.text
        watched.at_last(v2=100)
        served = watched.served
    load.stop()
    assert [one.weights for one in served] == [{"v1": 100}, {"v1": 70, "v2": 30}, {"v2": 100}]
    watched.followed(served)
    assert site.mesh.measured(start).failed == 0
    before["spec"]["tcp"][0]["route"][0]["destination"]["subset"] = "v2"
    assert site.object(name="store") == before


@contextmanager
def jason(site: Site) -> Iterator[None]:
    """Requests of the one user who has a route of his own."""
    site.mesh.source("jason", {"app": "jason"})
    load = site.mesh.load("reviews", 20, headers={"end-user": "jason"}, source="jason")
    yield
    load.stop()


def only_met(site: Site, version: str) -> bool:
    """Whether jason met that version, always."""
    met = site.mesh.measured(source="jason")
    return met.total > ENOUGH and met.counts == {(version, 200): met.total}


def others(site: Site) -> list[Any]:
    """All objects that no one who moves traffic may touch."""
    policies = [site.object(kind, SECURITY) for kind in POLICIES]
    services = [site.object("Service", "v1", name) for name in ("reviews", "ratings")]
    return [site.object("DestinationRule"), *policies, *services]


def policies_cover_all_that_serve(site: Site) -> None:
    """Each pod that serves carries the labels that the policies select; mTLS is strict for all."""
    assert site.object("PeerAuthentication", SECURITY)["spec"] == {"mtls": {"mode": "STRICT"}}
    labels = [one.labels for one in site.mesh.pilot.pods() if one.workload.startswith("reviews-")]
    assert len(labels) == 2 * len(bookinfo.VERSIONS)
    for kind in POLICIES[1:]:
        wanted = site.object(kind, SECURITY)["spec"]["selector"]["matchLabels"]
        assert all(wanted.items() <= its.items() for its in labels)


def without_v1(found: Any) -> Any:
    """The object with v2 in the place of v1, in the route for all."""
    for one in found["spec"]["http"][-1]["route"]:
        if one["destination"]["subset"] == "v1":
            one["destination"]["subset"] = "v2"
    return found
