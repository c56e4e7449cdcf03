"""A Canary that is deleted, at each phase: traffic goes back first, and nothing of ours is left."""

from collections.abc import Callable

import pytest

from tests.bookinfo.site import GATED
from tests.incluster.objects import generation, holder, is_gone, reconciles
from tests.incluster.site import Site

BETA = {"headers": {"x-group": {"exact": "beta"}}}
LAST = [{"weight": 60, "gates": [{"approval": {"count": 1}}]}]


def at_rest(site: Site) -> None:
    site.apply("v1", steps=GATED)
    site.until("AlreadyServing")


def waiting(site: Site) -> None:
    site.mesh.scale("reviews-v2", 0)
    site.apply(steps=GATED)
    site.until("CanaryNotReady")


def progressing(site: Site) -> None:
    site.apply(steps=[{"weight": 30, "hold": "1h"}, {"weight": 60}])
    site.until_weight(30)


def matching(site: Site) -> None:
    site.apply(steps=[{"match": [BETA], "hold": "1h"}, {"weight": 60}])
    site.when(lambda: site.traffic is not None and bool(site.traffic.match), "a route for matching requests")


def mirroring(site: Site) -> None:
    site.apply(steps=[{"mirror": 50, "hold": "1h"}, {"weight": 60}])
    site.when(lambda: site.traffic is not None and site.traffic.mirror == 50, "a mirror")


def at_a_gate(site: Site) -> None:
    site.apply(steps=[*GATED, {"weight": 60}])
    site.until("WaitingForApproval")


def at_the_last_gate(site: Site) -> None:
    site.apply(steps=LAST)
    site.until_phase("WaitingPromotion")


def promoting(site: Site) -> None:
    site.apply(stepWeight=10, maxWeight=10, stepWeightPromotion=2)
    site.until_phase("Promoting")


def rolled_back(site: Site) -> None:
    site.apply(steps=GATED, drain="4s")
    site.until("WaitingForApproval")
    site.act("reject")
    site.until_phase("Finalising")


def failed(site: Site) -> None:
    site.apply(steps=GATED)
    site.until("WaitingForApproval")
    site.act("reject")
    site.until_phase("Failed")


MOMENTS: dict[str, Callable[[Site], None]] = {
    "at rest": at_rest,
    "Waiting": waiting,
    "Progressing": progressing,
    "Progressing, with a match": matching,
    "Progressing, with a mirror": mirroring,
    "at a gate": at_a_gate,
    "WaitingPromotion": at_the_last_gate,
    "Promoting": promoting,
    "Finalising, rolled back": rolled_back,
    "Failed": failed,
}
QUICKLY = "at a gate"


@pytest.mark.parametrize(
    "moment",
    [pytest.param(one, id=name, marks=() if name == QUICKLY else pytest.mark.long) for name, one in MOMENTS.items()],
)
def test_a_canary_that_is_deleted_leaves_everything_as_it_was(site: Site, moment: Callable[[Site], None]) -> None:
    """All to the stable version, the object as its author wrote it, no Lease; then the Canary is gone."""
    before = site.object()
    site.controller()
    moment(site)
    site.delete()
    site.when(lambda: is_gone(site), "the Canary to be gone")
    assert site.object() == before
    site.when(lambda: holder(site) == "", "the Lease to be released")


@pytest.mark.long
def test_what_was_promoted_stays_when_its_canary_is_deleted_while_it_drains(site: Site) -> None:
    """The decision was made; to go back now would be a change that no one asked for."""
    before = site.object()
    site.controller()
    site.apply(steps=[{"weight": 50}], drain="4s")
    site.until_phase("Finalising")
    site.delete()
    site.when(lambda: is_gone(site), "the Canary to be gone")
    before["spec"]["http"][-1]["route"][0]["destination"]["subset"] = "v2"
    assert site.object() == before
    site.when(lambda: holder(site) == "", "the Lease to be released")


@pytest.mark.long
def test_what_is_deleted_while_there_is_no_leader_is_put_back_by_the_next_one(site: Site) -> None:
    """The finalizer keeps the object until then, and with it what has to be undone."""
    before = site.object()
    site.controller()
    at_a_gate(site)
    site.stop()
    site.delete()
    assert not is_gone(site)
    site.controller()
    site.when(lambda: is_gone(site), "the Canary to be gone")
    assert site.object() == before
    site.when(lambda: holder(site) == "", "the Lease to be released")


@pytest.mark.long
def test_nothing_is_written_at_rest(site: Site) -> None:
    """A change near the routes wakes it, and there it ends."""
    site.controller()
    at_rest(site)
    site.when(lambda: site.found()["status"]["outbox"] == [], "all to be reported")
    before, written, asked = site.found(), generation(site), reconciles(site)
    site.mesh.kube.merge(site.mesh.path("v1", "Service", "reviews"), {"metadata": {"labels": {"touched": "yes"}}})
    site.when(lambda: reconciles(site) > asked, "a reconcile")
    assert (site.found(), generation(site)) == (before, written)
