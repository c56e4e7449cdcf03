"""Weights of a pair in the routes that move, and the shape that routes get back (promise 6)."""

from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Unmoved
from canary.engine.errors import Rejected
from canary.istio.destinations import Pair
from canary.istio.marks import ANNOTATION
from canary.istio.patch import write
from canary.istio.scope import Scope

from .bookinfo import JASON, REVIEWS, RULES, Cluster, Data, plain, route, rule, service, to


def test_the_steps_of_bookinfo_and_the_next_version_after_it() -> None:
    """Percent by percent to v2, then to v3; jason's route is never touched."""
    cluster = Cluster(service(JASON, route(to("v1", 90), to("v2", 10))))
    for weight in (30, 50, 80, 100):
        cluster.send(weight)
        assert cluster.sent() == ["v2", f"v1 {100 - weight}, v2 {weight}"]
    for weight in (10, 100):
        cluster.send(weight, "v2 v3")
    assert cluster.sent() == ["v2", "v1 0, v3 100"], "as many destinations as the owner wrote"
    assert ANNOTATION not in cluster.services[0]["metadata"].get("annotations", {})


@pytest.mark.parametrize(
    ("entries", "weight", "during", "promoted"),
    [
        pytest.param([to("v1", 100), to("v2", 0)], 30, "v1 70, v2 30", "v1 0, v2 100", id="both listed"),
        pytest.param([to("v1")], 30, "v1 70, v2 30", "v2", id="a single destination gets its shape back"),
        pytest.param([to("v1", 0)], 30, "v1 70, v2 30", "v2 0", id="a single destination has all at weight 0"),
        pytest.param([to("v1", 100)], 5, "v1 95, v2 5", "v2 100", id="a single destination with its weight"),
        pytest.param([to("v1", 100), to("v2")], 1, "v1 99, v2 1", "v1, v2 100", id="no weight among several is 0"),
        pytest.param(
            [to("v1", 70), to("v3", 30)], 50, "v1 35, v3 30, v2 35", "v2 70, v3 30",
            id="the missing destination is added last, and ends in the place of the one that goes",
        ),
        pytest.param(
            [to("v1", 1), to("v2", 0), to("v3", 1)], 10, "v1 9, v2 1, v3 10", "v1 0, v2 1, v3 1",
            id="small weights grow by one factor, and shrink again",
        ),
        pytest.param([to("v1", 7)], 1, "v1 693, v2 7", "v2 7", id="an odd single weight is exact"),
        pytest.param(
            [to("v1", 100, port=9080), to("v2", 0, port=9081)], 20, "v1 80, v2 20", "v1 0, v2 100",
            id="ports of the user stay",
        ),
    ],
)  # fmt: skip
def test_weights_move_and_the_shape_comes_back(entries: list[Data], weight: int, during: str, promoted: str) -> None:
    """Rolled back from anywhere, the route is as it was; promoted, it has the shape of before."""
    before = service(route(*entries))
    cluster = Cluster(before)
    cluster.send(weight)
    assert cluster.sent() == [during]
    assert cluster.read("v1", "v2").traffic == Traffic(weight=weight)
    cluster.send(0)
    assert plain(cluster.services) == plain([before])
    cluster.send(weight)
    cluster.send(100)
    assert cluster.sent() == [promoted]
    assert "annotations" not in cluster.services[0]["metadata"]
    assert cluster.read("v1", "v2").traffic == Traffic(weight=100)
    cluster.send(0)
    assert plain(cluster.services) == plain([before])


def test_an_added_destination_has_the_shape_of_its_neighbour() -> None:
    """Host as it is spelled, port, and headers."""
    host = "reviews.default.svc.cluster.local"
    entry = to("v1", host=host, port=9080, headers={"request": {"set": {"x": "1"}}})
    cluster = Cluster(service(route(entry)))
    cluster.send(10)
    added = cluster.routes()[0]["route"][1]
    assert added == to("v2", 10, host=host, port=9080, headers={"request": {"set": {"x": "1"}}})


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_tcp_and_tls_routes_move_too(kind: str) -> None:
    """Their routes have no names; they are distinguished by what they match."""
    match = [{"port": 443, "sniHosts": ["reviews"]}]
    moves = [route(to("v1", 100), to("v2", 0), match=match), route(to("v1"), match=[{"port": 1}])]
    before = service(tcp=moves) if kind == "tcp" else service(tls=moves)
    cluster = Cluster(before)
    cluster.send(20)
    assert cluster.sent(kind) == ["v1 80, v2 20", "v1 80, v2 20"]
    cluster.send(0)
    assert plain(cluster.services) == plain([before])


@pytest.mark.parametrize(
    ("stable_host", "canary_host"),
    [
        pytest.param("reviews-v1", "reviews-v2", id="short names"),
        pytest.param("reviews-v1.default.svc.cluster.local", "reviews-v2.default.svc.cluster.local", id="full names"),
        pytest.param("old-site.example.com", "new-site.example.com", id="hosts outside of the cluster"),
    ],
)
def test_versions_can_be_hosts(stable_host: str, canary_host: str) -> None:
    """Each version a Service of its own, in any spelling of the routes."""
    pair = " ".join(host.split(".")[0] if "reviews" in host else host for host in (stable_host, canary_host))
    before = service(route({"destination": {"host": stable_host}}), route({"destination": {"host": "ratings"}}))
    cluster = Cluster(before)
    cluster.send(30, pair)
    assert cluster.sent() == [f"{stable_host} 70, {canary_host} 30", "ratings"]
    cluster.send(100, pair)
    assert cluster.sent() == [canary_host, "ratings"]
    cluster.send(0, pair)
    assert plain(cluster.services) == plain([before])


def test_hosts_of_different_namespaces_are_different() -> None:
    """Compared by what they resolve to, never by the first label."""
    other = route({"destination": {"host": "reviews-v1.other.svc.cluster.local"}})
    cluster = Cluster(service(other, route({"destination": {"host": "reviews-v1"}})))
    cluster.send(30, "reviews-v1 reviews-v2")
    assert cluster.routes()[0] == other


def test_only_routes_in_scope_move() -> None:
    """`routes:` restricts by name, and those of other hosts and of redirects have nothing to move."""
    others: list[Data] = [
        route(to("v1", host="ratings"), name="ratings"),
        {"name": "away", "redirect": {"uri": "/new"}},
        route(to("v1"), name="admin"),
    ]
    scope = Scope("default", ("reviews",), host="reviews.default", routes=("default",))
    cluster = Cluster(service(*others, route(to("v1"), name="default")), scope=scope)
    cluster.send(40)
    assert cluster.routes()[:3] == others
    assert cluster.sent()[3] == "v1 60, v2 40"


def test_a_route_that_always_went_to_the_canary_stays() -> None:
    """The user's preview is listed, not moved: neither up, nor back from 100%."""
    preview = route(to("v2"), match=[{"uri": {"prefix": "/preview"}}], name="preview")
    before = service(preview, route(to("v1")))
    cluster = Cluster(before)
    assert cluster.read("v1", "v2").unmoved == (Unmoved(route="preview", version="v2"),)
    for weight in (10, 100):
        cluster.send(weight)
        assert cluster.read("v1", "v2").traffic == Traffic(weight=weight)
        assert cluster.read("v1", "v2").unmoved == (Unmoved(route="preview", version="v2"),)
    cluster.send(0)
    assert plain(cluster.services) == plain([before])


def test_what_had_to_stay_open_is_ended_by_the_next_rollout() -> None:
    """Beside a preview, the added destination keeps its mark at 100%; the next pair's first write takes it away."""
    preview = route(to("v2"), match=[{"uri": {"prefix": "/preview"}}], name="preview")
    cluster = Cluster(service(preview, route(to("v1"))))
    cluster.send(100)
    assert cluster.sent() == ["v2", "v1 0, v2 100"]
    cluster.send(20, "v2 v3")
    assert cluster.sent() == ["v2 80, v3 20", "v2 80, v3 20"]
    cluster.send(100, "v2 v3")
    assert cluster.sent() == ["v3", "v3"]
    assert "annotations" not in cluster.services[0]["metadata"]


def test_routes_that_list_both_and_one_that_does_not_come_back_together() -> None:
    """Rolled back from 100%, no route is forgotten."""
    before = service(route(to("v1", 100), to("v2", 0), name="a"), route(to("v1"), name="b"))
    cluster = Cluster(before)
    cluster.send(100)
    assert cluster.read("v1", "v2").traffic == Traffic(weight=100)
    cluster.send(0)
    assert plain(cluster.services) == plain([before])


def test_equal_traffic_needs_no_patch() -> None:
    """Asking twice is asking once."""
    for weight in (0, 30, 100):
        cluster = Cluster(service(JASON, route(to("v1"))))
        cluster.send(weight)
        assert write(cluster.services, RULES, REVIEWS, Pair("v1", "v2"), Traffic(weight=weight)) == []


def test_a_route_that_is_edited_on_the_way_is_seen_and_put_back() -> None:
    """Someone sends all to the canary by hand: the routes disagree, and the rollback takes that one along."""
    cluster = Cluster(service(route(to("v1"), name="a"), route(to("v1"), name="b")))
    cluster.send(10)
    cluster.routes()[0]["route"] = [to("v2")]
    seen = cluster.read("v1", "v2")
    assert (seen.traffic, seen.described) == (None, "a: 100% to v2; b: 10% to v2")
    cluster.send(0)
    assert cluster.read("v1", "v2").traffic == Traffic()
    assert cluster.sent() == ["v1", "v1"]


def test_what_others_add_on_the_way_stays() -> None:
    """A third version, another annotation and a route in front, all in mid-run."""
    cluster = Cluster(service(route(to("v1"))))
    cluster.send(10)
    cluster.routes()[0]["route"].append(to("v3", 100))
    cluster.routes().insert(0, JASON)
    cluster.services[0]["metadata"]["annotations"]["theirs"] = "kept"
    cluster.send(50)
    assert cluster.sent() == ["v2", "v1 50, v2 50, v3 100"]
    cluster.send(0)
    assert cluster.sent() == ["v2", "v1 100, v3 100"]
    assert cluster.services[0]["metadata"]["annotations"] == {"theirs": "kept"}


def test_a_version_that_stands_twice_can_only_be_lowered() -> None:
    """Which of the two should move is unclear; that the canary gets nothing isn't."""
    cluster = Cluster(service(route(to("v1", 80), to("v2", 10, port=1), to("v2", 10, port=2))))
    with pytest.raises(Rejected, match="several destinations for v2"):
        cluster.send(30)
    cluster.send(0)
    assert cluster.sent() == ["v1 100, v2 0, v2 0"]


@pytest.mark.parametrize(
    ("services", "scope", "words"),
    [
        pytest.param([], REVIEWS, "there is no VirtualService default/reviews", id="no VirtualService"),
        pytest.param([service(JASON)], REVIEWS, "single users", id="only single users"),
        pytest.param(
            [service(route(to("v1"), name="a"))], Scope("default", ("reviews",), routes=("b",)),
            "spec.routes: reviews has no route b",
            id="no route of that name",
        ),
        pytest.param(
            [service(route({"destination": {"host": "reviews"}}))], REVIEWS, "all versions at once",
            id="the host without a subset",
        ),
        pytest.param(
            [service(route(to("v1"), to("v2", 1)), route(to("v1", host="x"), to("v2", 1, host="x")))], REVIEWS,
            "such subsets; write one of reviews, x", id="several hosts with such subsets",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(services: list[Data], scope: Scope, words: str) -> None:
    """In a sentence that names the way out, and the reader says it, too."""
    cluster = Cluster(*services, scope=scope)
    with pytest.raises(Rejected, match=words):
        cluster.send(10)
    seen = cluster.read("v1", "v2")
    assert (seen.traffic, seen.shares) == (None, {})
    assert words in seen.described


def test_the_host_is_the_one_that_has_the_canary() -> None:
    """Another host with a subset of the same name as stable needs no `host:`."""
    cluster = Cluster(service(route(to("v1", host="ratings")), route(to("v1"))), rules=[rule("v1", "v2")])
    cluster.send(10)
    assert cluster.sent() == ["v1", "v1 90, v2 10"]


@pytest.mark.parametrize(
    ("entries", "percent"),
    [
        pytest.param([to("v1", 2**31 - 1), to("v2", 0)], 50, id="half of the largest weight"),
        pytest.param([to("v1", 100), to("v2", 0), to("v3", 2**31 - 101)], 1, id="beside a very large third"),
        pytest.param([to("v1", 3), to("v2", 0), to("v3", 2**31 - 4)], 1, id="no factor fits: never 0"),
    ],
)
def test_weights_stay_within_istios_range(entries: list[Data], percent: int) -> None:
    """Where no factor fits, the nearest weight; a step above 0 never becomes 0."""
    cluster = Cluster(service(route(*entries)))
    cluster.send(percent)
    weights: list[Any] = [entry["weight"] for entry in cluster.routes()[0]["route"]]
    assert weights[1] > 0
    assert sum(weights) == sum(entry["weight"] for entry in entries)


def test_routes_with_the_same_name_are_distinguished() -> None:
    """Istio allows equal names; each remembers a shape of its own."""
    before = service(route(to("v1"), name="a"), route(to("v1", 1), to("v2", 0), name="a"), route(to("v1", 7)))
    cluster = Cluster(before)
    cluster.send(3)
    cluster.send(0)
    assert plain(cluster.services) == plain([before])
