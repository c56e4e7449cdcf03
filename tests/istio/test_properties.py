"""For any VirtualService: what is not ours to change is equal before, during and after."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from canary.api.plan import Affinity, Cookie, Match, StringMatch, Traffic
from canary.istio.destinations import Pair
from canary.istio.marks import ANNOTATION
from canary.istio.patch import write
from tests.examples import examples

from . import rfc6902
from .bookinfo import REVIEWS, RULES, Cluster, Data, plain, service

PAIR = Pair("v1", "v2")
MANY = settings(max_examples=examples(150), deadline=None)
OURS = "canary-controller.dev.match-"
COOKIES = "canary-controller.dev.cookie-"

HOSTS = st.sampled_from(["reviews", "reviews.default.svc.cluster.local"])
PORTS: st.SearchStrategy[Data] = st.sampled_from([{}, {"port": {"number": 9080}}])
WEIGHTS = st.one_of(st.integers(1, 9), st.sampled_from([50, 90, 100, 333, 10_000]))


@st.composite
def entries(draw: st.DrawFn, always: tuple[str, ...] = ()) -> list[Data]:
    """Destinations of one route: stable has weight, the canary none yet, others some; sometimes one alone."""
    host, port = draw(HOSTS), draw(PORTS)
    others = draw(st.sets(st.sampled_from([one for one in ("v1", "v2", "v3", "legacy") if one not in always])))
    versions = draw(st.permutations([*always, *sorted(others)])) or ["v1"]
    return [_entry(draw, version, host, port, alone=len(versions) == 1) for version in versions]


def _entry(draw: st.DrawFn, version: str, host: str, port: Data, alone: bool) -> Data:
    where = {"host": "legacy.old"} if version == "legacy" else {"host": host, "subset": version, **port}
    weights: st.SearchStrategy[Data] = st.builds(lambda weight: {"weight": weight}, WEIGHTS)
    nothing: st.SearchStrategy[Data] = st.sampled_from([{}, {"weight": 0}])
    weight = draw(st.one_of(weights, nothing) if alone else nothing if version == "v2" else weights)
    headers = draw(st.sampled_from([{}, {"headers": {"request": {"set": {"x": version}}}}]))
    return {"destination": where, **weight, **headers}


MATCHES = st.sampled_from([
    [{"uri": {"prefix": "/a"}}],
    [{"uri": {"exact": "/b"}}, {"port": 80, "withoutHeaders": {"x": {}}}],
    [{"headers": {"end-user": {"exact": "jason"}}}],
    [{"sourceLabels": {"app": "x"}}, {"uri": {"prefix": "/c"}}],
])  # fmt: skip
SETTINGS: st.SearchStrategy[Data] = st.fixed_dictionaries(
    {},
    optional={
        "retries": st.just({"attempts": 3}),
        "timeout": st.just("5s"),
        "rewrite": st.just({"uri": "/"}),
        "fault": st.just({"abort": {"httpStatus": 500}}),
        "match": MATCHES,
    },
)


def _route(entries: list[Data], more: Data) -> Data:
    return {**more, "route": entries}


REDIRECT: Data = {"redirect": {"uri": "/new"}}


@st.composite
def virtual_services(draw: st.DrawFn, kinds: tuple[str, ...] = ("http", "tcp", "tls")) -> Data:
    """A VirtualService as an API server could have it, with routes of several kinds."""
    made = service()
    for kind in kinds:
        first = [{"match": [{"port": 9080}], "route": draw(entries(("v1",)))}] if kind == kinds[0] else []
        some = draw(
            st.lists(st.builds(_route, entries(), SETTINGS), max_size=2, unique_by=lambda one: str(one.get("match")))
        )
        named = draw(st.booleans()) and kind == "http"
        both = [{**one, **({"name": f"r{number}"} if named else {})} for number, one in enumerate(first + some)]
        both += [deepcopy(REDIRECT)] if kind == "http" and draw(st.booleans()) else []
        made["spec"] |= {kind: both} if both else {}
    if draw(st.booleans()):
        made["metadata"]["annotations"] = {"theirs": "kept"}
    return made


STEPS = st.lists(st.integers(0, 100), min_size=1, max_size=4)
BETA = Match(headers={"x-group": StringMatch(exact="beta")}, query_params={"q": StringMatch(regex=".+")})
TESTER = Match(source_labels={"app": "tester"})
STATES = st.builds(
    lambda share, match, **more: Traffic(match=match, match_weight=share if match else None, **more),
    st.one_of(st.none(), st.integers(1, 99)),
    st.sampled_from([(), (BETA,), (BETA, TESTER)]),
    weight=st.integers(0, 100),
    mirror=st.integers(0, 100),
)


@MANY
@given(virtual_services(), STEPS)
def test_during_a_run_only_weights_of_the_pair_and_one_factor_differ(before: Data, steps: list[int]) -> None:
    """Weights are exact, whole, and a third version's share is exactly kept (promise 6)."""
    cluster = Cluster(before)
    for weight in steps:
        cluster.send(weight)
        assert cluster.read("v1", "v2").traffic == Traffic(weight=weight)
        after = cluster.services[0]
        for old, new in _routes(before, after):
            assert {name: value for name, value in new.items() if name != "route"} == {
                name: value for name, value in old.items() if name != "route"
            }
            _assert_weights(old.get("route", []), new.get("route", []), weight)
        assert _rest(after) == _rest(before)


def _assert_weights(old: list[Data], new: list[Data], percent: int) -> None:
    if old == new:
        return
    were, are = _weights(old), _weights(new)
    total, stable, canary = were.get("v1", 0) + were.get("v2", 0), are.get("v1", 0), are.get("v2", 0)
    factor = (stable + canary) // total
    assert 1 <= factor <= 100
    assert (stable + canary, canary * 100) == (total * factor, percent * total * factor)
    assert (canary > 0) is (percent > 0)
    assert {name: weight for name, weight in are.items() if name not in ("v1", "v2")} == {
        name: weight * factor for name, weight in were.items() if name not in ("v1", "v2")
    }
    users, others = ({_name(entry): _bare(entry) for entry in some} for some in (old, new))
    assert {name: others[name] for name in users if name in others} == {
        name: users[name] for name in users if name in others
    }


@MANY
@given(virtual_services(), STEPS)
def test_a_rollback_gives_back_the_original(before: Data, steps: list[int]) -> None:
    """Equal, from wherever the steps had led, 100% included."""
    cluster = Cluster(before)
    for weight in steps:
        cluster.send(weight)
    cluster.send(0)
    assert plain(cluster.services) == plain([before])


@MANY
@given(virtual_services(kinds=("http",)), st.lists(STATES, min_size=1, max_size=4))
def test_matches_and_copies_are_what_was_asked_and_leave_nothing(before: Data, states: list[Traffic]) -> None:
    """Each state is read back as it was asked for; asking again changes nothing; the rollback takes all away."""
    cluster = Cluster(before)
    for traffic in states:
        cluster.ask(traffic, PAIR)
        assert cluster.read("v1", "v2").traffic == traffic
        assert write(cluster.services, RULES, REVIEWS, PAIR, traffic) == []
        for old, new in _routes(before, cluster.services[0]):
            ours = {"route", "mirror", "mirrorPercentage"}
            assert {name: value for name, value in new.items() if name not in ours} == {
                name: value for name, value in old.items() if name not in ours
            }
    cluster.send(0)
    assert plain(cluster.services) == plain([before])


def _cookie(name: str, value: str) -> Cookie:
    return Cookie(name=name, value=value, attributes="Max-Age=60; Path=/")


KEPT_USERS = st.builds(
    lambda value, primary: Affinity(canary=_cookie("c", value), primary=_cookie("p", value) if primary else None),
    st.sampled_from(["a.b", "(x", "y"]),
    st.booleans(),
)
STICKY_STATES = st.builds(
    lambda state, affinity: state.but(affinity=affinity if state.weight else None),
    STATES,
    st.one_of(st.none(), KEPT_USERS),
)


@MANY
@given(virtual_services(kinds=("http",)), st.lists(STICKY_STATES, min_size=1, max_size=4))
def test_cookies_are_what_was_asked_and_leave_only_their_removal(before: Data, states: list[Traffic]) -> None:
    """Each state is read back; the rollback leaves routes that take cookies from users, and nothing else."""
    cluster = Cluster(before)
    for traffic in (*states, Traffic()):
        cluster.ask(traffic, PAIR)
        assert cluster.read("v1", "v2").traffic == traffic
        assert write(cluster.services, RULES, REVIEWS, PAIR, traffic) == []
    after = cluster.services[0]
    removals = [one for one in after["spec"]["http"] if one.get("name", "").startswith(f"{COOKIES}removal-")]
    for one in removals:
        (entry,) = one["route"]
        assert "; Max-Age=-1; Path=/" in entry["headers"]["response"]["add"]["Set-Cookie"]
        assert entry["destination"].get("subset") == "v1"
    after["spec"]["http"] = [one for one in after["spec"]["http"] if one not in removals]
    assert plain([after]) == plain([before])
    assert bool(removals) >= (states[-1].affinity is not None)


@MANY
@given(virtual_services(), STEPS)
def test_a_promotion_leaves_only_weights_changed(before: Data, steps: list[int]) -> None:
    """Where the canary wasn't listed it stands in the place of stable; no mark is left where no preview is."""
    cluster = Cluster(before)
    assume(not _previews(cluster) and len(_listings(cluster)) == 1)
    for weight in (*steps, 100):
        cluster.send(weight)
    after = cluster.services[0]
    assert ANNOTATION not in after["metadata"].get("annotations", {})
    for old, new in _routes(before, after):
        was, now = old.get("route", []), new.get("route", [])
        assert [_others(entry) for entry in was] == [_others(entry) for entry in now]
        if was != now and "v2" not in _weights(was):
            assert [_name(entry).replace("v1", "v2") for entry in was] == [_name(entry) for entry in now]
            assert [entry.get("weight") for entry in was] == [entry.get("weight") for entry in now]
        else:
            assert [_name(entry) for entry in was] == [_name(entry) for entry in now]


@MANY
@given(virtual_services(), STEPS)
def test_going_back_to_the_earlier_version_is_a_rollout_like_any_other(before: Data, steps: list[int]) -> None:
    """Once it has everything again, all is as it was."""
    cluster = Cluster(before)
    assume(not _previews(cluster) and len(_listings(cluster)) == 1)
    for pair in ("v1 v2", "v2 v1"):
        for weight in (*steps, 100):
            cluster.send(weight, pair)
    assert plain(cluster.services) == plain([before])


def _previews(cluster: Cluster) -> list[str]:
    """Routes that reach v2 without a rollout."""
    return [one.route for one in cluster.read("v1", "v2").unmoved if one.version == "v2"]


def _listings(cluster: Cluster) -> set[bool]:
    """Whether the routes that move list the canary; where some do and some don't, marks have to stay."""
    moved = deepcopy(cluster)
    moved.send(1)
    both = _routes(cluster.services[0], moved.services[0])
    return {"v2" in _weights(old["route"]) for old, new in both if old != new}


@MANY
@given(virtual_services(kinds=("http",)), STATES, STATES, st.data())
def test_patches_fail_when_what_they_touch_has_changed(
    before: Data, first: Traffic, then: Traffic, data: Any
) -> None:
    """By the resourceVersion alone, and without it by host and subset of each touched destination (promise 7)."""
    cluster = Cluster(before)
    cluster.ask(first, PAIR)
    [current] = cluster.services
    patches = write(cluster.services, RULES, REVIEWS, PAIR, then)
    assume(patches)
    operations = patches[0].operations
    with pytest.raises(rfc6902.TestFailed):
        rfc6902.apply({**current, "metadata": {**current["metadata"], "resourceVersion": "99"}}, operations)
    touched = _touched(operations)
    assume(touched)
    place, index = data.draw(st.sampled_from(touched))
    for change in ({"host": "changed"}, {"subset": "changed"}):
        foreign = deepcopy(current)
        foreign["spec"]["http"][place]["route"][index]["destination"] |= change
        with pytest.raises(rfc6902.TestFailed):
            rfc6902.apply(foreign, operations[1:])


def _touched(operations: list[Data]) -> list[tuple[int, int]]:
    """(route, destination) of all operations that change or remove a destination."""
    changed = [one["path"].split("/") for one in operations if one["op"] != "test" and "/route/" in one["path"]]
    return sorted({(int(path[3]), int(path[5])) for path in changed if path[5] != "-"})


def _routes(before: Data, after: Data) -> Iterator[tuple[Data, Data]]:
    """The user's routes, one by one."""
    for kind in ("http", "tcp", "tls"):
        new = [one for one in after["spec"].get(kind, ()) if not str(one.get("name")).startswith(OURS)]
        yield from zip(before["spec"].get(kind, ()), new, strict=True)


def _rest(one: Data) -> Data:
    """All but routes, our annotation and what the API server counts."""
    [copy] = plain([one])
    copy["spec"] = {name: value for name, value in copy["spec"].items() if name not in ("http", "tcp", "tls")}
    annotations = {name: text for name, text in copy["metadata"].pop("annotations", {}).items() if name != ANNOTATION}
    return {**copy, "annotations": annotations}


def _name(entry: Data) -> str:
    return str(entry["destination"].get("subset") or entry["destination"]["host"])


def _weights(entries: list[Data]) -> dict[str, int]:
    alone = len(entries) == 1
    return {_name(entry): entry.get("weight") or (100 if alone else 0) for entry in entries}


def _bare(entry: Data) -> Data:
    return {name: value for name, value in entry.items() if name != "weight"}


def _others(entry: Data) -> Data:
    """Without what a promotion may change."""
    destination = {name: value for name, value in entry["destination"].items() if name != "subset"}
    return {**_bare(entry), "destination": destination}
