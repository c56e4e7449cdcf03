"""The weights of routes that are made for a Deployment, or adopted, move, whichever requests they are for."""

from typing import Any

import pytest

from canary.api.plan import Affinity, Cookie, Match, StringMatch, Traffic
from canary.engine.errors import Rejected
from canary.istio.destinations import Pair
from canary.istio.scope import Scope
from canary.primary.routes import adopted, virtual_service
from canary.routers.istio import ISTIO_WITH_PRIMARY
from tests.istio.bookinfo import Cluster, plain

from .podinfo import DEPLOYMENT, NAMESPACE, Object, canary

PAIR = Pair("podinfo-primary", "podinfo-canary")
TENANT: Object = {"headers": {"x-tenant": {"exact": "a"}}}
INSIDER = Match(headers={"cookie": StringMatch(regex="insider=1")})
WHOSE = {
    "headers": [TENANT],
    "callers": [{"sourceLabels": {"app": "web"}}],
    "query parameters": [{"queryParams": {"v": {"exact": "2"}}}],
    "callers, and what gateways send": [
        {"sourceLabels": {"app": "web"}},
        {"uri": {"prefix": "/"}, "gateways": ["public"], "headers": {"x-a": {"exact": "1"}}},
        TENANT,
    ],
    "the same header": [{"headers": {"cookie": {"regex": "tenant=a"}}}, {"uri": {"prefix": "/"}}],
}
GIVEN = Cookie(name="seen", value="x1", attributes="Max-Age=60")
STATES = [
    Traffic(weight=10),
    Traffic(match=(INSIDER,)),
    Traffic(match=(INSIDER,), match_weight=30),
    Traffic(weight=10, affinity=Affinity(canary=GIVEN)),
    Traffic(mirror=100),
    Traffic(weight=50),
    Traffic(weight=100),
]


def cluster(one: Object) -> Cluster:
    """With one VirtualService, in the scope of a Deployment's routes."""
    one["metadata"]["resourceVersion"] = "1"
    scope = ISTIO_WITH_PRIMARY["Deployment"].scope(canary(), NAMESPACE, False)
    assert isinstance(scope, Scope)
    return Cluster(one, scope=scope, rules=[])


@pytest.mark.parametrize("match", WHOSE.values(), ids=WHOSE)
def test_routes_for_some_requests_move(match: list[Object]) -> None:
    """`service.match` says which requests are routed; those are shared out, and nothing is left unmoved."""
    there = cluster(virtual_service(canary({"match": match}), DEPLOYMENT))
    before = plain(there.services)
    for traffic in STATES:
        there.ask(traffic, PAIR)
        seen = there.read(*PAIR)
        assert (seen.traffic, seen.unmoved, seen.described) == (traffic, (), "")
    there.ask(Traffic(), PAIR)
    assert plain(there.services) == before


def test_adopted_routes_for_some_requests_move() -> None:
    """All that went to the Service is shared out; a route of the user to the canary alone stays."""
    http: list[dict[str, Any]] = [
        {"match": [{"headers": {"x-qa": {"exact": "1"}}}], "route": [{"destination": {"host": "podinfo-canary"}}]},
        {"match": [TENANT], "timeout": "5s", "route": [{"destination": {"host": "podinfo"}}]},
        {"route": [{"destination": {"host": "podinfo"}}]},
    ]
    given = {"metadata": {"name": "podinfo", "namespace": NAMESPACE}, "spec": {"http": http}}
    there = cluster(adopted(given, canary(), DEPLOYMENT))
    there.ask(Traffic(weight=25), PAIR)
    shared = "podinfo-primary 75, podinfo-canary 25"
    assert there.sent() == ["podinfo-canary", shared, shared]
    assert [(one.route, one.version) for one in there.read(*PAIR).unmoved] == [("http[0]", "podinfo-canary")]


def test_users_are_chosen_among_those_that_are_routed() -> None:
    """Conditions of both hold; of the same header, that of the analysis does, as in Flagger."""
    there = cluster(virtual_service(canary({"match": [TENANT]}), DEPLOYMENT))
    other = Match(headers={"x-tenant": StringMatch(exact="b")})
    there.ask(Traffic(match=(INSIDER, other)), PAIR)
    assert [one.get("match") for one in there.routes()] == [
        [{"headers": {"x-tenant": {"exact": "a"}, "cookie": {"regex": "insider=1"}}}],
        [{"headers": {"x-tenant": {"exact": "b"}}}],
        [TENANT],
    ]
    assert there.read(*PAIR).traffic == Traffic(match=(INSIDER, other))


def test_a_condition_that_chooses_no_one_is_refused() -> None:
    """All would meet the canary."""
    there = cluster(virtual_service(canary({"match": [TENANT]}), DEPLOYMENT))
    both = Match(headers={"x-tenant": StringMatch(exact="a"), "x-b": StringMatch(exact="c")})
    with pytest.raises(Rejected, match="have this x-tenant, so the condition chooses none of them"):
        there.ask(Traffic(match=(both,)), PAIR)


def test_connections_move() -> None:
    """Weights are all that a route of TCP has."""
    there = cluster(virtual_service(canary({"portName": "tcp", "match": [{"port": 9898}]}), DEPLOYMENT))
    before = plain(there.services)
    for weight in (10, 100):
        there.ask(Traffic(weight=weight), PAIR)
        assert there.sent("tcp") == [f"podinfo-primary {100 - weight}, podinfo-canary {weight}"]
        assert there.read(*PAIR).traffic == Traffic(weight=weight)
    there.ask(Traffic(), PAIR)
    assert plain(there.services) == before
