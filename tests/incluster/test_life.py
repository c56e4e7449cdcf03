"""A Canary's life in the cluster, from `kubectl apply` to its end: what starts a rollout, and what doesn't."""

from collections.abc import Iterator
from itertools import groupby

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from tests.bookinfo.shares import versions, weights_of
from tests.bookinfo.site import GATED, NAME, STEPS
from tests.incluster.objects import build, generation, mark, push, reported, truth, until_reported
from tests.incluster.site import Site
from tests.mesh import bookinfo

HALF = [{"weight": 50}]


def test_a_version_that_is_good_is_promoted(site: Site) -> None:
    """`kubectl apply` of `version: v2` starts it; only weights of the VirtualService differ afterwards."""
    before = site.object()
    site.controller()
    site.apply("v1", steps=STEPS)
    site.until("AlreadyServing")
    site.change(version="v2")
    site.until_phase("Succeeded")
    status = site.status
    assert (status.reason, status.stable and status.stable.name, status.rollout) == ("Promoted", "v2", None)
    assert site.traffic == Traffic(weight=100)
    site.when(lambda: "finalizers" not in site.found()["metadata"], "the finalizer to be taken off")
    assert before["metadata"] == site.object()["metadata"]


@pytest.fixture
def erring(site: Site) -> Iterator[Site]:
    """The build of v2 that is there errs; others are well."""
    site.mesh.behave("reviews-v2", errors=1.0, image="reviews:v2")
    yield site
    site.mesh.behave("reviews-v2", image="reviews:v2")


@pytest.mark.long
def test_what_failed_is_not_tried_again_until_someone_asks_or_brings_another_build(erring: Site) -> None:
    """No loop of failing rollouts, no matter what wakes it; `retry` tries once more, and a push begins again."""
    erring.controller()
    erring.apply(steps=HALF)
    erring.until_phase("Failed")
    mark(erring, evaluated="at")
    erring.when(lambda: erring.status.message.endswith("another revision"), "it to be looked at again")
    assert (erring.status.rollouts, truth(erring, "Promoted")) == (1, ("False", "RolledBack"))
    assert (truth(erring, "Stalled")[0], truth(erring, "Ready")[0]) == ("True", "False")
    erring.act("retry")
    erring.when(lambda: len(erring.status.history) == 2, "the second try to end")
    assert erring.status.phase == "Failed"
    push(erring, "v2", "v2b")
    erring.until_phase("Succeeded")
    status = erring.status
    assert (status.rollouts, status.history[0].canary.revision) == (3, build(erring))
    assert [one.outcome for one in status.history] == [Outcome.PROMOTED, *[Outcome.ROLLED_BACK] * 2]
    assert status.history[1].canary == status.history[2].canary
    assert truth(erring, "Promoted") == ("True", "Promoted")


@pytest.mark.long
def test_a_push_in_mid_rollout_goes_back_to_0_and_begins_again(site: Site) -> None:
    """No one meets a build that wasn't judged; `version` set back ends it, and the routes are what they were."""
    before = site.object()
    since = site.mesh.kube.read(site.mesh.path(bookinfo.ISTIO, "VirtualService", NAME))["metadata"]["resourceVersion"]
    site.controller()
    site.apply(steps=GATED)
    site.until("WaitingForApproval")
    first = build(site)
    push(site, "v2", "v2b")
    site.when(lambda: site.status.rollouts == 2, "the next rollout")
    site.until("WaitingForApproval")
    rollout, [superseded] = site.status.rollout, site.status.history
    assert rollout is not None
    assert rollout.canary_version.revision == build(site) != first
    assert (superseded.outcome, superseded.canary.revision) == (Outcome.SUPERSEDED, first)
    site.change(version="v1")
    site.until_phase("Succeeded")
    found = [weights_of(one["spec"]["http"][-1]).get("v2", 0) for one in versions(site.mesh, since)]
    assert [weight for weight, _ in groupby(found)] == [30, 0, 30, 0]
    assert site.object() == before
    assert (site.status.history[0].outcome, site.status.rollout) == (Outcome.RETURNED, None)


@pytest.mark.long
def test_a_push_to_what_serves_everything_is_reported(site: Site) -> None:
    """Users get it at once, unjudged; nothing moves for that, and no message says that all is well."""
    site.controller()
    site.apply(steps=HALF)
    site.until_phase("Succeeded")
    first, written = build(site), generation(site)
    push(site, "v2", "v2b")
    site.until("UnanalysedRevision")
    until_reported(site, "UnanalysedRevision", f"v2 ({first}) was")
    assert truth(site, "Promoted") == ("Unknown", "UnanalysedRevision")
    assert [kind for kind, _ in reported(site, "UnanalysedRevision")] == ["Warning"]
    assert (site.status.rollouts, generation(site)) == (1, written)
    push(site, "v2", "v2")
    site.until("AlreadyServing")
    assert truth(site, "Promoted")[0] == "True"


@pytest.mark.long
def test_a_push_to_stable_in_mid_rollout_begins_the_evidence_again(site: Site) -> None:
    """It compared with another build; nothing goes back for that, and what is judged again is promoted."""
    site.controller()
    site.apply(steps=GATED)
    site.until("WaitingForApproval")
    push(site, "v1", "v1b")
    until_reported(site, "StableChanged", "evidence starts again")
    rollout = site.status.rollout
    assert rollout is not None
    assert rollout.stable_version.revision == build(site, "v1")
    assert site.traffic == Traffic(weight=30)
    site.act("approve")
    site.until_phase("Succeeded")
    assert (site.status.rollouts, site.traffic) == (1, Traffic(weight=100))
