"""What people ask of a rollout with CanaryActions, `spec.suspend` and guards; each request counts once."""

import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from tests.bookinfo.site import GATED, NAME
from tests.incluster.objects import generation, make, mark, reported, truth, until_reported
from tests.incluster.site import Site

FREEZE = {
    "name": "freeze",
    "expression": '!("freeze" in canary.annotations)',
    "message": "changes are frozen",
}
REPLICA = (sys.executable, "-m", "tests.incluster.replica")
LONG = [{"weight": 30, "hold": "1h"}, {"weight": 50, "hold": "1h"}]
FOUR_EYES = [{"weight": 30, "gates": [{"approval": {"count": 2}, "timeout": "1h"}]}]

pytestmark = pytest.mark.long


def test_a_freeze_holds_every_raise_and_lets_it_go_when_it_is_over(site: Site) -> None:
    """A guard of a policy, turned by an annotation: before the start, and again in mid-rollout."""
    make(site, "canarypolicies", "careful", {"guards": [FREEZE]})
    site.controller()
    site.apply("v1", spec={"policyRef": {"name": "careful"}}, steps=[*GATED, {"weight": 60}])
    site.until("AlreadyServing")
    mark(site, freeze="yes")
    site.change(version="v2")
    until_reported(site, "GuardHolds", "changes are frozen")
    assert (site.status.phase, site.traffic) == ("Waiting", Traffic())
    mark(site, freeze=None)
    site.until("WaitingForApproval")
    mark(site, freeze="again")
    site.act("approve")
    site.until("GuardHolds")
    assert site.traffic == Traffic(weight=30)
    mark(site, freeze=None)
    site.until_phase("Succeeded")


def test_a_frozen_rollout_is_rolled_back_all_the_same(site: Site) -> None:
    """Nothing that waits stands before something that protects."""
    site.controller()
    site.apply(spec={"guards": [FREEZE]}, steps=[{"weight": 30, "hold": "5s"}, {"weight": 60}])
    site.until_weight(30)
    mark(site, freeze="yes")
    site.until("GuardHolds")
    site.mesh.behave("reviews-v2", errors=1.0)
    site.until_phase("Failed")
    assert (site.traffic, site.status.history[0].outcome) == (Traffic(), Outcome.ROLLED_BACK)


def test_suspend_starts_nothing_and_raises_nothing(site: Site) -> None:
    """At rest and in mid-rollout; what was suspended goes on where it stood."""
    site.controller()
    site.apply(spec={"suspend": True}, steps=[*GATED, {"weight": 60}])
    site.until("Suspended")
    assert (site.status.rollout, truth(site, "Promoted")[0]) == (None, "Unknown")
    site.change(suspend=False)
    site.until("WaitingForApproval")
    site.change(suspend=True)
    site.act("approve")
    site.until("Suspended")
    assert site.traffic == Traffic(weight=30)
    site.change(suspend=False)
    site.until_phase("Succeeded")
    assert site.status.rollouts == 1


def test_a_rollout_is_paused_resumed_skipped_and_promoted(site: Site) -> None:
    """Each acts once, and is reported with whose it was; at rest there is nothing left to ask for."""
    written = generation(site)
    site.controller()
    site.apply(steps=LONG)
    site.until_weight(30)
    site.act("pause", comment="lunch")
    site.until("Paused")
    assert "lunch" in site.status.message
    site.act("resume")
    site.act("skip")
    site.until_weight(50)
    site.act("promote")
    site.until_phase("Succeeded")
    for verb in ("Pause", "Resume", "Skip", "Promote"):
        [(kind, message)] = reported(site, f"{verb}Asked")
        assert (kind, message.partition(" asked")[0]) == ("Normal", "ada (unverified)")
    assert (generation(site) - written, len(site.status.actions_taken)) == (3, 4)
    site.act("pause")
    until_reported(site, "ActionRefused", "no rollout is running")


def test_one_approval_opens_a_gate_for_one_and_none_without_proof_a_gate_for_two(site: Site) -> None:
    """Without the admission policy anybody can write any name: it is refused with that reason."""
    site.controller()
    site.apply(steps=[*GATED, {**FOUR_EYES[0], "weight": 50}])
    site.until("WaitingForApproval")
    site.act("approve")
    site.until_weight(50)
    site.until("WaitingForApproval")
    for author in ("ada", "bob"):
        site.act("approve", author=author)
        refused = f"{author} (unverified) asked to approve: refused, this gate needs 2 people"
        until_reported(site, "ActionRefused", refused)
    rollout = site.status.rollout
    assert rollout is not None
    assert (site.traffic, rollout.approvals) == (Traffic(weight=50), ())


@pytest.mark.parametrize("verb", ["reject", "rollback"])
def test_no_goes_back_at_once_and_retry_begins_again(site: Site, verb: str) -> None:
    """The action from before acts on no later rollout."""
    before = site.object()
    site.controller()
    site.apply(steps=GATED)
    site.until("WaitingForApproval")
    site.act(verb)
    site.until_phase("Failed")
    assert (site.object(), site.status.history[0].outcome) == (before, Outcome.REJECTED)
    site.act("retry")
    site.when(lambda: site.status.rollouts == 2, "the second try")
    site.until("WaitingForApproval")
    site.act("approve", rollout=1)
    until_reported(site, "ActionRefused", "that was for rollout 1, this is rollout 2")
    site.act("approve", rollout=2)
    site.until_phase("Succeeded")


def test_requests_that_are_never_taken_are_removed(site: Site) -> None:
    """For a Canary that isn't there, or was created later; what another shard's may still take is left to that."""
    site.act("pause")
    [early] = lying(site)
    site.when(lambda: datetime.now(UTC).isoformat(timespec="seconds")[:19] > early["creationTimestamp"][:19], "later")
    site.apply("v1", steps=GATED)
    site.act("retry", name="misspelt")
    payments = ("--selector", "team=payments", "--resync", "10s")
    site.controller(*payments, program=REPLICA, environment={"KEPT": "2"})
    site.when(lambda: lying(site) == [early], "only what is for a Canary")
    site.mesh.kube.merge(site.path("Canary", NAME), {"metadata": {"labels": {"team": "payments"}}})
    site.until("AlreadyServing")
    site.when(lambda: lying(site) == [], "none left")
    assert (site.status.actions_taken, reported(site, "ActionRefused")) == ((), [])


def lying(site: Site) -> list[dict[str, Any]]:
    """Metadata of the CanaryActions that there are."""
    return [one["metadata"] for one in site.mesh.kube.read(site.path("CanaryAction"))["items"]]
