"""What istiod makes of objects, where no request is needed to see it."""

from typing import Any

import pytest

from . import clusters, routes, snapshot
from .bookinfo import Data, destination_rule, service, to, virtual_service
from .hosts import Refused, Source
from .routes import seconds, tcp_clusters, virtual_hosts
from .snapshot import Snapshot

CLIENT = Source("client", "shop", {"app": "client"})
REVIEWS = "reviews.shop.svc.cluster.local"
PODS = ("v1", "v1", "v2")


def placed(found: Data, namespace: str = "shop") -> Data:
    return {**found, "metadata": {**found["metadata"], "namespace": namespace}}


def cluster(*objects: Data) -> Snapshot:
    """reviews with three ready pods, and all other pods, the oldest first."""
    kinds: dict[str, list[Data]] = {"Service": [], "VirtualService": [], "DestinationRule": []}
    for one in (placed(service("reviews")), *objects):
        kinds[one["kind"]].append(one)
    slices = {
        "metadata": {"labels": {"kubernetes.io/service-name": "reviews"}},
        "endpoints": [{"conditions": {"ready": True}, "targetRef": {"uid": str(uid)}} for uid in range(len(PODS))],
        "ports": [{"name": "http", "port": 9080}],
    }
    services = [snapshot.service(one, [slices]) for one in kinds["Service"]]
    pods = {
        str(uid): snapshot.Pod("shop", f"pod-{uid}", str(uid), {"version": version}, "reviews", "image")
        for uid, version in enumerate(PODS)
    }
    of_rules = tuple(kinds["DestinationRule"])
    return Snapshot({one.fqdn: one for one in services}, pods, tuple(kinds["VirtualService"]), of_rules)


def first(route: Data, source: Source = CLIENT) -> Any:
    """The first Envoy route of reviews for a VirtualService with this route."""
    virtual = placed(virtual_service("reviews", route))
    (host,) = virtual_hosts(cluster(virtual), source)
    return host["routes"][0]


def test_names_of_a_service() -> None:
    """A caller of another namespace doesn't know the short name; each port has routes of its own."""
    (host,) = virtual_hosts(cluster(), CLIENT)
    assert host["domains"][:2] == ["reviews", "reviews.shop"]
    assert "reviews:9080" in host["domains"]
    (host,) = virtual_hosts(cluster(), Source("other", "elsewhere"))
    assert host["domains"][0] == "reviews.shop"
    assert "reviews" not in host["domains"]
    assert host["routes"][0]["route"]["cluster"] == f"outbound|9080||{REVIEWS}"


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ({"host": "reviews"}, f"outbound|9080||{REVIEWS}"),
        ({"host": "reviews", "subset": "v2"}, f"outbound|9080|v2|{REVIEWS}"),
        ({"host": REVIEWS, "port": {"number": 80}}, f"outbound|80||{REVIEWS}"),
        ({"host": "reviews.shop"}, "outbound|9080||reviews.shop"),
        ({"host": "nobody"}, "outbound|9080||nobody.shop.svc.cluster.local"),
    ],
)
def test_destinations(destination: Data, expected: str) -> None:
    """Only a name without dots is completed; no one checks that it exists."""
    assert first({"route": [{"destination": destination}]})["route"]["cluster"] == expected


def test_another_port_for_a_service_with_several() -> None:
    """Without a port the one that was asked for is meant."""
    two = placed(service("two", 80))
    two["spec"]["ports"].append({"name": "http-admin", "port": 81})
    virtual = placed(virtual_service("two", {"route": [{"destination": {"host": "two"}}]}))
    found = [one["routes"][0]["route"]["cluster"] for one in virtual_hosts(cluster(two, virtual), CLIENT)[1:]]
    assert found == ["outbound|80||two.shop.svc.cluster.local", "outbound|81||two.shop.svc.cluster.local"]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("5s", "5s"), ("0.25s", "0.25s"), ("100ms", "0.1s"), ("1m30s", "90s"), ("1h", "3600s")],
)
def test_durations(duration: str, expected: str) -> None:
    """Istio's in Envoy's seconds."""
    assert seconds(duration) == expected


@pytest.mark.parametrize(
    ("retries", "count", "on"),
    [
        ({}, 2, "connect-failure,refused-stream,unavailable,cancelled"),
        ({"retries": {"attempts": 0}}, 0, "connect-failure,refused-stream,unavailable,cancelled"),
        ({"retries": {"attempts": 5, "retryOn": "reset,503"}}, 5, "reset,retriable-status-codes"),
    ],
)
def test_retries(retries: Data, count: int, on: str) -> None:
    """Two, unless the route says otherwise; 0 turns them off."""
    policy = first({**retries, "route": to("reviews", v1=100)})["route"]["retry_policy"]
    assert (policy["num_retries"], policy["retry_on"]) == (count, on)
    assert policy.get("retriable_status_codes", []) == ([503] if "503" in str(retries) else [])


def test_mirrors() -> None:
    """Without a percentage all is mirrored, with 0 nothing."""
    destinations = [{"destination": {"host": "reviews", "subset": one}} for one in ("v2", "v3")]
    mirrors = [{**destinations[0], "percentage": {"value": 0}}, {**destinations[1], "percentage": {"value": 0.5}}]
    route = first({"route": to("reviews", v1=100), "mirror": {"host": "reviews"}, "mirrors": mirrors})["route"]
    shares = [one["runtime_fraction"]["default_value"]["numerator"] for one in route["request_mirror_policies"]]
    assert shares == [1_000_000, 5_000]


def test_headers_of_one_destination() -> None:
    """They are set for its share only; of a single destination on the route."""
    entries = to("reviews", v1=90, v2=10)
    entries[1]["headers"] = {"request": {"set": {"x-canary": "yes"}, "remove": ["x-old"]}}
    stable, canary = first({"route": entries})["route"]["weighted_clusters"]["clusters"]
    assert "request_headers_to_add" not in stable
    assert canary["request_headers_to_add"][0]["header"] == {"key": "x-canary", "value": "yes"}
    assert first({"route": entries[1:]})["request_headers_to_remove"] == ["x-old"]


def test_a_redirect() -> None:
    """Moved permanently, unless the route says otherwise."""
    found = first({"redirect": {"uri": "/new", "authority": "new.example"}})["redirect"]
    assert found == {
        "response_code": "MOVED_PERMANENTLY",
        "path_redirect": "/new",
        "host_redirect": "new.example",
    }


def test_matches_of_several_kinds_are_one_route_each() -> None:
    """Either is enough; those for other sources aren't there at all."""
    matches = [{"uri": {"prefix": "/a"}}, {"sourceLabels": {"app": "other"}}, {"sourceNamespace": "shop"}]
    virtual = placed(virtual_service("reviews", {"match": matches, "route": to("reviews", v1=100)}))
    (host,) = virtual_hosts(cluster(virtual), CLIENT)
    assert [one["match"]["prefix"] for one in host["routes"]] == ["/a", "/"]
    (host,) = virtual_hosts(cluster(virtual), Source("other", "elsewhere", {"app": "other"}))
    assert len(host["routes"]) == 2


@pytest.mark.parametrize(
    ("spec", "heard"),
    [
        ({}, True),
        ({"exportTo": ["*"]}, True),
        ({"exportTo": ["."]}, False),
        ({"exportTo": ["elsewhere"]}, True),
        ({"gateways": ["public"]}, False),
        ({"gateways": ["public", "mesh"]}, True),
    ],
)
def test_who_hears(spec: Data, heard: bool) -> None:
    """A sidecar of another namespace, by exportTo and gateways; else it goes to the Service."""
    virtual = placed(virtual_service("reviews", {"route": to("reviews", v1=100)}, **spec))
    (host,) = virtual_hosts(cluster(virtual), Source("other", "elsewhere"))
    assert host["routes"][0]["route"]["cluster"] == f"outbound|9080|{'v1' if heard else ''}|{REVIEWS}"


def test_the_nearest_host_counts() -> None:
    """A full name beats a wildcard, however old that is."""
    wild = placed(virtual_service("wild", {"route": to("reviews", v2=100)}, hosts=["*.shop.svc.cluster.local"]))
    exact = placed(virtual_service("reviews", {"route": to("reviews", v1=100)}))
    for objects, subset in (((wild, exact), "v1"), ((wild,), "v2")):
        host = virtual_hosts(cluster(*objects), CLIENT)[0]
        assert host["routes"][0]["route"]["cluster"] == f"outbound|9080|{subset}|{REVIEWS}"


def test_members_of_subsets() -> None:
    """By labels of pods; of two rules with one subset the older counts; a subset may be empty."""
    older, younger = placed(destination_rule("reviews", ("v1", "v9"))), placed(destination_rule("reviews", ("v2",)))
    younger["spec"]["subsets"].append({"name": "v1", "labels": {"version": "v2"}})
    found = clusters.members(cluster(older, younger))
    assert {name.split("|")[2]: uids for name, uids in found.items()} == {
        "": ("0", "1", "2"),
        "v1": ("0", "1"),
        "v2": ("2",),
        "v9": (),
    }


def test_a_tcp_route_for_others() -> None:
    """A route whose match doesn't fit is passed over."""
    store = placed(service("store", 3306, "mysql"))
    other = {"match": [{"sourceLabels": {"app": "other"}}], "route": to("store", v2=100)}
    found = cluster(store, placed(virtual_service("store", tcp=[other, {"route": to("store", v1=100)}])))
    one = found.services["store.shop.svc.cluster.local"]
    assert tcp_clusters(found, CLIENT, one, one.ports[0]) == {"cluster": f"outbound|3306|v1|{one.fqdn}"}


@pytest.mark.parametrize(
    "route",
    [
        {"route": to("reviews", v1=0, v2=0)},
        {"route": to("reviews", v1=101, v2=-1)},
        {"route": [{"destination": {}}]},
        {},
    ],
)
def test_what_istio_refuses(route: Data) -> None:
    """Its webhook would: weights that are no shares, a destination without a host, nothing to do at all."""
    with pytest.raises(Refused):
        first(route)


def test_a_percentage() -> None:
    """To four places."""
    assert routes.fraction(0.0001) == {"numerator": 1, "denominator": "MILLION"}
