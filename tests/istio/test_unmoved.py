"""What a rollout leaves as it is, as it is read from VirtualServices: anyone who stops v1 must know of it."""

from typing import Any

import pytest

from canary.api.status import Unmoved
from canary.istio.scope import Scope

from .bookinfo import Cluster, Data, route, service, to

ALL = {"destination": {"host": "reviews"}}
TESTERS = Unmoved(route="testers", version="v1")


def for_users(**match: Any) -> Data:
    """A route to v1 with this match, before the route for everybody."""
    return route(to("v1"), name="testers", match=[match])


CASES: list[Any] = [
    pytest.param([for_users(headers={"x-tester": {"exact": "1"}})], (TESTERS,), id="a header"),
    pytest.param([for_users(headers={"content-type": {"prefix": "text/"}})], (TESTERS,), id="a content type"),
    pytest.param([for_users(queryParams={"test": {"exact": "1"}})], (TESTERS,), id="a query parameter"),
    pytest.param([for_users(sourceLabels={"app": "tester"})], (TESTERS,), id="labels of the caller"),
    pytest.param(
        [route(to("v1"), name="testers", match=[{"uri": {"prefix": "/t"}}, {"headers": {"x-t": {"exact": "1"}}}])],
        (TESTERS,), id="a path beside a header",
    ),
    pytest.param(
        [route(ALL, name="whole", match=[{"uri": {"prefix": "/w"}}])], (Unmoved(route="whole"),), id="the whole host",
    ),
    pytest.param(
        [route(to("v3"), name="beta", match=[{"headers": {"x-beta": {"exact": "1"}}}])],
        (Unmoved(route="beta", version="v3"),), id="a route to a third version",
    ),
    pytest.param(
        [route(to("v1"), name="testers", match=[{"headers": {"x": {"exact": "1"}}}], mirror=ALL["destination"])],
        (TESTERS, Unmoved(route="testers", copies=True)), id="a mirror to the whole host",
    ),
    pytest.param(
        [route(to("ratings-v1"), name="away", match=[{"headers": {"x": {"exact": "1"}}}])], (), id="another service",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("routes", "unmoved"), CASES)
@pytest.mark.parametrize("weight", [0, 10, 100])
def test_what_stays_is_listed_at_each_weight(routes: list[Data], unmoved: tuple[Unmoved, ...], weight: int) -> None:
    """From the start to the end, in any state of the routes that move."""
    cluster = Cluster(service(*routes, route(to("v1"), name="main")))
    cluster.send(weight)
    assert cluster.read("v1", "v2").unmoved == unmoved


@pytest.mark.parametrize(("routes", "unmoved"), CASES)
def test_it_is_listed_at_rest_as_well(routes: list[Data], unmoved: tuple[Unmoved, ...]) -> None:
    """Where it isn't known yet which version serves: all of them are subsets of one host."""
    state = Cluster(service(*routes, route(to("v1"), name="main"))).read(None, "v2")
    assert (state.unmoved, state.mixed) == (unmoved, False)


def test_routes_outside_of_the_scope_and_third_shares_are_listed() -> None:
    """A share of v3 in the route that moves has no route of its own."""
    routes = (route(to("v1"), name="admin"), route(to("v1", 80), to("v3", 20), name="main"))
    cluster = Cluster(service(*routes), scope=Scope("default", ("reviews",), routes=("main",)))
    assert cluster.read("v1", "v2").unmoved == (Unmoved(route="admin", version="v1"), Unmoved(version="v3"))


def test_where_versions_are_hosts_only_the_pair_counts() -> None:
    """Routes to other services are no versions; without the pair that is unclear, and the message says so."""
    testers = route(to("reviews-v1"), name="testers", match=[{"headers": {"x": {"exact": "1"}}}])
    away = route(to("ratings-v1"), name="away", match=[{"headers": {"y": {"exact": "1"}}}])
    cluster = Cluster(service(testers, away, route(to("reviews-v1"))), rules=())
    assert cluster.read("reviews-v1", "reviews-v2").unmoved == (Unmoved(route="testers", version="reviews-v1"),)
    at_rest = cluster.read(None, "reviews-v2")
    assert at_rest.mixed
    assert Unmoved(route="testers", version="reviews-v1") in at_rest.unmoved
