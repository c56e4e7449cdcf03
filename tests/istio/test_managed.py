"""Single users and copies: routes and fields of ours, complete for each step, and gone with it."""

from typing import Any

import pytest

from canary.api.plan import Match, StringMatch, Traffic
from canary.api.status import Unmoved
from canary.engine.errors import Rejected

from .bookinfo import JASON, Cluster, Data, plain, route, service, to

BETA = Match(headers={"x-group": StringMatch(exact="beta")})
COOKIE = Match(
    headers={"cookie": StringMatch(regex="(.*; )?beta=1(;.*)?")}, query_params={"b": StringMatch(prefix="1")}
)
INSIDE = Match(source_labels={"app": "tester"})
SET: Data = {
    "retries": {"attempts": 3},
    "timeout": "5s",
    "rewrite": {"uri": "/v2"},
    "fault": {"delay": {"fixedDelay": "1s", "percentage": {"value": 1}}},
    "corsPolicy": {"maxAge": "1h"},
    "headers": {"request": {"set": {"x-a": "b"}}},
    "mirror": {"host": "shadow"},
}
PATHS: list[Data] = [{"uri": {"prefix": "/a"}, "ignoreUriCase": True}, {"uri": {"exact": "/b"}}]


def test_single_users_are_caught_right_in_front_of_the_route() -> None:
    """With all that the user set on it, and with our conditions added to each of its own."""
    before = service(JASON, route(to("v1", port=9080), name="main", match=PATHS, **SET))
    cluster = Cluster(before)
    cluster.send(match=(BETA,))
    jason, ours, main = cluster.routes()
    assert (jason, main) == tuple(before["spec"]["http"])
    assert ours == {
        **SET,
        "name": "canary-controller.dev.match-1.main",
        "match": [{**one, "headers": {"x-group": {"exact": "beta"}}} for one in PATHS],
        "route": [to("v2", port=9080)],
    }
    assert cluster.read("v1", "v2").traffic == Traffic(match=(BETA,))
    cluster.send(0)
    assert plain(cluster.services) == plain([before])


def test_requests_that_match_are_shared_out() -> None:
    """As the weights of a Flagger manifest with `match` do: all others go to stable."""
    cluster = Cluster(service(route(to("v1"), name="main")))
    cluster.send(match=(BETA,), match_weight=30)
    ours, main = cluster.routes()
    assert ours["match"] == [{"headers": {"x-group": {"exact": "beta"}}}]
    assert ours["route"] == [to("v1", 70), to("v2", 30)]
    assert main["route"] == [to("v1")]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(
            [Traffic(match=(BETA,)), Traffic(weight=10, match=(BETA,)), Traffic(weight=50)], id="then weights"
        ),
        pytest.param([Traffic(match=(BETA, COOKIE, INSIDE)), Traffic(match=(INSIDE,))], id="fewer matches"),
        pytest.param(
            [Traffic(weight=5, match=(COOKIE,)), Traffic(weight=5, match=(BETA, INSIDE))], id="other matches"
        ),
        pytest.param(
            [
                Traffic(match=(BETA, INSIDE), match_weight=1),
                Traffic(weight=5, match=(BETA,), match_weight=99),
                Traffic(match=(BETA,)),
                Traffic(match=(BETA,), match_weight=20),
            ],
            id="a share of those that match",
        ),
        pytest.param([Traffic(mirror=20), Traffic(mirror=40), Traffic(weight=10)], id="copies, then weight"),
        pytest.param([Traffic(weight=10, mirror=5, match=(BETA,)), Traffic(weight=100)], id="all at once, then 100%"),
        pytest.param([Traffic(weight=100, match=(BETA,)), Traffic(weight=100)], id="matches at 100%"),
    ],
)
def test_each_step_is_complete(steps: list[Traffic]) -> None:
    """What a step doesn't name is gone; what was asked is what is read."""
    before = service(JASON, route(to("v1"), match=PATHS, name="a"), route(to("v1", 1), to("v3", 2)))
    cluster = Cluster(before)
    for traffic in steps:
        cluster.send(**{name: getattr(traffic, name) for name in ("weight", "mirror", "match", "match_weight")})
        assert cluster.read("v1", "v2").traffic == traffic
    cluster.send(0)
    assert plain(cluster.services) == plain([before])


GATED: list[Data] = [
    {"uri": {"prefix": "/edge"}, "gateways": ["edge"]},
    {"uri": {"prefix": "/both"}, "gateways": ["edge", "mesh"]},
    {"uri": {"prefix": "/all"}},
]


def test_source_labels_never_catch_a_whole_gateway() -> None:
    """Istio ignores them where a match names gateways, so that ours names none: it would catch everybody."""
    before = service(route(to("v1"), match=GATED))
    cluster = Cluster(before)
    cluster.send(match=(INSIDE, BETA))
    inside, beta, _ = (one["match"] for one in cluster.routes())
    labels = {"sourceLabels": {"app": "tester"}}
    assert inside == [{"uri": {"prefix": "/both"}, **labels}, {"uri": {"prefix": "/all"}, **labels}]
    assert beta == [{**one, "headers": {"x-group": {"exact": "beta"}}} for one in GATED]
    assert cluster.read("v1", "v2").traffic == Traffic(match=(INSIDE, BETA))
    cluster.send(0)
    assert plain(cluster.services) == plain([before])


@pytest.mark.parametrize(
    "gated",
    [
        pytest.param([service(route(to("v1"), match=GATED[:1]))], id="a match of gateways alone"),
        pytest.param([service(route(to("v1")), gateways=["edge"])], id="a VirtualService of gateways alone"),
        pytest.param(
            [service({"match": GATED[1:2], "delegate": {"name": "part"}}), service(route(to("v1")), name="part")],
            id="a delegate behind a match with gateways",
        ),
        pytest.param(
            [service({"delegate": {"name": "part"}}, gateways=["edge"]), service(route(to("v1")), name="part")],
            id="a delegate of a VirtualService of gateways alone",
        ),
    ],
)
def test_source_labels_where_gateways_are_named(gated: list[Data]) -> None:
    """No one could be distinguished by them: refused in words; other conditions hold there as well."""
    cluster = Cluster(*gated)
    with pytest.raises(Rejected, match="sourceLabels"):
        cluster.send(match=(INSIDE,))
    cluster.send(match=(BETA,))
    assert cluster.read("v1", "v2").traffic == Traffic(match=(BETA,))


@pytest.mark.parametrize(
    "open_", [service(route(to("v1")), gateways=["edge", "mesh"]), service(route(to("v1"), match=GATED))]
)
def test_source_labels_beside_gateways(open_: Data) -> None:
    """Where the mesh is among them, its callers are distinguished."""
    cluster = Cluster(open_)
    cluster.send(match=(INSIDE,))
    assert cluster.read("v1", "v2").traffic == Traffic(match=(INSIDE,))


def test_copies_are_a_field_of_the_route() -> None:
    """To the same host and port, with the share written out."""
    cluster = Cluster(service(route(to("v1", port=9080))))
    cluster.send(mirror=20)
    [copied] = cluster.routes()
    assert copied["mirror"] == {"host": "reviews", "subset": "v2", "port": {"number": 9080}}
    assert copied["mirrorPercentage"] == {"value": 20}


@pytest.mark.parametrize(
    "theirs", [{"mirror": {"host": "shadow"}}, {"mirrors": [{"destination": {"host": "shadow"}}]}]
)
def test_a_mirror_of_the_user_stays(theirs: dict[str, Any]) -> None:
    """Ours can't stand beside it, and that is said."""
    cluster = Cluster(service(route(to("v1"), **theirs)))
    with pytest.raises(Rejected, match="mirrors requests already"):
        cluster.send(mirror=20)
    cluster.send(10)
    assert cluster.routes()[0] == route(to("v1", 90), to("v2", 10), **theirs)


def test_a_users_mirror_to_the_canary_is_listed() -> None:
    """It reaches the canary without us."""
    cluster = Cluster(service(route(to("v1"), name="main", mirror={"host": "reviews", "subset": "v2"})))
    assert cluster.read("v1", "v2").unmoved == (Unmoved(route="main", version="v2", copies=True),)


@pytest.mark.parametrize(
    "other", [service(tcp=[route(to("v1"))]), service(tls=[route(to("v1"))])], ids=["tcp", "tls"]
)
def test_tcp_and_tls_know_no_users(other: Data) -> None:
    """Neither matches nor copies; weights go on to work."""
    cluster = Cluster(other)
    with pytest.raises(Rejected, match="can't match single users"):
        cluster.send(match=(BETA,))
    with pytest.raises(Rejected, match="can't be copied"):
        cluster.send(mirror=1)


@pytest.mark.parametrize("match", [Match(), Match(headers={"a": StringMatch()})])
def test_a_match_that_would_catch_everybody_is_refused(match: Match) -> None:
    """Lint says it earlier; nothing is sent all the same."""
    with pytest.raises(Rejected, match=r"would catch every request|must say one of"):
        Cluster(service(route(to("v1")))).send(match=(match,))


def test_a_route_of_ours_that_was_edited_is_seen() -> None:
    """And replaced with the next write, or removed with the rollback."""
    before = service(route(to("v1"), name="main"))
    cluster = Cluster(before)
    cluster.send(match=(BETA,))
    cluster.routes()[0]["timeout"] = "1s"
    seen = cluster.read("v1", "v2")
    assert (seen.traffic, seen.described) == (
        None,
        "main: another client changed a route of canary in front of it",
    )
    cluster.send(0)
    assert plain(cluster.services) == plain([before])


def test_a_route_of_ours_that_was_moved_away_is_taken_back() -> None:
    """Wherever someone put it: at the end, or in front of another route."""
    before = service(JASON, route(to("v1")))
    for place in (0, 3):
        cluster = Cluster(before)
        cluster.send(match=(BETA,))
        cluster.routes().insert(place, cluster.routes().pop(1))
        assert cluster.read("v1", "v2").traffic == Traffic()
        cluster.send(0)
        assert plain(cluster.services) == plain([before])
