"""Cookies that keep users on the version that they met: set by the destinations, known by routes in front of them."""

import re
from typing import Any

import pytest

from canary.api.plan import Affinity, Cookie, Match, StringMatch, Traffic
from canary.engine.errors import Rejected
from canary.istio.destinations import Pair

from .bookinfo import Cluster, Data, plain, route, service, to

PAIR = Pair("v1", "v2")
ONE = Affinity(canary=Cookie(name="seen", value="abc", attributes="Max-Age=86400; Path=/"))
BOTH = ONE.but(primary=Cookie(name="old", value="abc", attributes="Max-Age=60"))
NEXT = Affinity(canary=Cookie(name="seen", value="xyz", attributes="Max-Age=86400; Path=/"))
BETA = Match(headers={"x-group": StringMatch(exact="beta")})
OURS = "canary-controller.dev.cookie-"
USERS: Data = {"response": {"add": {"x-b": "1"}, "remove": ["x-c"]}, "request": {"set": {"x-a": "1"}}}


def cluster(**more: Any) -> Cluster:
    return Cluster(service(route(to("v1", 100, **more), to("v2", 0), name="main", timeout="5s")))


def names(made: Cluster) -> list[str]:
    return [str(one.get("name")).removeprefix(OURS) for one in made.routes()]


def cookies(made: Cluster, number: int) -> list[str | None]:
    """What each destination of a route sets."""
    headers = [one.get("headers", {}).get("response", {}).get("add", {}) for one in made.routes()[number]["route"]]
    return [one.get("Set-Cookie") for one in headers]


def test_users_of_the_canary_stay() -> None:
    """Users whom the weight sends there get a cookie, and all their requests go there, with the route's settings."""
    made = cluster()
    made.ask(Traffic(weight=10, affinity=ONE), PAIR)
    assert names(made) == ["canary.main", "main"]
    assert cookies(made, 0) == [None]
    assert cookies(made, 1) == [None, "seen=abc; Max-Age=86400; Path=/"]
    assert (made.sent()[1], made.routes()[0]["timeout"]) == ("v1 90, v2 10", "5s")
    assert made.routes()[0]["route"] == [to("v2")]


def test_users_of_the_primary_stay_below_100() -> None:
    made = cluster()
    made.ask(Traffic(weight=10, affinity=BOTH), PAIR)
    assert names(made) == ["canary.main", "primary.main", "main"]
    assert cookies(made, 2) == ["old=abc; Max-Age=60", "seen=abc; Max-Age=86400; Path=/"]
    made.ask(Traffic(weight=100, affinity=BOTH), PAIR)
    assert (names(made), made.sent()[1]) == (["canary.main", "main"], "v1 0, v2 100")
    assert made.read("v1", "v2").traffic == Traffic(weight=100, affinity=BOTH)


def test_those_who_match_come_first() -> None:
    made = cluster()
    made.ask(Traffic(weight=10, match=(BETA,), affinity=ONE), PAIR)
    assert [one["name"].rpartition(".")[0] for one in made.routes()[:2]] == [
        "canary-controller.dev.match-1",
        "canary-controller.dev.cookie-canary",
    ]
    assert made.read("v1", "v2").traffic == Traffic(weight=10, match=(BETA,), affinity=ONE)


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        ("seen=abc", True),
        ("a=b; seen=abc; c=d", True),
        ("a=b;seen=abc", True),
        ("seen=abcd", False),
        ("unseen=abc", False),
        ("a=seen=abc", False),
        ("seen=xyz; other=abc", False),
    ],
)
def test_a_cookie_is_known_whole(sent: str, known: bool) -> None:
    """Neither a longer name nor a longer value counts."""
    made = cluster()
    made.ask(Traffic(weight=10, affinity=ONE), PAIR)
    regex = made.routes()[0]["match"][0]["headers"]["cookie"]["regex"]
    assert (re.fullmatch(regex, sent) is not None) is known


def test_cookies_are_taken_back_until_the_next_rollout() -> None:
    """With the attributes by which a browser knows them; the user then has no other version to go to."""
    before, made = cluster(), cluster()
    made.ask(Traffic(weight=10, affinity=BOTH), PAIR)
    made.ask(Traffic(), PAIR)
    assert names(made) == ["removal-1.main", "removal-2.main", "main"]
    assert [cookies(made, number) for number in range(2)] == [
        ["seen=abc; Max-Age=-1; Path=/"], ["old=abc; Max-Age=-1"]
    ]  # fmt: skip
    assert (made.sent()[:2], made.routes()[2]) == (["v1", "v1"], before.routes()[0])
    assert made.read("v1", "v2").traffic == Traffic()
    made.ask(Traffic(mirror=20), PAIR)
    assert names(made) == ["removal-1.main", "removal-2.main", "main"]
    made.ask(Traffic(weight=20, affinity=NEXT), PAIR)
    assert names(made) == ["canary.main", "main"]


def test_what_users_have_set_on_destinations_stays() -> None:
    made = cluster(headers=USERS)
    before = plain(made.services)
    made.ask(Traffic(weight=10, affinity=BOTH), PAIR)
    assert made.routes()[2]["route"][0]["headers"] == {
        "response": {"add": {"x-b": "1", "Set-Cookie": "old=abc; Max-Age=60"}, "remove": ["x-c"]},
        "request": {"set": {"x-a": "1"}},
    }
    made.ask(Traffic(), PAIR)
    assert made.routes()[2] == before[0]["spec"]["http"][0]


def test_a_destination_with_a_cookie_of_its_own_is_refused() -> None:
    """Only one can be added by a route."""
    made = cluster(headers={"response": {"set": {"set-cookie": "theirs=1"}}})
    with pytest.raises(Rejected, match="sets the header Set-Cookie already"):
        made.ask(Traffic(weight=10, affinity=BOTH), PAIR)


@pytest.mark.parametrize("field", ["set", "add"])
def test_a_cookie_that_a_user_adds_in_mid_rollout_keeps_nothing_from_going_back(field: str) -> None:
    made = cluster()
    made.ask(Traffic(weight=10, affinity=BOTH), PAIR)
    response = made.routes()[2]["route"][0]["headers"]["response"]
    made.services[0]["spec"]["http"][2]["route"][0]["headers"] = {
        "response": {**response, field: {**response.get(field, {}), "set-cookie": "theirs=1"}}
    }
    made.ask(Traffic(), PAIR)
    assert made.read("v1", "v2").traffic == Traffic()
    assert names(made) == ["main"]
    assert made.routes()[0]["route"][0]["headers"] == {"response": {field: {"set-cookie": "theirs=1"}}}


@pytest.mark.parametrize("weight", [10, 100])
@pytest.mark.parametrize("strips", [False, True], ids=["with the routes in front", "without them"])
@pytest.mark.parametrize("edit", [{"name": "renamed"}, {"match": [{"uri": {"prefix": "/"}}]}], ids=["name", "match"])
def test_a_route_that_a_user_calls_otherwise_in_mid_rollout_keeps_no_cookie(
    edit: Data, strips: bool, weight: int
) -> None:
    """By its name or its match it is known which cookies are ours. The routes in front know them, too; where a user
    has removed those, the next rollout puts its own cookies in their place."""
    named = {} if "match" in edit else {"name": "main"}
    made = Cluster(service(route(to("v1", 100), to("v2", 0), **named)))
    made.ask(Traffic(weight=weight, affinity=BOTH), PAIR)
    made.services[0]["spec"]["http"][-1] |= edit
    if strips:
        del made.services[0]["spec"]["http"][:-1]
        made.ask(Traffic(), PAIR)
        made.ask(Traffic(weight=10, affinity=NEXT.but(primary=BOTH.primary)), PAIR)
    made.ask(Traffic(), PAIR)
    assert made.read("v1", "v2").traffic == Traffic()
    assert made.routes()[-1] == {**route(to("v1", 100), to("v2", 0), **named), **edit}
    assert len(made.routes()) == 3


def test_a_connection_has_no_cookie() -> None:
    made = Cluster(service(tcp=[route(to("v1", 100), to("v2", 0))]))
    with pytest.raises(Rejected, match="can't have cookies"):
        made.ask(Traffic(weight=10, affinity=ONE), PAIR)


def test_a_user_edits_the_route_at_rest() -> None:
    """What takes cookies back was a copy of it; that is no drift."""
    made = cluster()
    made.ask(Traffic(weight=10, affinity=ONE), PAIR)
    made.ask(Traffic(), PAIR)
    made.services[0]["spec"]["http"][1]["timeout"] = "9s"
    assert made.read("v1", "v2").traffic == Traffic()


@pytest.mark.parametrize("weight", [10, 0])
def test_an_edit_of_the_routes_is_seen(weight: int) -> None:
    """Of those that keep users, and of those that take cookies from them."""
    made = cluster()
    made.ask(Traffic(weight=10, affinity=ONE), PAIR)
    made.ask(Traffic(weight=weight, affinity=ONE if weight else None), PAIR)
    made.services[0]["spec"]["http"][0]["route"] = [to("v3")]
    seen = made.read("v1", "v2")
    assert (seen.traffic, "another client changed a route of canary" in seen.described) == (None, True)
    made.ask(Traffic(), PAIR)
    assert made.read("v1", "v2").traffic == Traffic()
