"""Alice has the Role that `canary run --print-rbac` prints for a Deployment, and nothing else."""

from collections.abc import Iterator

import pytest

from tests.bookinfo.test_permissions import allow, may, printed
from tests.parts.cluster import ControlPlane
from tests.podinfo.site import NAME, PRIMARY, PodinfoSite

pytestmark = pytest.mark.cluster


@pytest.fixture
def as_alice(site: PodinfoSite, control_plane: ControlPlane) -> Iterator[PodinfoSite]:
    """The same podinfo, for alice."""
    made = PodinfoSite(site.mesh, control_plane.kubeconfig("alice"), site.folder)
    yield made
    made.stop()


def test_the_printed_role_makes_a_primary_and_promotes(site: PodinfoSite, as_alice: PodinfoSite) -> None:
    """All that is written is allowed, by name where RBAC can name it: the target is scaled, and never changed."""
    site.write()
    allow(site, printed(site.manifest), lambda: may(site, "delete", "configmaps") and may(site, "list", "pods"))
    run = as_alice.run("--allow-unanalysed")
    assert run.ends() == 0, run.text
    assert "may not" not in run.text
    site.push("2", None)
    run = as_alice.run()
    assert run.ends() == 0, run.text
    assert "may not" not in run.text
    site.at_rest("2")
    apps = ("patch", "deployments", "apps")
    assert (may(site, *apps, PRIMARY), may(site, *apps, NAME), may(site, *apps, "other")) == (True, False, False)
    assert not may(site, "patch", "services", "", "other")
    assert not may(site, "delete", "deployments", "apps", PRIMARY)
