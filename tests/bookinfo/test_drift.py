"""Someone else changes the weights in the middle of a rollout, at 30%: `onDrift` says what follows."""

from canary.api.plan import Traffic
from tests.bookinfo.shares import Watched
from tests.bookinfo.site import GATED, Run, Site
from tests.mesh.bookinfo import ISTIO, JASON, to, virtual_service
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for


def edited(site: Site, on_drift: str) -> Run:
    """A rollout that waits at 30%, and finds 60%."""
    site.write(steps=GATED, onDrift=on_drift)
    run = site.run()
    site.until("WaitingForApproval")
    edit(site, 60)
    return run


def edit(site: Site, percent: int) -> None:
    """What `kubectl edit` does to the route for all."""
    rest = {"name": "default", "route": to("reviews", v1=100 - percent, v2=percent)}
    site.mesh.kube.merge(site.mesh.path(ISTIO, "VirtualService", "reviews"), virtual_service("reviews", JASON, rest))


def test_hold_keeps_the_edit_until_it_is_taken_back(site: Site) -> None:
    """Nothing is written over it, and nothing is approved meanwhile; afterwards the rollout goes on."""
    run = edited(site, "hold")
    site.until("TrafficDrift")
    assert "60%" in site.status.message
    with Watched(site.mesh) as watched:
        assert site.ask("approve").returncode == 0
        watched.at_last(v1=40, v2=60)
        assert site.traffic == Traffic(weight=60)
        edit(site, 30)
        assert run.ends() == 0, run.text
        watched.at_last(v2=100)
        assert [one.weights for one in watched.served][-1] == {"v2": 100}


def test_reassert_puts_back_what_was_meant(site: Site) -> None:
    """Within an evaluation; people's approvals then count for that."""
    run = edited(site, "reassert")
    site.until_weight(30)
    site.until("WaitingForApproval")
    assert site.ask("approve").returncode == 0
    assert run.ends() == 0, run.text


def test_rollback_gives_back_the_original(site: Site) -> None:
    """The edit is gone with the rollout, whose end says why."""
    before = site.object()
    run = edited(site, "rollback")
    assert run.ends() == 3, run.text
    assert site.status.history[0].reason == "TrafficDrift"
    assert site.object() == before
    wait_for(lambda: site.mesh.ask("reviews", 20).counts == {("v1", 200): 20}, "v1 for all", within=SLOWLY)
