"""What IstioRouter tells of versions beside their weights, on a real API server: whose pods they are."""

from collections.abc import Mapping
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.engine.errors import Rejected
from canary.engine.observed import Cause, Missing, RouteSeen
from canary.istio.scope import Scope
from canary.kube.client import Client
from canary.kube.errors import Forbidden
from canary.kube.resources import SERVICES
from canary.routers.istio import DESTINATION_RULES, REFUSED, VIRTUAL_SERVICES, IstioRouter
from tests.mesh import bookinfo
from tests.parts.fences import guarded


@pytest.fixture
def router(client: Client, namespace: str) -> IstioRouter:
    """Reviews in three versions and ratings in one; the VirtualService of reviews sends some paths to ratings."""
    inner = {"match": [{"uri": {"prefix": "/stars"}}], "route": bookinfo.to("ratings", v1=100)}
    rest = {"route": bookinfo.to("reviews", v1=100)}
    put(client, namespace, bookinfo.virtual_service("reviews", inner, rest))
    for name, versions in (("reviews", ("v1", "v2", "v3")), ("ratings", ("v1",))):
        put(client, namespace, bookinfo.service(name))
        put(client, namespace, bookinfo.destination_rule(name, versions))
    return IstioRouter(client, Scope(namespace, ("reviews",)))


def put(client: Client, namespace: str, body: Mapping[str, Any]) -> None:
    """Creates it."""
    [resource] = [one for one in (VIRTUAL_SERVICES, DESTINATION_RULES, SERVICES) if one.kind == body["kind"]]
    client.create(resource, namespace, {name: body[name] for name in ("metadata", "spec")})


def test_stable_is_of_the_canary_s_host_where_two_hosts_have_such_a_subset(router: IstioRouter) -> None:
    """v1 alone could be anybody's, and is not taken for a service that isn't there."""
    alone = router.selector("v1")
    assert isinstance(alone, Missing)
    assert (alone.cause, alone.detail) == (
        Cause.INVALID,
        "spec.host is missing: reviews routes to several hosts with such subsets; write one of ratings, reviews",
    )
    router.read("v1", "v2")
    assert router.selector("v1") == {"app": "reviews", "version": "v1"}
    assert router.selector("v2") == {"app": "reviews", "version": "v2"}


def test_a_version_of_no_host_is_said_to_be_of_none(router: IstioRouter) -> None:
    """With what was probably meant."""
    missing = router.selector("v21")
    assert isinstance(missing, Missing)
    assert missing.detail == "spec.version: none of ratings, reviews has a subset v21; did you mean v2?"


def test_a_subset_that_no_rule_defines(router: IstioRouter, client: Client, namespace: str) -> None:
    """Says which ones there are, by the name that people call the host by."""
    put(client, namespace, bookinfo.virtual_service("shop", {"route": bookinfo.to("reviews", v1=100)}))
    shop = IstioRouter(client, Scope(namespace, ("shop",)))
    for version, rest in (("canary", "; there are v1, v2, v3"), ("V2", "; did you mean v2?")):
        missing = shop.selector(version)
        assert isinstance(missing, Missing)
        assert (missing.cause, missing.detail) == (
            Cause.ABSENT,
            f"no DestinationRule defines the subset {version} of reviews{rest}",
        )


def test_a_refused_write_shows_in_what_is_read(client: Client, namespace: str) -> None:
    """In the cluster's words, until the routes change, or it is time to ask again."""
    put(client, namespace, bookinfo.service("reviews"))
    put(client, namespace, bookinfo.destination_rule("reviews", ("v1", "v2")))
    put(client, namespace, bookinfo.virtual_service("reviews", {"route": bookinfo.to("reviews", v1=100, v2=0)}))
    refusing, now = [True], [0.0]

    def guard() -> None:
        if refusing[0]:
            raise Forbidden(Cause.DENIED, "ada may not")

    router = IstioRouter(guarded(client, guard), Scope(namespace, ("reviews",)), lambda: now[0])
    seen = router.read("v1", "v2")
    assert isinstance(seen, RouteSeen)
    assert seen.rejected is None
    with pytest.raises(Rejected):
        router.write("v1", "v2", Traffic(weight=30), seen.token)
    assert rejected(router) == "ada may not"
    now[0] = REFUSED
    assert rejected(router) is None
    with pytest.raises(Rejected):
        router.write("v1", "v2", Traffic(weight=30), seen.token)
    refusing[0] = False
    router.write("v1", "v2", Traffic(weight=30), seen.token)
    assert rejected(router) is None


def rejected(router: IstioRouter) -> str | None:
    """What the next read says of it."""
    seen = router.read("v1", "v2")
    assert isinstance(seen, RouteSeen)
    return seen.rejected
