"""What routes say and how they are changed: properties over generated configurations, and the shapes one by one."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.api.plan import Match, StringMatch, Traffic
from canary.api.status import Unmoved
from canary.engine.errors import Rejected
from canary.envoy import routes, weights
from canary.envoy.discovery import RouteFile
from canary.envoy.routes import RouteScope, RouteState, apply, read
from tests.envoy import generated
from tests.envoy.world import NAME, Data, response, route, weighted
from tests.examples import examples

SHOP = RouteScope(NAME)
BETA = Match(headers={"x-user-group": StringMatch(exact="beta")})
MANY = settings(max_examples=examples(300))


def config(*routes: Data) -> Data:
    """A RouteConfiguration with one virtual host."""
    found: Data = response(routes)["resources"][0]
    return found


def moving(data: Data) -> list[Data]:
    """The routes that move between v1 and v2."""
    return [
        one
        for host in data["virtual_hosts"]
        for one in host.get("routes", [])
        if not routes.names_users(one) and (weights.weights_of(one).get("v1") or weights.weights_of(one).get("v2"))
    ]


def at_stable(data: Data) -> Data:
    """The configuration before a rollout: the canary has no weight in it."""
    return apply(data, SHOP, "v1", "v2", Traffic())


def without_pair(data: Data) -> Data:
    """The configuration with the pair's weights and names taken out of the routes that move."""
    data = deepcopy(data)
    for one in moving(data):
        action = one["route"]
        if "cluster" in action:
            action["cluster"] = "one of the pair"
        for entry in action.get("weighted_clusters", {}).get("clusters", []):
            if entry["name"] in ("v1", "v2"):
                entry.update(name="one of the pair", weight=0)
    return data


@MANY
@given(generated.configs(), generated.traffics)
def test_what_is_asked_for_is_read_back(data: Data, traffic: Traffic) -> None:
    """Every complete state, after any state before."""
    assert read(apply(data, SHOP, "v1", "v2", traffic), SHOP, "v1", "v2").traffic == traffic


@MANY
@given(generated.configs(), st.lists(generated.traffics, max_size=3))
def test_a_rollback_gives_equal_data(data: Data, states: list[Traffic]) -> None:
    """After any states of the rollout."""
    data = changed = at_stable(data)
    for traffic in states:
        changed = apply(changed, SHOP, "v1", "v2", traffic)
    assert apply(changed, SHOP, "v1", "v2", Traffic()) == data


@MANY
@given(generated.configs(), st.lists(generated.traffics, max_size=3))
def test_a_promotion_changes_weights_and_names_of_the_pair_only(data: Data, states: list[Traffic]) -> None:
    """All marks, matches, mirrors and factors are gone."""
    data = changed = at_stable(data)
    for traffic in [*states, Traffic(weight=100)]:
        changed = apply(changed, SHOP, "v1", "v2", traffic)
    assert without_pair(changed) == without_pair(data)
    assert weights.KEY not in repr(changed)
    assert apply(changed, SHOP, "v1", "v2", Traffic()) == data


@MANY
@given(generated.configs(), generated.traffics)
def test_writing_twice_is_writing_once(data: Data, traffic: Traffic) -> None:
    """A state that is there needs no write; and what is given is left alone."""
    before = deepcopy(data)
    once = apply(data, SHOP, "v1", "v2", traffic)
    assert data == before
    assert apply(once, SHOP, "v1", "v2", traffic) == once


@MANY
@given(generated.configs(), generated.traffics)
def test_third_clusters_and_other_routes_keep_what_they_have(data: Data, traffic: Traffic) -> None:
    """Shares of third clusters are exact; routes that don't move are equal, and in the same order."""
    data = at_stable(data)
    changed = apply(data, SHOP, "v1", "v2", traffic)
    before, after = moving(data), moving(changed)
    for old, new in zip(before, after, strict=True):
        was, now = weights.weights_of(old), weights.weights_of(new)
        for third in set(was) - {"v1", "v2"}:
            assert was[third] * sum(now.values()) == now[third] * sum(was.values())
    for host, old_host in zip(changed["virtual_hosts"], data["virtual_hosts"], strict=True):
        rest = [one for one in host.get("routes", []) if not routes.is_ours(one) and one not in after]
        assert rest == [one for one in old_host.get("routes", []) if one not in before]


@MANY
@given(generated.configs(), st.integers(1, 100))
def test_a_step_above_zero_never_rounds_to_zero(data: Data, weight: int) -> None:
    """The canary gets a share in every route that moves, and the weights fit in Envoy's 32 bits."""
    changed = apply(data, SHOP, "v1", "v2", Traffic(weight=weight))
    for one in moving(changed):
        assert weights.weights_of(one)["v2"] > 0
        assert (
            max(sum(weights.weights_of(one).values()), sum(weights.weights_of(one).values())) <= 2 * weights.LARGEST
        )


@settings(max_examples=examples(40))
@given(st.data())
def test_the_file_reads_as_meant_and_rolls_back_to_the_same_text(tmp_path_factory: Any, data: st.DataObject) -> None:
    """In YAML and JSON of every style, comments included: what isn't ours is left byte for byte."""
    whole = response([])
    whole["resources"] = [{"name": "another"}, at_stable(data.draw(generated.configs()))]
    suffix, text = data.draw(generated.texts(whole))
    file = RouteFile(Path(tmp_path_factory.getbasetemp()) / f"generated{suffix}", NAME)
    file.path.write_text(text)
    document = file.read()
    assert document.config == whole["resources"][1]
    traffic = data.draw(generated.traffics)
    config = apply(document.config, SHOP, "v1", "v2", traffic)
    file.path.write_text(document.holding(config))
    changed = file.read()
    assert changed.config == config
    back = changed.holding(apply(changed.config, SHOP, "v1", "v2", Traffic()))
    file.path.write_text(back)
    assert file.read().whole == document.whole
    assert back == text
    for note in (line.partition("  # note ")[2] for line in text.splitlines()):
        assert f"# note {note}" in changed.text or not note


SHAPES: dict[str, tuple[Data, Data, Data]] = {
    "a single cluster becomes weighted, and one again": (
        {"cluster": "v1"},
        {"weighted_clusters": {"clusters": [{"name": "v2", "weight": 5}, {"name": "v1", "weight": 95}]}},
        {"cluster": "v2"},
    ),
    "two weights stay two weights": (weighted(v1=100, v2=0), weighted(v1=95, v2=5), weighted(v1=0, v2=100)),
    "a small total is scaled, and scaled back": (
        weighted(v1=1, v2=0),
        weighted(v1=19, v2=1),
        weighted(v1=0, v2=1),
    ),
    "third weights are scaled along": (
        weighted(v1=1, v2=0, v3=1),
        weighted(v1=19, v2=1, v3=20),
        weighted(v1=0, v2=1, v3=1),
    ),
    "a canary that isn't listed is added, and takes over stable's entry": (
        weighted(v1=20, v3=7),
        weighted(v2=1, v1=19, v3=7),
        weighted(v2=20, v3=7),
    ),
    "very large weights are rounded": (
        weighted(v1=2**32 - 6, v2=0, v3=5),
        weighted(v1=4080218926, v2=214748364, v3=5),
        weighted(v1=0, v2=2**32 - 6, v3=5),
    ),
}


@pytest.mark.parametrize(
    ("before", "at_five", "promoted"), [pytest.param(*one, id=name) for name, one in SHAPES.items()]
)
def test_shapes(before: Data, at_five: Data, promoted: Data) -> None:
    """What the user's route looks like on the way."""
    there = apply(config(route(**before)), SHOP, "v1", "v2", Traffic(weight=5))
    assert there["virtual_hosts"][0]["routes"][0]["route"] == at_five
    assert apply(there, SHOP, "v1", "v2", Traffic(weight=100)) == config(route(**promoted))
    assert apply(there, SHOP, "v1", "v2", Traffic()) == config(route(**before))


def test_a_match_is_a_marked_copy_in_front() -> None:
    """All that the user's route says holds for its users as well, but for where it goes."""
    user: Data = {"match": {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}}
    user |= {"route": {**weighted(v1=99, v2=1), "timeout": "3s"}, "metadata": {"filter_metadata": {"mine": {"a": 1}}}}
    ours, theirs = apply(config(user), SHOP, "v1", "v2", Traffic(match=(BETA,)))["virtual_hosts"][0]["routes"]
    assert ours == {
        "match": {
            "prefix": "/",
            "headers": [
                {"name": ":method", "string_match": {"exact": "GET"}},
                {"name": "x-user-group", "string_match": {"exact": "beta"}},
            ],
        },
        "route": {"cluster": "v2", "timeout": "3s"},
        "metadata": {"filter_metadata": {"mine": {"a": 1}, weights.KEY: {"match": True}}},
    }
    assert theirs == {**user, "route": {**weighted(v1=100, v2=0), "timeout": "3s"}}


def test_a_marked_route_that_another_client_changed_is_reported_and_replaced() -> None:
    """It stands for no state that could have been asked for."""
    changed = apply(config(route(name="r", cluster="v1")), SHOP, "v1", "v2", Traffic(match=(BETA,)))
    good = deepcopy(changed)
    changed["virtual_hosts"][0]["routes"][0]["route"]["cluster"] = "v3"
    state = read(changed, SHOP, "v1", "v2")
    assert (state.traffic, state.described) == (None, "r: another client changed a marked route in front of it")
    assert apply(changed, SHOP, "v1", "v2", Traffic(match=(BETA,))) == good


UNDECIDED = {
    "no route for these": (route(cluster="other"), "no route of shop sends requests to v1 or v2"),
    "a share that is no whole per cent": (route(name="r", **weighted(v1=2, v2=1)), "r: 33.33% to v2"),
}


@pytest.mark.parametrize(("one", "described"), [pytest.param(*case, id=name) for name, case in UNDECIDED.items()])
def test_states_that_are_none(one: Data, described: str) -> None:
    """They are reported in words."""
    state = read(config(one), SHOP, "v1", "v2")
    assert (state.traffic, state.described) == (None, described)


@pytest.mark.parametrize(
    ("data", "traffic", "words"),
    [
        pytest.param(config(route(cluster="x")), Traffic(), "no route of shop sends", id="nothing moves"),
        pytest.param(
            config(route(cluster="v1")),
            Traffic(match=(Match(source_labels={"a": "b"}),)),
            "sourceLabels",
            id="Istio's",
        ),
        pytest.param(config(route(cluster="v1")), Traffic(match=(Match(),)), "everybody", id="a match of everything"),
        pytest.param(
            config(route(cluster="v1")),
            Traffic(match=(Match(headers={"x": StringMatch()}),)),
            "neither",
            id="no value",
        ),
        pytest.param(
            config(route(**weighted(v1=7, v3=2**30))), Traffic(weight=1), "too much to give 1% of 7", id="too large"
        ),
        pytest.param(
            config({"match": {}, "route": {"weightedClusters": {}}}), Traffic(), "snake_case", id="camelCase"
        ),
        pytest.param(
            config(route(weighted_clusters={"clusters": [{"name": "v1", "weight": 1}] * 2})),
            Traffic(weight=10),
            "v1 2 times",
            id="a cluster that stands twice",
        ),
    ],
)
def test_what_can_not_be_said_is_rejected(data: Data, traffic: Traffic, words: str) -> None:
    """With the reason, and before anything is written."""
    with pytest.raises(Rejected, match=words):
        apply(data, SHOP, "v1", "v2", traffic)


@pytest.mark.parametrize(
    ("scope", "moves"),
    [
        pytest.param(SHOP, {"a", "b", "c"}, id="everything that sends to the pair"),
        pytest.param(replace(SHOP, routes=("a", "c")), {"a", "c"}, id="only named routes"),
        pytest.param(replace(SHOP, host="b.example.com"), {"b", "c"}, id="only one virtual host"),
        pytest.param(replace(SHOP, host="b.example.com", routes=("a", "b")), {"b"}, id="both"),
    ],
)
def test_scope(scope: RouteScope, moves: set[str]) -> None:
    """`routes` and `host` restrict what moves."""
    data = config(route(name="a", cluster="v1"))
    two = [route("/b", "b", cluster="v1"), route("/c", "c", cluster="v1"), route("/d", "d", cluster="v9")]
    data["virtual_hosts"].append({"name": "b", "domains": ["b.example.com"], "routes": two})
    changed = apply(data, scope, "v1", "v2", Traffic(weight=100))
    routes = [one for host in changed["virtual_hosts"] for one in host["routes"]]
    assert {one["name"] for one in routes if one["route"]["cluster"] == "v2"} == moves


def test_two_rollouts_share_a_configuration() -> None:
    """What belongs to another pair is left alone, marked routes included."""
    data = config(route("/cart", "cart", cluster="cart-v1"), route(name="shop", cluster="v1"))
    cart = apply(data, SHOP, "cart-v1", "cart-v2", Traffic(weight=10, mirror=5, match=(BETA,)))
    both = apply(cart, SHOP, "v1", "v2", Traffic(weight=20, match=(BETA,)))
    assert read(both, SHOP, "cart-v1", "cart-v2").traffic == Traffic(weight=10, mirror=5, match=(BETA,))
    assert apply(both, SHOP, "v1", "v2", Traffic()) == cart


def test_a_mirror_of_the_users_own_is_listed() -> None:
    """The canary sees requests that no rollout sends it."""
    own = route(name="r", cluster="v1", request_mirror_policies=[{"cluster": "v2"}])
    assert read(config(own), SHOP, "v1", "v2") == RouteState(
        {"v1": 100.0}, Traffic(), "", (Unmoved(route="r", version="v2", copies=True),)
    )
