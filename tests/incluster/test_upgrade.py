"""Another version of the controller, with other kinds, defaults and policies: nothing starts, nothing changes.

As an upgrade of the chart has it: the kinds come first, while the old one runs, and then the new one.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from canary.api.status import Outcome
from tests.bookinfo.site import NAME
from tests.incluster import tomorrow
from tests.incluster.objects import generation, reconciles
from tests.incluster.site import Site
from tests.incluster.test_replicas import GATED, led
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane
from tests.parts.processes import get

pytestmark = pytest.mark.long

FAILED, DONE, SERVING = AT_REST = ("failed", "done", "serving")
FAST = {"policyRef": {"name": "fast"}}


def moves(name: str) -> Mapping[str, Any]:
    """The spec of a Canary with routes of its own, and with a policy that comes with canary."""
    target = {"apiVersion": bookinfo.ISTIO, "kind": "VirtualService", "name": name}
    return {"targetRef": target, "host": "reviews", **FAST}


def rest(site: Site) -> None:
    """Canaries that are done, each in another way."""
    for name in AT_REST:
        route = {"name": "default", "route": bookinfo.to("reviews", v1=100)}
        site.mesh.apply(bookinfo.virtual_service(name, route))
    for name, verb, phase in ((FAILED, "rollback", "Failed"), (DONE, "promote", "Succeeded")):
        site.apply(name=name, spec=moves(name), steps=[{"weight": 50, "hold": "1h"}])
        site.until("CanaryReady", name)
        site.act(verb, name)
        site.until_phase(phase, name)
    site.apply("v1", name=SERVING, spec=moves(SERVING))
    site.until("AlreadyServing", SERVING)


def seen(site: Site) -> dict[str, Any]:
    """What changes with each write: versions of Canaries at rest, and how often their routes were written."""
    versions = {name: site.found(name)["metadata"]["resourceVersion"] for name in AT_REST}
    return {**versions, "routes": [generation(site, name) for name in AT_REST]}


def quiet(site: Site) -> bool:
    """Whether all is put away that is at rest, and all was reported."""
    found = [site.found(name) for name in AT_REST]
    return not any(one["metadata"].get("finalizers") or one["status"].get("outbox") for one in found)


def evaluated(site: Site) -> None:
    """Returns when the newest replica has looked at each Canary, however often it looks at the running one."""
    for number in range(3):
        wanted, labels = reconciles(site) + len(AT_REST) + 1, {"touched": str(number)}
        site.mesh.kube.merge(site.mesh.path("v1", "Service", "reviews"), {"metadata": {"labels": labels}})
        site.when(partial(has_made, site, wanted), "a reconcile of each")


def has_made(site: Site, wanted: float) -> bool:
    return reconciles(site) >= wanted


def test_an_upgrade_starts_nothing_and_leaves_what_runs_as_it_was_begun(
    site: Site, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """At rest nothing is written; plan and policy of the running rollout stay, and the next one has the new ones."""
    old = site.controller()
    rest(site)
    site.apply(spec=FAST, steps=GATED)
    site.until("WaitingForApproval")
    evaluated(site)
    site.when(lambda: quiet(site), "all to be put away")
    before, written, pinned = seen(site), generation(site), site.status.rollout
    assert pinned is not None
    folder = tomorrow.made(tmp_path / "tomorrow")
    with tomorrow.kinds(control_plane, folder):
        for name in (NAME, *AT_REST):
            tomorrow.served(control_plane, site.path("Canary", name))
        new = site.controller(environment={"PYTHONPATH": str(folder)}, program=tomorrow.PROGRAM)
        old.process.terminate()
        led(site, new)
        assert f'version="{tomorrow.VERSION}"' in get(f"http://127.0.0.1:{new.port}/metrics", timeout=30.0)[1]
        evaluated(site)
        assert (seen(site), generation(site)) == (before, written)
        running = site.status.rollout
        assert running is not None
        assert (running.number, running.step) == (pinned.number, pinned.step)
        assert (running.plan, running.policy, running.canary_version) == (
            pinned.plan,
            pinned.policy,
            pinned.canary_version,
        )
        site.act("approve")
        site.until_weight(60)
        site.until("WaitingForApproval")
        assert (site.status.rollout or running).policy == pinned.policy
        site.act("approve")
        site.until_phase("Succeeded")
        site.when(lambda: site.status.rollout is None, "its end")
        assert (site.status.rollouts, site.status.history[0].outcome) == (1, Outcome.PROMOTED)
        assert generation(site) == written + 2
        assert seen(site) == before
        site.change(version="v3")
        site.when(lambda: site.status.rollout is not None, "the next rollout")
        after = site.status.rollout
        assert after is not None
        assert after.policy.deadline != pinned.policy.deadline
        assert after.policy.unready_grace != pinned.policy.unready_grace
        site.stop()
    for name in (NAME, *AT_REST):
        tomorrow.served(control_plane, site.path("Canary", name), tomorrows=False)
    for name in AT_REST:
        site.mesh.delete("VirtualService", name)
