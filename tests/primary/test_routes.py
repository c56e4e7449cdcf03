"""Istio's objects: those that are made, and a VirtualService that was there before."""

from copy import deepcopy
from typing import Any

import pytest

from canary.primary.routes import adopted, destination_rules, noted, returned, virtual_service

from .podinfo import DEPLOYMENT, NAMESPACE, Object, canary, deployment
from .test_services import FLUX, MARK

MADE_ROUTE = [
    {"destination": {"host": "podinfo-primary"}, "weight": 100},
    {"destination": {"host": "podinfo-canary"}, "weight": 0},
]


def spec(service: dict[str, Any]) -> Object:
    """Of the VirtualService that is made."""
    made: Object = virtual_service(canary(service), DEPLOYMENT)["spec"]
    return made


@pytest.mark.parametrize("policy", [None, {"tls": {"mode": "DISABLE"}, "loadBalancer": {"simple": "ROUND_ROBIN"}}])
def test_destination_rules(policy: Object | None) -> None:
    """One for each host, with the same policy."""
    rest = {"trafficPolicy": policy} if policy else {}
    expected = tuple(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": {"name": host, "namespace": NAMESPACE, "annotations": MARK},
            "spec": {"host": host, **rest},
        }
        for host in ("web-primary", "web-canary")
    )
    assert destination_rules(canary({"name": "web", "trafficPolicy": policy})) == expected


def test_the_whole_virtual_service() -> None:
    """Everything to the primary."""
    apex = {"labels": {"team": "shop"}, "annotations": {"note": "x"}}
    assert virtual_service(canary({"apex": apex}), DEPLOYMENT) == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {
            "name": "podinfo",
            "namespace": NAMESPACE,
            "labels": {"team": "shop", "app": "podinfo"},
            "annotations": {"note": "x"} | FLUX | MARK,
        },
        "spec": {"hosts": ["podinfo"], "gateways": ["mesh"], "http": [{"route": MADE_ROUTE}]},
    }


@pytest.mark.parametrize(
    ("service", "hosts", "gateways"),
    [
        ({}, ["podinfo"], ["mesh"]),
        ({"hosts": ["a.example.com"]}, ["a.example.com", "podinfo"], ["mesh"]),
        ({"hosts": ["podinfo", "a.example.com"]}, ["podinfo", "a.example.com"], ["mesh"]),
        ({"hosts": ["*"], "gateways": ["public"]}, ["*"], ["public"]),
        ({"gateways": ["istio-system/public", "mesh"]}, ["podinfo"], ["istio-system/public", "mesh"]),
        ({"name": "web"}, ["web"], ["mesh"]),
        ({"delegation": True}, None, None),
    ],
)
def test_hosts_and_gateways(service: dict[str, Any], hosts: list[str] | None, gateways: list[str] | None) -> None:
    """The Service's name is always a host, and sidecars are asked unless gateways are named."""
    made = spec(service)
    assert (made.get("hosts"), made.get("gateways")) == (hosts, gateways)


@pytest.mark.parametrize(
    ("service", "port"),
    [
        ({"portDiscovery": True}, None),
        ({"portDiscovery": True, "gateways": ["mesh", "public"]}, None),
        ({"portDiscovery": True, "gateways": ["public", "mesh"]}, {"number": 9898}),
        ({"portDiscovery": True, "delegation": True}, {"number": 9898}),
        ({"gateways": ["public"]}, None),
        ({"delegation": True}, None),
    ],
)
def test_the_port_of_destinations(service: dict[str, Any], port: Object | None) -> None:
    """Only where a request may come through a gateway, and the Services have several."""
    made = spec(service)["http"][0]["route"]
    assert [one["destination"].get("port") for one in made] == [port, port]


def test_what_the_manifest_says_of_the_route() -> None:
    """In Istio's words, durations in Go's; what is the Gateway API's isn't there."""
    service = {
        "match": [{"uri": {"prefix": "/api"}}, {"port": 80}],
        "rewrite": {"uri": "/", "authority": "podinfo", "type": "ReplacePrefixMatch"},
        "timeout": "90s",
        "retries": {"attempts": 0, "perTryTimeout": "1500ms", "retryOn": "5xx"},
        "headers": {"request": {"set": {"x": "y"}}},
        "corsPolicy": {"allowOrigins": [{"exact": "*"}]},
    }
    assert spec(service)["http"] == [
        {
            "match": [{"uri": {"prefix": "/api"}}, {"port": 80}],
            "rewrite": {"uri": "/", "authority": "podinfo"},
            "timeout": "1m30s",
            "retries": {"attempts": 0, "perTryTimeout": "1.5s", "retryOn": "5xx"},
            "headers": {"request": {"set": {"x": "y"}}},
            "corsPolicy": {"allowOrigins": [{"exact": "*"}]},
            "route": MADE_ROUTE,
        }
    ]
    assert spec({"rewrite": {"type": "ReplaceFullPath"}})["http"] == [{"route": MADE_ROUTE}]


def entry(host: str, weight: int | None = None, **more: Any) -> Object:
    """A destination of a route."""
    subset = {"subset": more.pop("subset")} if "subset" in more else {}
    port = {"port": {"number": more.pop("port")}} if "port" in more else {}
    return {"destination": {"host": host, **subset, **port}, **more} | ({} if weight is None else {"weight": weight})


SET = {"request": {"set": {"x": "y"}}}
FULL = "podinfo.test.svc.cluster.local"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            [entry("podinfo")], [entry("podinfo-primary", 100), entry("podinfo-canary", 0)], id="one destination"
        ),
        pytest.param(
            [entry("podinfo", 0)],
            [entry("podinfo-primary", 100), entry("podinfo-canary", 0)],
            id="one destination has everything, with any weight",
        ),
        pytest.param(
            [entry(FULL, port=9898, headers=SET)],
            [
                entry("podinfo-primary.test.svc.cluster.local", 100, port=9898, headers=SET),
                entry("podinfo-canary.test.svc.cluster.local", 0, port=9898, headers=SET),
            ],
            id="spelled as it was, with port and headers",
        ),
        pytest.param(
            [entry("legacy", 20), entry("podinfo", 80)],
            [entry("legacy", 20), entry("podinfo-primary", 80), entry("podinfo-canary", 0)],
            id="the share of another host stays",
        ),
        pytest.param(
            [entry("podinfo", 90, subset="v1"), entry("other", 5), entry("podinfo", 5, subset="v2")],
            [entry("podinfo-primary", 95), entry("podinfo-canary", 0), entry("other", 5)],
            id="subsets of the Service are all served by the primary",
        ),
        pytest.param(
            [entry("podinfo-primary", 70), entry("podinfo-canary", 30)],
            [entry("podinfo-primary", 70), entry("podinfo-canary", 30)],
            id="weights of both versions stay",
        ),
        pytest.param(
            [entry("podinfo-primary", 100)],
            [entry("podinfo-primary", 100), entry("podinfo-canary", 0)],
            id="a primary alone gets its canary",
        ),
        pytest.param(
            [entry("podinfo-canary", 10, headers=SET), entry("podinfo", 90)],
            [entry("podinfo-primary", 90), entry("podinfo-canary", 10, headers=SET)],
            id="the Service beside the canary becomes the primary",
        ),
        pytest.param(
            [entry("podinfo-canary")], [entry("podinfo-canary")], id="the canary alone is the user's business"
        ),
        pytest.param([entry("podinfo.other")], [entry("podinfo.other")], id="a Service of another namespace"),
        pytest.param(
            [entry("podinfo", port=22)], [entry("podinfo", port=22)], id="a port that the versions don't have"
        ),
        pytest.param([], [], id="no destination"),
    ],
)
def test_a_route_that_was_there(before: list[Object], after: list[Object]) -> None:
    """Its share of the Service goes to the primary, and the canary has nothing yet."""
    given = {
        "metadata": {"name": "podinfo", "namespace": NAMESPACE},
        "spec": {"http": [{"name": "a", "route": before}]},
    }
    expected = deepcopy(given) | {"spec": {"http": [{"name": "a", "route": after}]}}
    assert adopted(given, canary(), DEPLOYMENT) == expected
    assert adopted(expected, canary(), DEPLOYMENT) == expected


def test_discovered_ports_are_pointed_at_the_versions_as_well() -> None:
    """Their Services have them."""
    given = {"spec": {"http": [{"route": [entry("podinfo", port=9797)]}]}}
    made = adopted(given, canary({"portDiscovery": True}), deployment())
    assert made["spec"]["http"][0]["route"] == [
        entry("podinfo-primary", 100, port=9797),
        entry("podinfo-canary", 0, port=9797),
    ]


def test_a_cluster_of_another_domain() -> None:
    """Full names end with it."""
    given = {"metadata": {"namespace": NAMESPACE}, "spec": {"http": [{"route": [entry("podinfo.test.svc.corp")]}]}}
    assert adopted(given, canary(), DEPLOYMENT) == given
    made = adopted(given, canary(), DEPLOYMENT, domain="corp")
    assert [one["destination"]["host"] for one in made["spec"]["http"][0]["route"]] == [
        "podinfo-primary.test.svc.corp",
        "podinfo-canary.test.svc.corp",
    ]


TAKES_BACK: Object = {
    "name": "canary-controller.dev.cookie-removal-1",
    "route": [{"destination": {"host": "podinfo-primary"}}],
}


def test_what_takes_cookies_back_stays_and_goes_with_the_canary() -> None:
    """Adopting again leaves it as it is; a Canary that is deleted takes it away."""
    routes = [{"route": [{"destination": {"host": "podinfo"}}]}]
    before: Object = {"metadata": {"namespace": NAMESPACE}, "spec": {"http": routes}}
    after = adopted(before, canary(), DEPLOYMENT)
    after["spec"]["http"].insert(0, TAKES_BACK)
    assert adopted(after, canary(), DEPLOYMENT) == after
    assert returned(after, noted(before), canary(), DEPLOYMENT) == before["spec"]


@pytest.mark.parametrize("service", [{"appProtocol": "TCP"}, {"portName": "mysql-main"}, {"portName": "redis"}])
@pytest.mark.parametrize("match", [[], [{"port": 9898}, {"sourceLabels": {"app": "web"}}]])
def test_routes_of_connections(service: dict[str, Any], match: list[Object]) -> None:
    """Istio takes the protocol from the port's appProtocol, else from its name."""
    matched = {"match": match} if match else {}
    made = spec({**service, "match": match})
    assert made == {"hosts": ["podinfo"], "gateways": ["mesh"], "tcp": [{**matched, "route": MADE_ROUTE}]}


def test_connections_that_were_routed_are_adopted_and_given_back() -> None:
    """Those of HTTP stay as they are."""
    given: Object = {
        "metadata": {"namespace": NAMESPACE},
        "spec": {
            "http": [{"route": [entry("podinfo")]}],
            "tcp": [
                {"match": [{"port": 22}], "route": [entry("podinfo", port=22)]},
                {"match": [{"port": 9898}], "route": [entry("podinfo", subset="v1")]},
            ],
        },
    }
    one = canary({"portName": "tcp"})
    made = adopted(given, one, DEPLOYMENT)
    assert made["spec"]["http"] == given["spec"]["http"]
    assert made["spec"]["tcp"] == [
        given["spec"]["tcp"][0],
        {"match": [{"port": 9898}], "route": [entry("podinfo-primary", 100), entry("podinfo-canary", 0)]},
    ]
    assert returned(made, noted(given), one, DEPLOYMENT) == given["spec"]


def test_connections_that_nothing_was_noted_of_go_to_the_service() -> None:
    """As where the Service became one of TCP after its VirtualService was adopted."""
    made = {"spec": {"tcp": [{"route": [entry("podinfo-primary", 80), entry("podinfo-canary", 20)]}]}}
    assert returned(made, {"http": []}, canary({"portName": "tcp"}), DEPLOYMENT) == {
        "tcp": [{"route": [entry("podinfo", 100)]}]
    }
