"""Earlier revisions of podinfo are listed and rolled out again, by users who have nothing but a kubeconfig."""

import json
from collections.abc import Iterator

import pytest

from canary.api.status import Outcome
from tests.incluster.test_commands import Commands
from tests.incluster.test_reported import ON, TOKEN, report
from tests.parts.cluster import ControlPlane
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import NAME, PodinfoSite
from tests.podinfo.test_configs import edit, push, used

pytestmark = pytest.mark.cluster


def test_back_with_a_run(site: PodinfoSite) -> None:
    """The run drives it, as any other; the primary's template at the end is that of the first build."""
    site.provisioned(spec={"skipAnalysis": True})
    site.push("2", None)
    run = site.run()
    assert run.ends() == 0, run.text
    assert "podinfo:1" in site.ask("history").stdout
    refused = site.ask("rollback", "--to", "1")
    assert (refused.returncode, "name its manifest with -f" in refused.stderr) == (2, True)
    back = site.ask("rollback", "-f", str(site.manifest), "--to", "1")
    assert back.returncode == 0, back.stdout + back.stderr
    site.at_rest("1")
    assert (site.image(NAME), site.failed) == ("podinfo:1", 0)


@pytest.fixture
def canary(bare: ControlledSite, control_plane: ControlPlane) -> Iterator[Commands]:
    """`canary` for a Canary object of podinfo."""
    made = Commands(bare, control_plane.kubeconfig("admin"))
    yield made
    made.close()


def test_back_and_forth_with_a_controller(bare: ControlledSite, canary: Commands) -> None:
    """A rollout with its steps, back to a revision with the configuration that it had; and one without steps."""
    site = bare.podinfo
    edit(site)
    push(site, "1")
    bare.controller()
    bare.settle(steps=[{"weight": 50}])
    edit(site, color="red")
    bare.ends("Succeeded", 1)
    kept = json.loads(canary.well("history", NAME, "--revisions", "-o", "json"))
    assert [(one["number"], one["serving"]) for one in kept] == [(2, True), (1, False)]
    assert kept[0]["revision"] == bare.status.stable.revision  # type: ignore[union-attr]
    going = canary.start("rollback", NAME, "--to", "1", "--wait")
    assert going.ends() == 0, going.text
    bare.ends("Succeeded", 2)
    assert bare.status.history[0].outcome == Outcome.PROMOTED
    assert used(site)[0] == "blue"
    going = canary.start("undo", NAME, "--now", "--wait")
    assert going.ends() == 0, going.text
    bare.ends("Succeeded", 3)
    assert (used(site)[0], bare.status.stable.revision) == ("red", kept[0]["revision"])  # type: ignore[union-attr]
    assert bare.failed == 0


def test_an_alert_after_the_promotion_brings_the_template_before_back(bare: ControlledSite) -> None:
    """By a rollout; a newer push isn't overwritten."""
    site = bare.podinfo
    replica = bare.controller(environment={"CANARY_HOOKS_TOKEN": TOKEN})
    bare.settle(steps=[{"weight": 50}], rollbackOn=ON, watchAfterPromotion="1h")
    before = site.image(NAME)
    bare.push()
    bare.ends("Succeeded", 1)
    alert = {"alert": "HighLatency", "labels": {"service": "reviews"}}
    bare.when(lambda: report(replica, alert) == 200, "the alert to be taken")
    bare.ends("Succeeded", 2)
    assert (site.image(NAME), site.image("podinfo-primary")) == (before, before)
    assert report(replica, alert) == 200
    assert (bare.status.rollouts, bare.failed) == (2, 0)
