"""What is read before a pair is known, and of routes that disagree."""

from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.istio.scope import Scope

from .bookinfo import JASON, Cluster, Data, route, rule, service, to


@pytest.mark.parametrize(
    ("http", "shares", "traffic"),
    [
        pytest.param([JASON, route(to("v1"))], {"v1": 100}, None, id="one version serves"),
        pytest.param([JASON, route(to("v2"))], {"v2": 100}, Traffic(weight=100), id="the wanted one serves all"),
        pytest.param([route(to("v1", 90), to("v2", 10))], {"v1": 90, "v2": 10}, None, id="two carry weight"),
        pytest.param([route(to("v1")), route(to("v2"))], {"v1": 50, "v2": 50}, None, id="routes differ: the mean"),
        pytest.param([route(to("v1", 3), to("v3", 1))], {"v1": 75, "v3": 25}, None, id="weights needn't sum to 100"),
        pytest.param([JASON], {}, None, id="only single users"),
    ],
)
def test_what_serves_before_anybody_said_what_is_stable(
    http: list[Data], shares: dict[str, float], traffic: Traffic | None
) -> None:
    """All routes for everybody count; jason's never does."""
    seen = Cluster(service(*http)).read(None, "v2")
    assert {version: share for version, share in seen.shares.items() if share} == shares
    assert seen.traffic == traffic
    assert bool(seen.described) is (traffic is None)


@pytest.mark.parametrize(
    ("scope", "sentence"),
    [
        pytest.param({"routes": ("defualt",)}, "spec.routes: reviews has no route defualt; did you mean default?",
                     id="a route"),
        pytest.param({"routes": ("main",)}, "spec.routes: reviews has no route main; there are default",
                     id="no route"),
        pytest.param({"host": "reviewz"},
                     "spec.host: no route of reviews sends requests to reviewz; did you mean reviews?", id="a host"),
    ],
)  # fmt: skip
def test_a_wrong_word_of_the_scope_is_named_with_what_was_meant(scope: dict[str, Any], sentence: str) -> None:
    """By the field that has it."""
    default = service(route(to("v1"), name="default"))
    cluster = Cluster(default, rules=[rule("v1", "v2")], scope=Scope("default", ("reviews",), **scope))
    seen = cluster.read(None, "v2")
    assert (seen.shares, seen.described) == ({}, sentence)


def test_hosts_that_serve_before_anybody_said_what_is_stable() -> None:
    """Routes to other services count only while the canary's host stands nowhere."""
    ratings = route({"destination": {"host": "ratings"}})
    listed = service(ratings, route({"destination": {"host": "r-v1"}, "weight": 100}, to("r-v2", 0)))
    assert Cluster(listed).read(None, "r-v2").shares == {"r-v1": 100, "r-v2": 0}
    assert Cluster(service(ratings, route(to("r-v1")))).read(None, "r-v2").shares == {"ratings": 50, "r-v1": 50}


def test_subsets_that_are_defined_are_destinations() -> None:
    """Where versions are hosts, rules say nothing; where rules can't be read, neither."""
    cluster = Cluster(service(route(to("v1"))), rules=[rule("v1", "v2")])
    assert cluster.read("v1", "v2").destinations == frozenset({"v1", "v2"})
    assert cluster.read("v1", "v9").destinations == frozenset({"v1", "v2"})
    assert Cluster(service(route(to("r-v1")))).read("r-v1", "r-v2").destinations is None


@pytest.mark.parametrize(
    ("match", "moves"),
    [
        pytest.param({"headers": {"cookie": {"regex": "a"}}}, False, id="a cookie"),
        pytest.param({"queryParams": {"beta": {"exact": "1"}}}, False, id="a query parameter"),
        pytest.param({"sourceLabels": {"app": "x"}}, False, id="callers by label"),
        pytest.param({"sourceNamespace": "x"}, False, id="callers by namespace"),
        pytest.param({"uri": {"prefix": "/"}, "method": {"exact": "GET"}, "port": 80}, True, id="path, method, port"),
        pytest.param({"gateways": ["mesh"], "authority": {"exact": "a"}}, True, id="gateway and host"),
        pytest.param({"withoutHeaders": {"x": {}}}, True, id="everybody but those with a header"),
        pytest.param({"headers": {":method": {"exact": "GET"}}}, True, id="what Envoy calls a header"),
    ],
)
def test_which_matches_are_for_single_users(match: Data, moves: bool) -> None:
    """One such alternative is enough: those users would move with all others."""
    cluster = Cluster(service(route(to("v1"), match=[match, {"uri": {"exact": "/x"}}]), route(to("v1"))))
    cluster.send(10)
    assert cluster.sent()[0] == ("v1 90, v2 10" if moves else "v1")


@pytest.mark.parametrize(
    ("weights", "described"),
    [
        pytest.param((95, 5, 90, 10), "a: 5% to v2; b: 10% to v2", id="different shares"),
        pytest.param((1, 2, 1, 2), "a: 66.67% to v2; b: 66.67% to v2", id="no whole per cent"),
    ],
)
def test_routes_that_disagree_are_described(weights: tuple[int, int, int, int], described: str) -> None:
    """One clause for each route."""
    one, other, third, fourth = weights
    first, second = (
        route(to("v1", one), to("v2", other), name="a"),
        route(to("v1", third), to("v2", fourth), name="b"),
    )
    seen = Cluster(service(first, second)).read("v1", "v2")
    assert (seen.traffic, seen.described) == (None, described)


def test_third_versions_have_their_share() -> None:
    """Weight is per cent of the pair; a third version is shown beside it, one of another host by that host."""
    legacy = {"destination": {"host": "legacy.old"}, "weight": 100}
    seen = Cluster(service(route(to("v1", 75), to("v2", 25), to("v3", 200), legacy))).read("v1", "v2")
    assert seen.traffic == Traffic(weight=25)
    assert seen.shares == {"v1": 18.75, "v2": 6.25, "v3": 50, "legacy.old": 25}


@pytest.mark.parametrize("text", ["", "rubbish", "[]", '{"http/any": 3}', '{"http/any": {"factor": 0}}'])
def test_a_mark_that_cannot_be_read_counts_as_none(text: str) -> None:
    """Someone edited the annotation: weights go on to move, and the next write leaves it right."""
    cluster = Cluster(service(route(to("v1", 90), to("v2", 10))))
    cluster.services[0]["metadata"]["annotations"] = {"canary-controller.dev/routes": text}
    assert cluster.read("v1", "v2").traffic == Traffic(weight=10)
    cluster.send(0)
    assert cluster.sent() == ["v1 100, v2 0"]
    assert "annotations" not in cluster.services[0]["metadata"]
