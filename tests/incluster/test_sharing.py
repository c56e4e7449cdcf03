"""Several that want the same target: Canaries among themselves, and a run of the command."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from tests.bookinfo.shares import weights_of
from tests.bookinfo.site import GATED, NAME
from tests.bookinfo.site import Site as Command
from tests.incluster.objects import holder, truth
from tests.incluster.site import Site
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane

pytestmark = pytest.mark.long


@pytest.fixture
def command(site: Site, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Command]:
    """`canary run` on the same target, from somewhere else."""
    folder = tmp_path / "ci"
    folder.mkdir()
    made = Command(site.mesh, control_plane.kubeconfig(), folder)
    yield made
    made.stop()
    answer = site.mesh.kube.request(
        "DELETE", site.mesh.path("v1", "ConfigMap"), labelSelector="canary-controller.dev/holds"
    )
    assert answer.ok, answer.text


def test_of_two_on_one_route_the_older_acts(site: Site) -> None:
    """The other says whom it waits for, and goes on by itself once that is deleted."""
    site.controller()
    site.apply("v1", "first", steps=GATED)
    site.until("AlreadyServing", "first")
    site.apply("v3", "second", steps=GATED)
    site.until("Conflict", "second")
    assert truth(site, "Stalled", "second") == ("True", "Conflict")
    assert (
        f"the Canary {site.mesh.namespace}/first moves these routes, and is older" in site.status_of("second").message
    )
    site.change("first", version="v2")
    site.until("WaitingForApproval", "first")
    assert (site.status_of("second").rollout, site.traffic) == (None, Traffic(weight=30))
    site.delete("first")
    site.until("WaitingForApproval", "second")
    assert site.state("v1", "v3").traffic == Traffic(weight=30)
    assert truth(site, "Stalled", "second")[0] == "False"


def test_two_hosts_of_one_virtual_service_move_side_by_side(site: Site) -> None:
    """Each its own routes; they share the target's Lease, and the last of them lets go of it."""
    mesh = site.mesh
    mesh.deploy("ratings-v2", {"app": "ratings", "version": "v2"})
    stars = {"name": "stars", "match": [{"uri": {"prefix": "/ratings"}}], "route": bookinfo.to("ratings", v1=100)}
    mesh.apply(
        bookinfo.destination_rule("ratings", ("v1", "v2")),
        bookinfo.virtual_service(NAME, stars, {"name": "default", "route": bookinfo.to("reviews", v1=100)}),
    )
    mesh.ready("ratings-v2")
    before = site.object()
    load = mesh.load("reviews", 30, path="/ratings")
    site.controller()
    for name in ("reviews", "ratings"):
        site.apply(name=name, spec={"host": name}, steps=GATED)
    for name in ("reviews", "ratings"):
        site.until("WaitingForApproval", name)
    assert [weights_of(route) for route in site.object()["spec"]["http"]] == [{"v1": 70, "v2": 30}] * 2
    ours = holder(site)
    assert f"@{mesh.namespace}/" in ours
    site.act("approve")
    site.until_phase("Succeeded")
    assert holder(site) == ours
    site.act("reject", "ratings")
    site.until_phase("Failed", "ratings")
    site.when(lambda: holder(site) == "", "the Lease to be released")
    load.stop()
    before["spec"]["http"][1]["route"][0]["destination"]["subset"] = "v2"
    assert site.object() == before


def test_a_canary_waits_for_a_run_of_the_command_and_starts_then(site: Site, command: Command) -> None:
    """It names who runs, and touches nothing; no one needs to tell it that the run is over."""
    command.write("v2", steps=GATED)
    run = command.run()
    command.until("WaitingForApproval")
    site.controller()
    site.apply("v3", "another", {"stable": "v1"}, steps=GATED)
    site.until("Conflict", "another")
    status = site.status_of("another")
    assert f"process {run.process.pid} on " in status.message
    assert truth(site, "Stalled", "another") == ("True", "Conflict")
    assert (status.rollout, site.traffic) == (None, Traffic(weight=30))
    assert command.ask("approve").returncode == 0
    assert run.ends() == Exit.PROMOTED
    site.until("WaitingForApproval", "another")
    rollout = site.status_of("another").rollout
    assert rollout is not None
    assert (rollout.stable_version.name, rollout.canary_version.name) == ("v2", "v3")


def test_the_command_is_refused_while_the_controller_has_the_target(site: Site, command: Command) -> None:
    """With who has it; once the rollout is over it may run."""
    site.controller()
    site.apply(steps=GATED)
    site.until("WaitingForApproval")
    command.write("v2", steps=GATED)
    refused = command.run()
    assert refused.ends() == Exit.LOCKED
    assert "the controller holds the target: " in refused.text
    assert site.traffic == Traffic(weight=30)
    site.act("approve")
    site.until_phase("Succeeded")
    site.when(lambda: holder(site) == "", "the Lease to be released")
    again = command.run()
    assert again.ends() == Exit.PROMOTED
    assert "serves everything" in again.text


def test_a_canary_that_is_torn_out_in_mid_rollout_leaves_no_lock_behind(site: Site, command: Command) -> None:
    """Someone takes its finalizer off and deletes it: then no one puts the traffic back, and the target is free."""
    site.controller()
    site.apply(steps=GATED)
    site.until("WaitingForApproval")
    assert holder(site) != ""
    site.mesh.kube.merge(site.path("Canary", NAME), {"metadata": {"finalizers": None}})
    site.delete()
    site.when(lambda: holder(site) == "", "the Lease to be released")
