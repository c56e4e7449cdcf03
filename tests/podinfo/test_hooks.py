"""Webhooks of podinfo's rollouts, called by a real controller and by `canary run`."""

import base64
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from canary.api.plan import Traffic
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import PodinfoSite
from tests.webhooks.server import HookServer, Reply, serve

pytestmark = pytest.mark.cluster


@pytest.fixture
def server() -> Iterator[HookServer]:
    with serve() as found:
        yield found


def hook(server: HookServer, type_: str, **more: Any) -> dict[str, Any]:
    """A hook at a path of its type."""
    return {"name": type_, "type": type_, "url": f"{server.url}/{type_}", **more}


def test_a_gate_is_asked_across_a_kill_and_checks_pass(resting: ControlledSite, server: HookServer) -> None:
    """The Deployment isn't scaled up before the gate of the start is open; the answer is given to another process."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "type": "Opaque"}
    resting.mesh.apply({**secret, "data": {"token": base64.b64encode(b"s3cret").decode()}})
    types = ("pre-rollout", "rollout", "rollback", "confirm-promotion", "post-rollout", "event")
    webhooks = [hook(server, "confirm-rollout", secretRef={"name": "hook"}), *(hook(server, one) for one in types)]
    server.replies |= {"/confirm-rollout": Reply(403, b"not yet"), "/rollback": Reply(403)}
    resting.settle(webhooks=webhooks)
    rollouts = resting.status.rollouts
    image = resting.push()
    resting.until("GateClosed")
    assert "confirm-rollout confirm-rollout is closed: HTTP 403" in resting.status.message
    assert (resting.podinfo.replicas(), server.on("/pre-rollout")) == (0, [])
    resting.replicas[-1].process.kill()
    before = len(server.on("/confirm-rollout"))
    resting.controller()
    resting.when(lambda: len(server.on("/confirm-rollout")) > before, "the next process to ask")
    server.replies["/confirm-rollout"] = Reply()
    resting.ends("Succeeded", rollouts + 1)
    assert (resting.image, resting.failed) == (image, 0)
    assert {one.headers["Authorization"] for one in server.on("/confirm-rollout")} == {"Bearer s3cret"}
    assert {one.payload["weight"] for one in server.on("/pre-rollout")} == {0}
    posted = [one.payload for one in server.on("/rollout")]
    assert {one["weight"] for one in posted} == {20, 50}
    assert posted[0]["images"] == [image]
    assert {one.payload["weight"] for one in server.on("/confirm-promotion")} == {50}
    assert {20, 50} <= {one.payload["weight"] for one in server.on("/rollback")}
    resting.when(lambda: not resting.status.outbox, "all messages to be delivered")
    assert [one.payload["phase"] for one in server.on("/post-rollout")] == ["Succeeded"]
    assert {"Started", "GateClosed", "StepPassed", "Promoted"} <= {
        one.payload["reason"] for one in server.on("/event")
    }


def test_a_hook_that_hangs_delays_no_rollback(resting: ControlledSite, server: HookServer) -> None:
    """Of the same Canary: a bad build is rolled back while the check and the request to roll back hang."""
    release = threading.Event()

    def hang() -> Reply:
        release.wait(60)
        return Reply()

    server.replies |= {"/rollout": hang, "/rollback": hang}
    resting.settle(webhooks=[hook(server, "rollout", timeout="1h"), hook(server, "rollback", timeout="1h")])
    rollouts = resting.status.rollouts
    resting.push(errors=1.0)
    try:
        resting.ends("Failed", rollouts + 1)
    finally:
        release.set()
    assert (resting.status.history[0].reason, resting.traffic) == ("SuccessRateBelowMinimum", Traffic())
    assert server.on("/rollout")


def test_a_run_is_rolled_back_by_a_hook(site: PodinfoSite, server: HookServer) -> None:
    """At once, though the steps would last for an hour; the exit code says so."""
    server.replies["/rollback"] = Reply(403)
    written: dict[str, Any] = {"steps": [{"weight": 50, "hold": "1h"}], "webhooks": [hook(server, "rollback")]}
    site.provisioned(**written)
    site.push("2", replicas=None)
    run = site.run()
    site.until_weight(50)
    server.replies["/rollback"] = Reply(200)
    assert run.ends() == 3, run.text
    assert "the hook rollback rollback asked for a rollback" in run.text
    assert site.traffic == Traffic()
