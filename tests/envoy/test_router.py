"""The router on a real Envoy: traffic goes where the file says, and only what Envoy has loaded counts."""

import json
from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from canary.api.plan import Match, StringMatch, Traffic
from canary.api.status import Unmoved
from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.engine.observed import Cause, Missing, RouteSeen
from canary.envoy.admin import Admin
from canary.envoy.routes import RouteScope
from canary.routers.envoy import EnvoyRouter
from tests.envoy.world import NAME, Data, World, response, route, weighted
from tests.parts.processes import wait_for

Start = Callable[..., World]
BETA = Match(headers={"x-user-group": StringMatch(exact="beta")})
PREVIEW = Match(query_params={"preview": StringMatch(regex="y.*")})


def ask(world: World, traffic: Traffic) -> RouteSeen:
    """Writes, and returns what is read once Envoy has loaded it."""
    seen = world.seen()
    world.router.write("v1", "v2", traffic, seen.token)
    wait_for(lambda: world.seen().traffic == traffic, f"Envoy to serve {traffic}")
    served: RouteSeen = world.seen()
    return served


@pytest.mark.parametrize("weight", [0, 1, 30, 100, *(pytest.param(one, marks=pytest.mark.long) for one in (5, 50))])
def test_the_measured_share_follows_the_weight(start: Start, weight: int) -> None:
    """Five standard deviations of a binomial: one false alarm in a million."""
    world = start(route(cluster="v1"))
    ask(world, Traffic(weight=weight))
    count, share = 2000, weight / 100
    assert abs(world.share("v2", count) - share) <= 5 * sqrt(share * (1 - share) / count)


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_rollback_gives_the_file_back(start: Start, suffix: str) -> None:
    """Byte for byte, in either format (JSON is YAML, too)."""
    world = start(route(cluster="v1", timeout="1s"), suffix=suffix)
    before = world.file.read_bytes()
    ask(world, Traffic(weight=30, mirror=50, match=(BETA,)))
    assert world.file.read_bytes() != before
    ask(world, Traffic())
    assert world.file.read_bytes() == before
    assert world.share("v1", 50) == 1


def test_a_header_match_takes_only_its_users_to_the_canary(start: Start) -> None:
    """With any weight; and after it is taken back, no one."""
    world = start(route(cluster="v1"))
    ask(world, Traffic(match=(BETA, PREVIEW)))
    assert world.share("v2", 100, x_user_group="beta") == 1
    assert world.share("v2", 100, "/?preview=yes") == 1
    assert world.share("v2", 100, "/?preview=no") == 0
    assert world.share("v2", 100, x_user_group="alpha") == 0
    ask(world, Traffic())
    assert world.share("v2", 100, x_user_group="beta") == 0


def test_a_mirror_copies_requests_and_answers_none_of_them(start: Start) -> None:
    """The user's own mirror policy stays, before and after."""
    own = [{"cluster": "v3"}]
    world = start(route(cluster="v1", request_mirror_policies=own))
    before = world.file.read_bytes()
    ask(world, Traffic(mirror=100))
    assert world.share("v1", 100) == 1
    met = world.backends
    wait_for(lambda: met["v2"].met == met["v3"].met == 100, "the copies to arrive")
    ask(world, Traffic())
    assert world.share("v1", 10) == 1
    wait_for(lambda: met["v3"].met == 110, "the user's copies to arrive")
    assert (met["v2"].met, world.file.read_bytes()) == (100, before)


def test_a_third_cluster_keeps_its_share(start: Start) -> None:
    """Small totals are scaled for the time of the rollout; a third of the requests stays a third."""
    world = start(route(**weighted(v1=2, v3=1)))
    seen = ask(world, Traffic(weight=5))
    assert seen.shares["v3"] == pytest.approx(100 / 3)
    count = 3000
    assert abs(world.share("v3", count) - 1 / 3) <= 5 * sqrt(2 / 9 / count)
    ask(world, Traffic(weight=100))
    action = json.loads(world.file.read_text())["resources"][0]["virtual_hosts"][0]["routes"][0]["route"]
    assert action == weighted(v2=2, v3=1)


def test_routes_for_single_users_are_left_alone_and_listed(start: Start) -> None:
    """They reach the canary without us."""
    testers: dict[str, Any] = {"name": "testers", **route(cluster="v2")}
    testers["match"]["headers"] = [{"name": "x-tester", "present_match": True}]
    world = start(testers, route(cluster="v1"))
    assert ask(world, Traffic(weight=10)).unmoved == (Unmoved(route="testers", version="v2"),)
    ask(world, Traffic())
    assert world.share("v2", 20, x_tester="1") == 1


def test_only_named_routes_move(start: Start) -> None:
    """`routes` restricts; what it leaves out and reaches the canary is listed."""
    world = start(route("/a", "a", cluster="v1"), route("/b", "b", cluster="v1"), route("/c", "c", cluster="v2"))
    world.router = world.routed("a")
    assert ask(world, Traffic(weight=100)).unmoved == (
        Unmoved(route="b", version="v1"),
        Unmoved(route="c", version="v2"),
    )
    assert (world.share("v2", 20, "/a"), world.share("v2", 20, "/b")) == (1, 0)


def test_routes_that_disagree_are_described(start: Start) -> None:
    """No single state stands for them; writing one makes them agree."""
    world = start(route("/a", "a", **weighted(v1=9, v2=1)), route("/", "rest", cluster="v1"))
    assert (world.seen().traffic, world.seen().described) == (None, "a: 10% to v2; rest: 0% to v2")
    ask(world, Traffic(weight=20))


def test_what_serves_is_shown_before_the_stable_version_is_known(start: Start) -> None:
    """At adoption only the canary's name is known."""
    world = start(route(**weighted(v1=100, v2=0)))
    seen = world.seen(None)
    assert (seen.shares, seen.traffic, seen.destinations) == (
        {"v1": 100, "v2": 0},
        None,
        {"v1", "v2", "v3", "dead", "empty"},
    )
    assert world.seen(None, "v1").traffic == Traffic(weight=100)


def test_a_state_that_is_there_is_not_written_again(start: Start) -> None:
    """Envoy isn't made to read anything."""
    world = start(route(cluster="v1"))
    ask(world, Traffic(weight=10))
    before = world.file.stat().st_ino
    world.router.write("v1", "v2", Traffic(weight=10), world.seen().token)
    assert world.file.stat().st_ino == before


def test_a_foreign_edit_is_a_conflict(start: Start) -> None:
    """Not overwritten blindly; without a token (nothing could be read) a write goes by what is there now."""
    world = start(route(cluster="v1"))
    token = world.seen().token
    world.put(response([route(cluster="v1", timeout="3s")]))
    with pytest.raises(Conflict, match="changed by another client"):
        world.router.write("v1", "v2", Traffic(weight=10), token)
    world.router.write("v1", "v2", Traffic(weight=10), None)
    assert '"3s"' in world.file.read_text()


BAD = {
    "a file cut short": '{"resources": [',
    "an unknown field": json.dumps(response([route(cluster="v1", no_such_field=1)])),
    "a type mismatch": json.dumps(response([route(**weighted(v1="many"))])),  # type: ignore[arg-type]
    "a broken rule": json.dumps(response([{"match": {"prefix": "/"}, "route": {}}])),
    "all weights zero": json.dumps(response([route(**weighted(v1=0, v2=0))])),
    "an unknown cluster": json.dumps(response([route(cluster="nowhere")], validate_clusters=True)),
}


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in BAD.items()])
def test_a_refused_file_is_reported_in_envoys_words(start: Start, content: str) -> None:
    """What was loaded keeps serving and is what is read; a later good file heals it; a new process sees the same."""
    world = start(route(**weighted(v1=100, v2=0)))
    ask(world, Traffic(weight=100))
    world.put(content)
    words = wait_for(lambda: world.seen().rejected, "the refusal")
    assert words
    assert "refused the file" not in words  # that is what we say where Envoy's own words can't be had
    assert "\n" not in words
    assert (world.seen().traffic, world.share("v2", 20)) == (Traffic(weight=100), 1)
    world.router = world.routed()
    assert world.seen().rejected == words
    world.put(response([route(**weighted(v1=100, v2=0))]))
    wait_for(lambda: world.seen().traffic == Traffic(), "the good file")
    assert world.seen().rejected is None
    assert world.routed().read("v1", "v2") == replace(world.seen())


def test_without_a_log_a_refusal_is_seen_by_its_count(start: Start) -> None:
    """Envoy's words stand nowhere else."""
    world = start(route(cluster="v1"))
    world.router = EnvoyRouter(world.admin, world.file, RouteScope(NAME))
    assert world.seen().rejected is None
    world.put("{")
    assert wait_for(lambda: world.seen().rejected, "the refusal") == (
        "Envoy refused the file (update_failure rose from 0 to 1); its log has the words"
    )


def test_a_restart_in_mid_rollout_changes_nothing(start: Start) -> None:
    """While Envoy is down nothing is known; then it serves the file."""
    world = start(route(cluster="v1"))
    before = ask(world, Traffic(weight=40))
    world.envoy.kill()
    missing = world.seen()
    assert isinstance(missing, Missing)
    assert missing.cause is Cause.REFUSED
    world.envoy.start()
    assert world.seen() == before


def test_a_restart_with_a_bad_file_is_seen_and_healed(start: Start) -> None:
    """Envoy then serves nothing at all: a state that no one asked for, in Envoy's words."""
    world = start(route(cluster="v1"))
    ask(world, Traffic(weight=40))
    good = world.file.read_text()
    world.put("{")
    wait_for(lambda: world.seen().rejected, "a refusal in Envoy's first life")
    world.put(good)
    wait_for(lambda: world.seen().rejected is None, "the good file")
    world.envoy.kill()
    world.put("{")
    world.envoy.start()
    seen = wait_for(lambda: (now := world.seen()).rejected and now, "the refusal after the restart")
    assert (seen.traffic, seen.described) == (None, "Envoy has not loaded the route configuration shop")
    assert set(world.get(5)) == {(404, "")}
    world.put(good)
    wait_for(lambda: world.seen().traffic == Traffic(weight=40), "the good file")
    assert world.seen().rejected is None


def test_a_bad_file_can_not_be_made_to_say_anything(start: Start) -> None:
    """The write says why, and leaves the file alone."""
    world = start(route(cluster="v1"))
    world.put("{")
    with pytest.raises(Rejected, match="line 1 can't be read"):
        world.router.write("v1", "v2", Traffic(), None)
    assert world.file.read_text() == "{"


def test_a_hanging_envoy_times_out(start: Start) -> None:
    """Nothing is known, and no one waits for long."""
    world = start(route(cluster="v1"))
    admin = Admin(world.envoy.admin, timeout=0.1)
    router = EnvoyRouter(admin, world.file, RouteScope(NAME))
    world.envoy.pause()
    missing = router.read("v1", "v2")
    world.envoy.resume()
    admin.close()
    assert isinstance(missing, Missing)
    assert missing.cause is Cause.TIMED_OUT


def test_a_wrong_name_or_file_is_absent(start: Start) -> None:
    """With what there is instead."""
    world = start(route(cluster="v1"))
    assert EnvoyRouter(world.admin, world.file, RouteScope("shpo")).read("v1", "v2") == Missing(
        Cause.ABSENT, "Envoy reads no route configuration shpo from a file; it reads shop"
    )
    gone = EnvoyRouter(world.admin, Path("/nowhere/routes.yaml"), RouteScope(NAME))
    missing = gone.read("v1", "v2")
    assert isinstance(missing, Missing)
    assert missing.cause is Cause.ABSENT
    with pytest.raises(Unreachable, match="No such file"):
        gone.write("v1", "v2", Traffic(), None)


def with_prefix(**shares: int) -> Data:
    """A route whose weights Envoy's runtime may replace."""
    action = weighted(**shares)
    action["weighted_clusters"]["runtime_key_prefix"] = "shop.weights"
    return route(name="web", **action)


def test_weights_that_the_runtime_may_replace_are_refused(start: Start) -> None:
    """Promise: what is written is what is served. Neither with stable known nor without does anything move."""
    world = start(with_prefix(v1=100, v2=0))
    before = world.file.read_bytes()
    for stable in (None, "v1"):
        seen = world.seen(stable)
        assert isinstance(seen, Missing)
        assert seen.cause is Cause.INVALID
        assert "web has runtime_key_prefix: shop.weights" in seen.detail
        assert "remove runtime_key_prefix" in seen.detail
    with pytest.raises(Rejected, match="runtime_key_prefix"):
        world.router.write("v1", "v2", Traffic(weight=5), None)
    assert world.file.read_bytes() == before


def test_a_rollback_takes_the_runtime_out_of_the_weights(start: Start) -> None:
    """A prefix that another client adds in mid-rollout: the runtime serves half, and after the rollback nothing."""
    world = start(with_prefix(v1=90, v2=10), runtime={"shop.weights.v1": 50, "shop.weights.v2": 50})
    assert world.share("v2", 200) > 0.3
    world.router.write("v1", "v2", Traffic(), None)
    wait_for(lambda: world.seen().traffic == Traffic(), "Envoy to load the rollback")
    assert world.share("v2", 200) == 0


def test_weights_of_other_routes_may_be_the_runtimes(start: Start) -> None:
    """A route that is neither stable's nor the canary's is none of the rollout's business."""
    other = with_prefix(v3=100)
    other["match"] = {"prefix": "/other"}
    world = start(other, route(cluster="v1"))
    assert ask(world, Traffic(weight=30)).traffic == Traffic(weight=30)
