"""Several VirtualServices in one target, and what they delegate to."""

from canary.api.plan import Traffic
from canary.istio.scope import Ref, Scope, missing, parts

from .bookinfo import Cluster, Data, plain, route, service, to

BOTH = Scope("default", ("reviews", "edge.gateways"))


def _edge(*http: Data) -> Data:
    return service(*http, name="edge", namespace="gateways")


def test_several_virtual_services_move_together() -> None:
    """Each by a patch of its own; short hosts belong to the namespace of their VirtualService."""
    full = "reviews.default.svc.cluster.local"
    before = [service(route(to("v1"))), _edge(route(to("v1", host=full)), route(to("v1")))]
    cluster = Cluster(*before, scope=BOTH)
    cluster.send(30)
    assert cluster.sent() == ["v1 70, v2 30"]
    assert cluster.sent(service=1) == ["v1 70, v2 30", "v1"]
    assert cluster.read("v1", "v2").token == "default/reviews@2,gateways/edge@2"
    cluster.send(0)
    assert plain(cluster.services) == plain(before)


def test_no_half_of_a_promotion_is_forgotten() -> None:
    """One VirtualService is at 100%, the write of the other failed, and the canary turns bad: both go back."""
    before = [service(route(to("v1"))), _edge(route(to("v1", host="reviews.default")))]
    cluster = Cluster(*before, scope=BOTH)
    cluster.send(50)
    left = cluster.services[1]
    cluster.send(100)
    cluster.services[1] = left
    assert cluster.read("v1", "v2").traffic is None
    cluster.send(0)
    assert plain(cluster.services) == plain(before)


def test_what_is_missing_is_asked_for_step_by_step() -> None:
    """First what the target names, then what that delegates to."""
    root = service({"delegate": {"name": "routes", "namespace": "team"}}, {"delegate": {"name": "here"}})
    scope = Scope("default", ("reviews",))
    assert missing([], scope) == (Ref("default", "reviews"),)
    assert missing([root], scope) == (Ref("team", "routes"), Ref("default", "here"))
    assert [part.ref.name for part in parts([root], scope)] == ["reviews"]


def test_routes_of_a_delegate_move() -> None:
    """The root stays as it is."""
    root = service({"match": [{"uri": {"prefix": "/"}}], "delegate": {"name": "routes"}})
    cluster = Cluster(root, service(route(to("v1")), name="routes"))
    cluster.send(30)
    assert cluster.sent(service=1) == ["v1 70, v2 30"]
    assert cluster.services[0] == root


def test_a_delegate_for_single_users_stays() -> None:
    """The condition stands in the root; a delegate that everybody reaches as well moves."""
    users: Data = {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "delegate": {"name": "theirs"}}
    shared: list[Data] = [{**users, "delegate": {"name": "all"}}, {"delegate": {"name": "all"}}]
    cluster = Cluster(
        service(users, *shared), service(route(to("v1")), name="theirs"), service(route(to("v1")), name="all")
    )
    cluster.send(30)
    assert cluster.sent(service=1) == ["v1"]
    assert cluster.sent(service=2) == ["v1 70, v2 30"]


def test_virtual_services_of_others_are_left_alone() -> None:
    """What is given beside the target's own counts for nothing."""
    cluster = Cluster(service(route(to("v1"))), service(route(to("v1")), name="other"))
    cluster.send(30)
    assert cluster.sent(service=1) == ["v1"]
    assert cluster.read("v1", "v2").traffic == Traffic(weight=30)


def test_two_hosts_of_one_service_move_side_by_side() -> None:
    """Their versions are called the same; neither touches what the other has to remember."""
    before = [service(route(to("v1")), route(to("v1", host="ratings")))]
    reviews = Cluster(*before, scope=Scope("default", ("reviews",), "reviews"))
    ratings = Cluster(*before, scope=Scope("default", ("reviews",), "ratings"))
    ratings.services = reviews.services
    reviews.send(30)
    ratings.send(50)
    reviews.send(60)
    assert [[one["weight"] for one in each["route"]] for each in reviews.services[0]["spec"]["http"]] == [
        [40, 60],
        [50, 50],
    ]
    reviews.send(0)
    assert ratings.read("v1", "v2").traffic == Traffic(weight=50)
    ratings.send(0)
    assert plain(reviews.services) == plain(before)


def test_out_of_bounds_is_what_lies_in_another_namespace() -> None:
    """Named or delegated to, for who is confined to the Canary's own."""
    refs = (Ref("shop", "reviews"), Ref("other", "reviews"))
    assert Scope("shop", ("reviews",), confined=True).beyond(refs) == Ref("other", "reviews")
    assert Scope("shop", ("reviews",), confined=True).beyond(refs[:1]) is None
    assert Scope("shop", ("reviews",)).beyond(refs) is None
