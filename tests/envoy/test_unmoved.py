"""What a rollout leaves as it is, as it is read from a RouteConfiguration."""

from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Unmoved
from canary.envoy.routes import RouteScope, apply, read
from tests.envoy.test_routes import SHOP, config
from tests.envoy.world import NAME, Data, route, weighted

HEADER = [{"name": "x-tester", "present_match": True}]


def for_users(cluster: str, **match: Any) -> Data:
    """A route of one cluster with this match."""
    made: Data = {"name": "testers", **route(cluster=cluster)}
    made["match"].update(match)
    return made


@pytest.mark.parametrize(
    ("routes", "unmoved"),
    [
        ([for_users("v1", headers=HEADER)], (Unmoved(route="testers", version="v1"),)),
        ([for_users("v1", query_parameters=HEADER)], (Unmoved(route="testers", version="v1"),)),
        ([for_users("v2", headers=HEADER)], (Unmoved(route="testers", version="v2"),)),
        ([for_users("other", headers=HEADER)], ()),
        ([route("/b", "b", **weighted(v1=8, v3=2))], (Unmoved(version="v3"),)),
        (
            [route("/m", "m", cluster="v1", request_mirror_policies=[{"cluster": "v1"}])],
            (Unmoved(route="m", version="v1", copies=True),),
        ),
        ([route("/h", "h", cluster_header="x-to")], (Unmoved(route="h by header x-to", version="v1"),)),
        (
            [route("/p", "p", cluster_specifier_plugin="mine")],
            (Unmoved(route="p by a plugin", version="v1"),),
        ),
        (
            [route("/w", "w", weighted_clusters={"clusters": [{"cluster_header": "x-to", "weight": 1}]})],
            (Unmoved(route="w by header x-to", version="v1"),),
        ),
    ],
    ids=[
        "a header",
        "a query parameter",
        "to the canary",
        "another service",
        "a third share",
        "a mirror",
        "the cluster in a header",
        "the cluster from a plugin",
        "a share for the cluster in a header",
    ],
)
@pytest.mark.parametrize("weight", [0, 10, 100])
def test_what_stays_is_listed_at_each_weight(routes: list[Data], unmoved: tuple[Unmoved, ...], weight: int) -> None:
    """Ours is never among it: neither a weight nor a copy."""
    data = apply(
        config(*routes, route("/", "main", cluster="v1")), SHOP, "v1", "v2", Traffic(weight=weight, mirror=5)
    )
    assert read(data, SHOP, "v1", "v2").unmoved == unmoved


def test_routes_outside_of_the_scope_are_listed_also_at_rest() -> None:
    """Before the pair is known every other route may be of another service."""
    data = config(route("/a", "a", cluster="v1"), route("/b", "b", cluster="v1"))
    scope = RouteScope(NAME, routes=("a",))
    assert read(data, scope, "v1", "v2").unmoved == (Unmoved(route="b", version="v1"),)
    assert read(data, scope, None, "v2").unmoved == (Unmoved(route="b", version="v1"),)


@pytest.mark.parametrize("pair", [("v1", "v2"), (None, "v2")])
def test_mirrors_above_the_routes_are_listed(pair: tuple[str | None, str]) -> None:
    """Envoy takes those of a virtual host, or of all, where a route has none; canary leaves them as they are."""
    data = config(route("/", "main", cluster="v1"))
    data["request_mirror_policies"] = [{"cluster": "v1"}]
    data["virtual_hosts"][0]["request_mirror_policies"] = [{"cluster": "v1"}, {"cluster_header": "x-to"}]
    unmoved = read(data, SHOP, *pair).unmoved
    host = data["virtual_hosts"][0]["name"]
    assert [one for one in unmoved if one.copies] == [
        Unmoved(route=f"all of {data['name']}", version="v1", copies=True),
        Unmoved(route=f"virtual host {host}", version="v1", copies=True),
    ]
