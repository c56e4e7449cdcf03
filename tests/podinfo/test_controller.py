"""Whole rollouts of podinfo by `canary controller`: what users got, and what the objects say."""

import re
from collections import Counter
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from tests.incluster.test_costs import resync, sent
from tests.mesh import bookinfo
from tests.podinfo.controlled import HOLDS, ControlledSite
from tests.podinfo.site import NAME, PRIMARY

pytestmark = pytest.mark.cluster

STRICT = {"progressDeadlineSeconds": 3}
LENIENT = {"progressDeadlineSeconds": 600}
BETA = {"headers": {"x-group": {"exact": "beta"}}}
COOKIE = {"headers": {"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}}


@pytest.mark.basic
def test_a_canary_is_initialised_and_a_push_promoted(bare: ControlledSite) -> None:
    """No user meets an error, from the first object to the last."""
    bare.controller()
    bare.settle()
    assert bare.status.phase == "Initialized"
    bare.podinfo.at_rest("1")
    image = bare.push()
    bare.ends("Succeeded", 1)
    bare.podinfo.at_rest(image.removeprefix("podinfo:"))
    assert bare.mesh.measured(bare.podinfo.since).failed == 0
    assert {"podinfo:1", image} <= bare.images(bare.podinfo.since)


def test_a_bad_build_is_rolled_back(resting: ControlledSite) -> None:
    """Only those fail that it answered; the primary and its image stay."""
    before, rollouts = resting.image, resting.status.rollouts
    image = resting.push(errors=1.0)
    resting.ends("Failed", rollouts + 1)
    assert (resting.traffic, resting.image, resting.podinfo.replicas()) == (Traffic(), before, 0)
    measured = resting.mesh.measured(resting.since)
    assert measured.failed == measured.of(image=image, workload=NAME).failed > 0


def test_a_push_in_mid_rollout_starts_again(resting: ControlledSite) -> None:
    """Traffic goes to the primary in the reconcile that sees it, and only the second push is promoted."""
    resting.settle(steps=HOLDS)
    rollouts = resting.status.rollouts
    first = resting.push()
    resting.until_weight(50)
    resting.apply()
    second = resting.push()
    resting.when(lambda: Outcome.SUPERSEDED in [one.outcome for one in resting.status.history], "the first one's end")
    assert resting.traffic == Traffic()
    resting.ends("Succeeded", rollouts + 2)
    assert (resting.image, resting.podinfo.replicas(), resting.failed) == (second, 0, 0)
    assert resting.met(image=first, workload=PRIMARY) == 0
    assert resting.status.history[1].outcome == Outcome.SUPERSEDED


def test_a_push_in_mid_promotion_waits(resting: ControlledSite) -> None:
    """The primary gets what was analysed, and after that the second push has a rollout of its own."""
    rollouts = resting.status.rollouts
    first = resting.push(ready_after="3s")
    resting.when(lambda: resting.image == first, "the copy to the primary")
    second = resting.push()
    resting.when(lambda: resting.traffic == Traffic(), "all traffic to go to the primary")
    assert resting.status.rollouts == rollouts + 1
    resting.when(lambda: resting.status.rollouts == rollouts + 2, "the second rollout")
    assert (resting.image, resting.status.history[0].outcome) == (first, Outcome.PROMOTED)
    resting.ends("Succeeded", rollouts + 2)
    assert (resting.image, resting.failed) == (second, 0)


def test_an_image_that_never_gets_ready_moves_nothing(resting: ControlledSite) -> None:
    """The rollout gives up by itself: Kubernetes does not, where a Deployment comes from zero. The primary stays."""
    resting.settle(spec=STRICT)
    before, rollouts, routes = resting.image, resting.status.rollouts, resting.object()["spec"]
    image = resting.push("-unready")
    resting.ends("Failed", rollouts + 1)
    assert resting.status.history[0].reason == "CanaryNeverReady"
    assert (resting.object()["spec"], resting.image, resting.podinfo.replicas()) == (routes, before, 0)
    assert (resting.met(image=image), resting.failed) == (0, 0)


def test_a_primary_that_never_gets_ready_gets_its_template_again(resting: ControlledSite) -> None:
    """The template was good in the target; no one meets an error meanwhile."""
    before, rollouts = resting.image, resting.status.rollouts
    resting.settle(steps=[{"weight": 50, "gates": [{"approval": {"count": 1}, "timeout": "1h"}]}])
    image = resting.push(ready_after="6s")
    resting.until("WaitingForApproval")
    resting.merge(STRICT)
    resting.act("approve")
    resting.when(lambda: resting.image == image, "the copy")
    resting.ends("Failed", rollouts + 1)
    assert resting.status.history[0].reason == "PromotionFailed"
    assert (resting.image, resting.podinfo.replicas(), resting.failed) == (before, 0, 0)
    resting.merge(LENIENT)


def test_skip_analysis(resting: ControlledSite) -> None:
    """A good image is promoted without a user on the canary; one that never gets ready leaves the primary alone."""
    resting.settle(spec={"skipAnalysis": True, **STRICT})
    rollouts = resting.status.rollouts
    good = resting.push(ready_after="1s")
    resting.ends("Succeeded", rollouts + 1)
    assert (resting.image, resting.podinfo.replicas(), resting.met(workload=NAME)) == (good, 0, 0)
    resting.push("-unready")
    resting.ends("Failed", rollouts + 2)
    assert (resting.image, resting.podinfo.replicas(), resting.failed) == (good, 0, 0)


def test_back_to_the_primary_in_steps(resting: ControlledSite) -> None:
    """`stepWeightPromotion` takes the canary's traffic back step by step once the primary is ready."""
    resting.settle(steps=None, stepWeight=50, maxWeight=50, stepWeightPromotion=20, interval="1s")
    rollouts, image = resting.status.rollouts, resting.push()
    resting.ends("Succeeded", rollouts + 1)
    assert re.findall(r"podinfo-primary is ready; back to (\d+)%", resting.replicas[-1].text)[-3:] == [
        "30",
        "10",
        "0",
    ]
    assert (resting.image, resting.podinfo.replicas(), resting.failed) == (image, 0, 0)


def test_blue_green(resting: ControlledSite) -> None:
    """Only testers meet the canary before the last evaluation; then all do, while the primary gets the image."""
    resting.settle(steps=None, iterations=2)
    rollouts, image = resting.status.rollouts, resting.push()
    resting.until_phase("Progressing")
    resting.mesh.wait_loaded()
    with resting.users("podinfo-canary"):
        resting.when(lambda: resting.image == image, "the copy to the primary")
    resting.ends("Succeeded", rollouts + 1)
    assert (resting.image, resting.podinfo.replicas(), resting.failed) == (image, 0, 0)


@pytest.mark.parametrize(
    ("match", "mine", "theirs"),
    [
        pytest.param(BETA, {"x-group": "beta"}, {"x-group": "alpha"}, id="header"),
        pytest.param(COOKIE, {"cookie": "canary=always; a=b"}, {"cookie": "canary=never"}, id="cookie"),
    ],
)
def test_some_users_only(
    resting: ControlledSite, match: dict[str, Any], mine: dict[str, str], theirs: dict[str, str]
) -> None:
    """A/B: those who match meet the canary, and no one else."""
    resting.settle(steps=None, iterations=2, match=[match])
    rollouts = resting.status.rollouts
    with resting.users(headers=mine):
        image = resting.push()
        resting.when(lambda: len(resting.object()["spec"]["http"]) == 2, "the route of those who match")
        resting.mesh.wait_loaded()
        assert resting.mesh.ask(NAME, 10, headers=mine).of(image=image).total == 10
        assert resting.mesh.ask(NAME, 10, headers=theirs).of(image=image).total == 0
        resting.ends("Succeeded", rollouts + 1)
    assert (resting.image, resting.traffic, resting.failed) == (image, Traffic(), 0)
    assert len(resting.object()["spec"]["http"]) == 1


def test_users_stay_with_the_version_that_they_met(resting: ControlledSite) -> None:
    """Session affinity: each cookie leads to its version every time, and both are taken back at the end."""
    resting.settle(steps=HOLDS, sessionAffinity={"cookieName": "seen", "primaryCookieName": "old", "path": "/"})
    rollouts, before = resting.status.rollouts, resting.image
    image = resting.push()
    resting.when(lambda: (resting.traffic or Traffic()).weight == 50, "weight 50")
    resting.mesh.wait_loaded()
    given = {one.image: one.headers["set-cookie"] for one in resting.mesh.ask(NAME, 40).answers}
    assert given.keys() == {before, image}
    assert given[image].startswith("seen=")
    assert given[image].endswith("; Max-Age=86400; Path=/")
    assert given[before].startswith("old=")
    assert given[before].endswith("; Max-Age=2; Path=/")
    sent = {met: text.partition(";")[0] for met, text in given.items()}
    for met, cookie in sent.items():
        again = resting.mesh.ask(NAME, 5, headers={"cookie": f"a=b; {cookie}"}).answers
        assert [one.image for one in again] == [met] * 5
    resting.act("promote")
    resting.ends("Succeeded", rollouts + 1)
    resting.mesh.wait_loaded()
    for cookie in sent.values():
        (answer,) = resting.mesh.ask(NAME, headers={"cookie": cookie}).answers
        assert (answer.workload, answer.headers["set-cookie"]) == (PRIMARY, f"{cookie}; Max-Age=-1; Path=/")
    assert "set-cookie" not in resting.mesh.ask(NAME).answers[0].headers
    assert (resting.traffic, resting.failed) == (Traffic(), 0)


def test_copies_of_requests(resting: ControlledSite) -> None:
    """A mirrored canary is judged by copies; no one gets its answers before the first weight."""
    resting.settle(steps=None, stepWeights=[50], mirror=True)
    rollouts = resting.status.rollouts
    image = resting.push()
    resting.when(lambda: "mirror" in resting.object()["spec"]["http"][-1], "the mirror")
    resting.ends("Succeeded", rollouts + 1)
    assert (resting.image, resting.podinfo.replicas(), resting.failed) == (image, 0, 0)
    assert "mirror" not in resting.object()["spec"]["http"][-1]


def test_what_people_do_at_rest(resting: ControlledSite) -> None:
    """The target scaled by hand goes back to zero; a primary that is edited or deleted is as promoted again."""
    before = resting.image
    resting.scale(1)
    resting.when(lambda: resting.podinfo.replicas() == 0, "the target to be scaled to zero")
    edit(resting)
    resting.when(lambda: resting.image == before, "the promoted template to be back")
    resting.mesh.ready(PRIMARY)
    assert resting.failed == 0
    resting.mesh.delete("Deployment", PRIMARY)
    resting.when(lambda: resting.there(PRIMARY), "the primary")
    resting.mesh.ready(PRIMARY)
    resting.when(lambda: resting.resting, "rest")
    assert (resting.image, resting.podinfo.replicas(PRIMARY)) == (before, 2)


def edit(site: ControlledSite) -> None:
    """The primary's image, by hand."""
    site.merge({"template": {"spec": {"containers": [{"name": "main", "image": "podinfo:edited"}]}}}, PRIMARY)


def test_the_target_scaled_to_zero_in_mid_rollout(resting: ControlledSite) -> None:
    """A canary without pods is lost: rolled back at once, and not tried again."""
    resting.settle(steps=HOLDS)
    before, rollouts = resting.image, resting.status.rollouts
    resting.push()
    resting.until_weight(50)
    resting.scale(0)
    resting.ends("Failed", rollouts + 1)
    assert (resting.image, resting.traffic, resting.podinfo.replicas()) == (before, Traffic(), 0)
    assert resting.status.history[0].reason == "CanaryUnavailable"


def test_the_primary_edited_or_deleted_in_mid_rollout(resting: ControlledSite) -> None:
    """What the canary is compared with is the promoted template: it is put back, and the rollout goes on."""
    resting.settle(steps=HOLDS)
    before, rollouts = resting.image, resting.status.rollouts
    resting.push()
    resting.until_weight(50)
    edit(resting)
    resting.when(lambda: resting.image == before, "the promoted template to be back")
    resting.mesh.ready(PRIMARY)
    assert (resting.traffic, resting.failed) == (Traffic(weight=50), 0)
    resting.mesh.delete("Deployment", PRIMARY)
    resting.when(lambda: resting.there(PRIMARY), "the primary")
    resting.mesh.ready(PRIMARY)
    assert (resting.image, resting.podinfo.replicas(PRIMARY)) == (before, 2)
    resting.act("rollback")
    resting.ends("Failed", rollouts + 1)
    assert (resting.image, resting.traffic) == (before, Traffic())


def test_the_target_deleted_at_rest(resting: ControlledSite) -> None:
    """The primary serves, and the condition says what is missing."""
    before = resting.image
    resting.mesh.delete("Deployment", NAME)
    resting.until("RevisionUnknown")
    assert resting.condition("Stalled")[0] == "True"
    assert (resting.image, resting.traffic, resting.failed) == (before, Traffic(), 0)
    assert resting.serving() == {before}


def test_the_target_deleted_in_mid_rollout(resting: ControlledSite) -> None:
    """The rollout ends, the primary serves, and the condition says why."""
    resting.settle(steps=HOLDS)
    before, rollouts = resting.image, resting.status.rollouts
    resting.push()
    resting.until_weight(50)
    resting.mesh.delete("Deployment", NAME)
    resting.when(lambda: resting.status.rollouts == rollouts + 1 and resting.status.rollout is None, "its end")
    assert (resting.image, resting.traffic) == (before, Traffic())
    resting.until("RevisionUnknown")
    assert resting.condition("Stalled")[0] == "True"
    assert resting.serving() == {before}


def test_an_edit_of_the_routes_in_mid_rollout_is_drift(resting: ControlledSite) -> None:
    """It is reported, not overwritten; set back, the rollout goes on."""
    resting.settle(steps=HOLDS)
    resting.push()
    resting.until_weight(50)
    found = resting.object()["spec"]
    weigh(resting, 70, 30)
    resting.until("TrafficDrift")
    assert resting.traffic == Traffic(weight=30)
    weigh(resting, 50, 50)
    resting.when(lambda: resting.status.reason != "TrafficDrift", "the rollout to go on")
    assert resting.object()["spec"] == found
    assert resting.failed == 0
    resting.act("rollback")
    resting.until_phase("Failed")


def test_the_routes_deleted_in_mid_rollout_are_made_again(resting: ControlledSite) -> None:
    """The Service of clients leads to the primary meanwhile; the rollout starts again."""
    resting.settle(steps=HOLDS)
    rollouts = resting.status.rollouts
    image = resting.push()
    resting.until_weight(50)
    resting.apply()
    resting.mesh.delete("VirtualService", NAME)
    resting.ends("Succeeded", rollouts + 2)
    assert (resting.image, resting.traffic, resting.failed) == (image, Traffic(), 0), resting.replicas[-1].text


def weigh(site: ControlledSite, *weights: int) -> None:
    """By hand."""
    http = site.object()["spec"]["http"]
    for entry, weight in zip(http[0]["route"], weights, strict=True):
        entry["weight"] = weight
    site.mesh.kube.merge(site.mesh.path(bookinfo.ISTIO, "VirtualService", NAME), {"spec": {"http": http}})


def test_an_existing_virtual_service_is_adopted(bare: ControlledSite) -> None:
    """Routes to the Service go to primary and canary; all else of it stays, through a whole rollout."""
    special = {
        "name": "special",
        "match": [{"uri": {"prefix": "/special"}}],
        "headers": {"request": {"set": {"x-special": "yes"}}},
        "route": [{"destination": {"host": NAME}}],
    }
    fault = {"name": "gone", "match": [{"uri": {"prefix": "/gone"}}], "directResponse": {"status": 410}}
    rest = {"name": "rest", "timeout": "15s", "route": [{"destination": {"host": NAME}}]}
    more = {
        "exportTo": ["."],
        "tls": [{"match": [{"port": 443, "sniHosts": [NAME]}], "route": [{"destination": {"host": "other"}}]}],
    }
    before = bookinfo.virtual_service(NAME, special, fault, rest, **more)
    before["metadata"] |= {"labels": {"team": "shop"}, "annotations": {"note": "ours"}}
    bare.mesh.apply(before)
    bare.mesh.wait_loaded()
    bare.controller()
    bare.settle()
    image = bare.push()
    bare.ends("Succeeded", 1)
    found = bare.object()
    pair = [
        {"destination": {"host": PRIMARY}, "weight": 100},
        {"destination": {"host": "podinfo-canary"}, "weight": 0},
    ]
    assert found["spec"] == {
        **before["spec"],
        "http": [{**special, "route": pair}, fault, {**rest, "route": pair}],
    }
    assert found["metadata"]["labels"] == {"team": "shop"}
    assert found["metadata"]["annotations"]["note"] == "ours"
    assert (bare.image, bare.mesh.measured(bare.podinfo.since).failed) == (image, 0)


def test_what_is_asked_of_the_api_server(bare: ControlledSite) -> None:
    """Provisioning, copy and scale are written once each, a step is two writes, a Canary at rest costs nothing."""
    replica = bare.controller("--resync", "10s")
    bare.settle(steps=[{"weight": 20}, {"weight": 40}, {"weight": 60}])
    bare.until("AlreadyServing")
    bare.when(lambda: resync(bare, replica) == Counter(), "a resync that asks for nothing")
    adopted = sent(replica)
    wrote = {what: count for what, count in adopted.items() if what.split()[0] in ("create", "patch", "delete")}
    status = wrote.pop("patch Canary")
    assert wrote == {
        "patch Deployment": 4,  # the primary, its replicas, its digest; the target to zero
        "patch Service": 3,
        "patch DestinationRule": 2,
        "create VirtualService": 1,
        "create ControllerRevision": 1,
    }
    assert status <= 12  # each stage says once what it waits for
    image = bare.push(ready_after="1s")
    bare.until_weight(20)
    before = sent(replica)
    bare.until_weight(40)
    step = sent(replica) - before
    rest = {what: count for what, count in step.items() if what != "patch Canary"}
    assert rest == {"patch VirtualService": 1, "get Deployment": 1}
    assert 1 <= step["patch Canary"] <= 2
    bare.ends("Succeeded", 1)
    whole = sent(replica) - adopted
    assert bare.image == image
    assert (whole["patch VirtualService"], whole["patch Deployment"]) == (4, 4)  # up, copy and digest, down
    assert whole["create ControllerRevision"] == 1
