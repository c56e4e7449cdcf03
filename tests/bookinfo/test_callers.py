"""Testers that are distinguished by the labels of their pods, as a step of a rollout."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bookinfo.site import Site
from tests.mesh.bookinfo import to, virtual_service

pytestmark = pytest.mark.long
EDGE = "istio-system/public"
MATCH = {"sourceLabels": {"app": "tester", "team": "web"}}
GATE = [{"approval": {"count": 1}, "timeout": "1h"}]
SOURCES = {
    "tester": {"app": "tester", "team": "web", "version": "v1"},
    "stranger": {"app": "tester", "team": "other"},
}


@pytest.fixture
def public(site: Site) -> Iterator[Site]:
    """Reviews for the mesh and at a gateway, under a name for each; testers and a stranger beside the client."""
    routes: tuple[dict[str, Any], ...] = (
        {"name": "edge", "match": [{"uri": {"prefix": "/edge"}, "gateways": [EDGE, "mesh"]}]},
        {"name": "default"},
    )
    both = {"hosts": ["reviews", "shop.example"], "gateways": [EDGE, "mesh"]}
    site.mesh.apply(virtual_service("reviews", *({**one, "route": to("reviews", v1=100)} for one in routes), **both))
    for name, labels in SOURCES.items():
        site.mesh.source(name, labels)
    site.mesh.source("gateway", {"app": "gateway"}, namespace="istio-system", gateway=EDGE)
    site.mesh.wait_loaded()
    load = site.mesh.load("reviews", 30, source="tester")
    yield site
    load.stop()


def met(site: Site) -> dict[tuple[str, str], set[str]]:
    """The versions that each caller meets, by path."""
    callers = {**dict.fromkeys(("client", *SOURCES), "reviews"), "gateway": "shop.example"}
    return {
        (source, path): set(site.mesh.ask(host, 10, path=path, source=source).versions)
        for source, host in callers.items()
        for path in ("/", "/edge")
    }


@pytest.mark.parametrize("answer", ["approve", "reject"])
def test_only_pods_with_the_labels_meet_the_canary(public: Site, answer: str) -> None:
    """All of them; no one else, and no user of a gateway, where Istio would ignore the labels."""
    before = public.object()
    public.write(steps=[{"match": [MATCH], "gates": GATE}, {"weight": 100}])
    run = public.run()
    public.until("WaitingForApproval")
    public.mesh.wait_loaded()
    assert met(public) == {
        (source, path): {"v2" if source == "tester" else "v1"}
        for source in ("client", *SOURCES, "gateway")
        for path in ("/", "/edge")
    }
    ours = [one["match"] for one in public.object()["spec"]["http"] if "sourceLabels" in str(one.get("match"))]
    assert ours == [[{"uri": {"prefix": "/edge"}, **MATCH}], [MATCH]]
    assert public.ask(answer).returncode == 0
    assert run.ends() == (0 if answer == "approve" else 6), run.text
    if answer == "approve":
        for route in before["spec"]["http"]:
            route["route"][0]["destination"]["subset"] = "v2"
    assert public.object() == before
