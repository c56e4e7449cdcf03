"""Hosts are compared by what they resolve to, from the namespace of the object that they stand in."""

import pytest

from canary.istio.destinations import DestinationNames, covers, resolve, short, spelled, subsets

from .bookinfo import Data, rule


@pytest.mark.parametrize(
    ("host", "full"),
    [
        pytest.param("reviews", "reviews.shop.svc.cluster.local", id="a bare name belongs to the object's namespace"),
        pytest.param("reviews.prod", "reviews.prod.svc.cluster.local", id="name and namespace"),
        pytest.param("reviews.prod.svc", "reviews.prod.svc.cluster.local", id="without the domain"),
        pytest.param("reviews.prod.svc.cluster.local", "reviews.prod.svc.cluster.local", id="in full"),
        pytest.param("Reviews.prod.svc.cluster.local.", "reviews.prod.svc.cluster.local", id="case and last dot"),
        pytest.param("api.example.com", "api.example.com", id="outside of the cluster"),
        pytest.param("*", "*", id="everything"),
        pytest.param("*.example.com", "*.example.com", id="a wildcard"),
        pytest.param("2001:db8::1", "2001:db8::1", id="an address"),
        pytest.param("10.0.0.1", "10.0.0.1", id="an address of four numbers"),
    ],
)
def test_hosts_resolve(host: str, full: str) -> None:
    """Two hosts are the same when their full names are."""
    assert resolve(host, "shop") == full


def test_the_cluster_domain_is_a_setting() -> None:
    """Clusters can be set up with another domain."""
    assert resolve("reviews", "shop", "corp.internal") == "reviews.shop.svc.corp.internal"
    assert resolve("reviews.shop.svc.cluster.local", "shop", "corp.internal") == "reviews.shop.svc.cluster.local"


@pytest.mark.parametrize(
    ("full", "called"),
    [
        ("reviews.shop.svc.cluster.local", "reviews"),
        ("reviews.prod.svc.cluster.local", "reviews.prod"),
        ("api.example.com", "api.example.com"),
        ("a.b.c.svc.cluster.local", "a.b.c.svc.cluster.local"),
    ],
)
def test_people_see_the_shortest_name(full: str, called: str) -> None:
    """As seen from the Canary's namespace."""
    assert short(full, "shop") == called


@pytest.mark.parametrize(
    ("version", "like", "namespace", "host"),
    [
        pytest.param("r-v2", "r-v1", "shop", "r-v2", id="short beside short"),
        pytest.param("r-v2", "r-v1", "edge", "r-v2.shop.svc.cluster.local", id="never short in another namespace"),
        pytest.param("r-v2", "r-v1.shop.svc.cluster.local", "shop", "r-v2.shop.svc.cluster.local", id="full"),
        pytest.param("r-v2", "r-v1.shop.svc", "shop", "r-v2.shop.svc", id="without the domain"),
        pytest.param("example.org", "example.com", "shop", "example.org", id="two labels outside of the cluster"),
        pytest.param("r-v2", "example.com", "shop", "r-v2.shop.svc.cluster.local", id="a service beside the outside"),
        pytest.param("new.example.com", "old.example.com", "shop", "new.example.com", id="outside as it is written"),
    ],
)
def test_a_new_host_is_spelled_like_its_neighbour(version: str, like: str, namespace: str, host: str) -> None:
    """The manifest's namespace is shop; the VirtualService may be elsewhere."""
    assert spelled(resolve(version, "shop"), version, like, namespace) == host


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [("*", True), ("*.cluster.local", True), ("*.example.com", False), ("reviews.shop.svc.cluster.local", True)],
)
def test_wildcards_cover_hosts(pattern: str, covered: bool) -> None:
    """As in the host of a DestinationRule."""
    assert covers(pattern, "reviews.shop.svc.cluster.local") is covered


@pytest.mark.parametrize(
    ("destination", "version"),
    [
        pytest.param({"host": "reviews", "subset": "v1"}, "v1", id="a subset of the host"),
        pytest.param({"host": "reviews.shop.svc.cluster.local", "subset": "v1"}, "v1", id="in another spelling"),
        pytest.param({"host": "reviews.edge", "subset": "v1"}, "reviews.edge/v1", id="a subset of another host"),
        pytest.param({"host": "r-v2"}, "r-v2.shop", id="a host, called as it was asked for"),
        pytest.param({"host": "legacy"}, "legacy", id="a host that no one asked for"),
    ],
)
def test_destinations_are_called_by_version(destination: Data, version: str) -> None:
    """In the words of the manifest."""
    names = DestinationNames("shop", ("r-v2.shop",), "reviews.shop.svc.cluster.local")
    assert names.version(destination, "shop") == version


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        pytest.param([], {}, id="none is defined"),
        pytest.param([rule("v1", "v2", namespace="shop")], {"v1", "v2"}, id="beside the service"),
        pytest.param(
            [rule("v1", namespace="shop"), rule("v1", "v2", namespace="edge", host="reviews.shop")],
            {"v1", "v2"},
            id="beside the VirtualService comes first",
        ),
        pytest.param(
            [rule("v9", host="*.local", namespace="shop"), rule("v1", namespace="shop")],
            {"v1"},
            id="the more specific host wins",
        ),
        pytest.param(
            [rule("v1", namespace="shop"), rule("v2", namespace="shop")],
            {"v1", "v2"},
            id="several are taken together",
        ),
        pytest.param([rule("v1", host="*", namespace="istio-system")], {"v1"}, id="anywhere, for want of others"),
        pytest.param([rule("v1", namespace="default")], {}, id="a service of the same name elsewhere"),
    ],
)
def test_subsets_are_looked_up_as_istio_does(rules: list[Data], found: set[str]) -> None:
    """For a VirtualService in the namespace edge, and a service in shop."""
    seen = subsets(rules, "reviews.shop.svc.cluster.local", "edge")
    assert seen == {name: {"version": name} for name in found}
