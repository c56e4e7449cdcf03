"""What stands beside weights while a step lasts: routes for single users, and copies of requests."""

import re
from typing import Any

import pytest

from canary.istio.managed import PREFIX
from tests.bookinfo.shares import likely, versions
from tests.bookinfo.site import Site
from tests.mesh import bookinfo
from tests.mesh.bookinfo import ISTIO, JASON, to, virtual_service
from tests.metrics.mesh import now
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

pytestmark = pytest.mark.long

GATE = [{"approval": {"count": 1}, "timeout": "1h"}]
TESTERS = [
    {"headers": {"user-group": {"exact": "beta"}, "country": {"exact": "de"}}},
    {"headers": {"cookie": {"regex": "(.*; ?)?tester=yes(;.*)?"}}},
    {"queryParams": {"preview": {"exact": "1"}}},
]
MIXED = [{"weight": 20, "mirror": 30, "match": TESTERS, "gates": GATE}]
SETTINGS: dict[str, Any] = {
    "match": [{"uri": {"prefix": "/reviews"}}],
    "rewrite": {"uri": "/api/reviews"},
    "timeout": "30s",
    "retries": {"attempts": 2, "perTryTimeout": "10s", "retryOn": "5xx"},
    "fault": {"delay": {"fixedDelay": "5ms", "percentage": {"value": 100}}},
    "corsPolicy": {"allowOrigins": [{"exact": "https://shop.example"}], "allowMethods": ["GET"]},
    "headers": {"response": {"add": {"x-by": "default"}}},
}
"""All that a route can have beside its destinations."""
BETA = {"user-group": "beta", "country": "de"}
METS = [
    ("/reviews/1", BETA, True),
    ("/reviews/1", {"cookie": "a=b; tester=yes"}, True),
    ("/reviews/1?preview=1", {}, True),
    ("/reviews/1", {}, False),
    ("/reviews/1", {"user-group": "beta", "country": "fr"}, False),
    ("/reviews/1", {"country": "de"}, False),
    ("/reviews/1", {"cookie": "tester=yesterday"}, False),
    ("/reviews/1?preview=0", {}, False),
]
"""Path, headers, and whether they are a tester's."""


@pytest.fixture
def rich(site: Site) -> Site:
    """Reviews with a route that has all that a route can have, and a plain one for other paths."""
    rest = {"name": "rest", "route": to("reviews", v1=100)}
    site.mesh.apply(
        virtual_service("reviews", JASON, {**SETTINGS, "name": "api", "route": to("reviews", v1=100)}, rest)
    )
    site.mesh.wait_loaded()
    return site


def test_only_testers_meet_the_canary(rich: Site) -> None:
    """By headers, by cookie, by query; with all that the owner has set; and nothing of it is left in the end."""
    before, since, start = rich.object(), version(rich), now()
    load = rich.mesh.load("reviews", 30, headers=BETA, path="/reviews/1")
    rich.write("v3", steps=[{"match": TESTERS, "gates": GATE}])
    run = rich.run()
    rich.until("WaitingForApproval")
    rich.mesh.wait_loaded()
    for path, headers, tester in METS:
        found = rich.mesh.ask("reviews", 10, path=path, headers=headers)
        assert found.counts == {("v3" if tester else "v1", 200): 10}, (path, headers)
        assert {one.headers["x-by"] for one in found.answers} == {"default"}
        assert {one.headers["x-mesh-path"].partition("?")[0] for one in found.answers} == {"/api/reviews/1"}
    assert rich.mesh.ask("reviews", 10, headers={**BETA, "end-user": "jason"}).counts == {("v2", 200): 10}
    ours = [one for one in rich.object()["spec"]["http"] if one["name"].startswith(PREFIX)]
    assert [settings(one) for one in ours] == [settings(SETTINGS)] * 3 + [{}] * 3
    assert rich.ask("approve").returncode == 0
    assert run.ends() == 0, run.text
    load.stop()
    for route in before["spec"]["http"][1:]:
        route["route"][0]["destination"]["subset"] = "v3"
    assert rich.object() == before
    assert len(versions(rich.mesh, since)) == 2
    assert {status for _, status in rich.mesh.measured(start).counts} == {200}, rich.mesh.measured(start).counts


@pytest.mark.parametrize("ends_by", ["evidence", "a person"])
def test_a_rollback_takes_all_away_at_once(rich: Site, ends_by: str) -> None:
    """Weight, routes for testers and copies go in one write: two states were seen, with all of it and as before."""
    before, since = rich.object(), version(rich)
    load = rich.mesh.load("reviews", 30, headers=BETA, path="/reviews/1")
    rich.write(steps=MIXED)
    run = rich.run()
    rich.until("WaitingForApproval")
    if ends_by == "a person":
        assert rich.ask("reject").returncode == 0
    else:
        rich.mesh.behave("reviews-v2", errors=0.9)
    assert run.ends() == (6 if ends_by == "a person" else 3), run.text
    load.stop()
    assert rich.object() == before
    during, after = versions(rich.mesh, since)
    assert after["spec"] == before["spec"]
    routes = during["spec"]["http"]
    assert [one["name"].startswith(PREFIX) for one in routes] == [False, *[True] * 3, False, *[True] * 3, False]
    for moved in (routes[4], routes[8]):
        assert (moved["mirror"]["subset"], moved["mirrorPercentage"]["value"]) == ("v2", 30)
        assert [(one["destination"]["subset"], one["weight"]) for one in moved["route"]] == [("v1", 80), ("v2", 20)]
    assert not any("mirror" in routes[index] for index in (1, 2, 3, 5, 6, 7))
    rich.mesh.wait_loaded()
    assert rich.mesh.ask("reviews", 20, headers=BETA, path="/reviews/1").counts == {("v1", 200): 20}


@pytest.mark.parametrize(
    "analysis",
    [
        pytest.param({"steps": [{"mirror": 50, "iterations": 50}]}, id="as a step"),
        pytest.param({"mirror": True, "mirrorWeight": 50, "iterations": 50}, id="as mirrorWeight"),
    ],
)
def test_copies_that_fail(site: Site, analysis: dict[str, Any]) -> None:
    """v2 gets its share of copies and is judged by them; users meet v1 alone, and don't suffer when v2 errs."""
    before, start = site.object(), now()
    site.write(**analysis)
    run = site.run()
    wait_for(lambda: "mirror" in site.object()["spec"]["http"][1], "the mirror", within=SLOWLY)
    site.mesh.wait_loaded()
    first = answered(site)
    wait_for(lambda: answered(site)["v1"] > first["v1"] + 100, "some answers", within=SLOWLY)
    last = answered(site)
    users, copied = (last[one] - first[one] for one in ("v1", "v2"))
    assert likely(copied, 50, users), (users, copied)
    site.mesh.behave("reviews-v2", errors=1)
    assert run.ends() == 3, run.text
    assert site.object() == before
    assert set(site.mesh.measured(start).counts) == {("v1", 200)}


def settings(route: dict[str, Any]) -> dict[str, Any]:
    """All but what ours say differently."""
    return {name: value for name, value in route.items() if name not in ("name", "match", "route")}


def answered(site: Site) -> dict[str, int]:
    """Requests that each version's pods have answered, copies among them."""
    site.mesh.pilot.settle()
    found = dict.fromkeys(bookinfo.VERSIONS, 0)
    for one in found:
        pages = "\n".join(each.page() for each in site.mesh.proxies(f"reviews-{one}"))
        found[one] = sum(int(count) for count in re.findall(r"(?m)^istio_requests_total\{.*\} (\d+)$", pages))
    return found


def version(site: Site) -> str:
    """The VirtualService's resourceVersion."""
    return str(site.mesh.kube.read(site.mesh.path(ISTIO, "VirtualService", "reviews"))["metadata"]["resourceVersion"])
