"""podinfo as a DaemonSet: what users got, and where its pods run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bookinfo.test_permissions import allow, may, printed
from tests.mesh.mesh import Mesh
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import NAME, PRIMARY, DaemonSite

pytestmark = pytest.mark.cluster


class ControlledDaemonSite(ControlledSite):
    """The same, with its Canary as an object."""

    users_own = DaemonSite


@pytest.fixture
def controlled(
    shared: Mesh, kinds: None, control_plane: ControlPlane, tmp_path: Path
) -> Iterator[ControlledDaemonSite]:
    """No Canary and no controller yet."""
    made = ControlledDaemonSite(shared, control_plane.kubeconfig("admin"), tmp_path)
    made.begin()
    yield made
    made.end()
    made.forget()


@pytest.fixture
def as_alice(shared: Mesh, control_plane: ControlPlane, tmp_path: Path) -> Iterator[DaemonSite]:
    """For alice, who is allowed nothing yet."""
    admin = DaemonSite(shared, control_plane.kubeconfig("admin"), tmp_path)
    admin.forget()
    admin.begin()
    made = DaemonSite(shared, control_plane.kubeconfig("alice"), tmp_path)
    yield made
    made.stop()
    admin.end()
    admin.forget()


def test_a_controller_promotes(controlled: ControlledDaemonSite) -> None:
    """It runs nowhere at rest; its build is the same whether it runs or not, so no rollout begins by that."""
    podinfo = controlled.podinfo
    assert isinstance(podinfo, DaemonSite)
    controlled.controller()
    controlled.settle()
    podinfo.at_rest("1")
    wait_for(lambda: not podinfo.pods, "the target's pods to go", within=SLOWLY)
    image = controlled.push()
    controlled.ends("Succeeded", 1)
    assert (controlled.image, podinfo.replicas(), podinfo.on_each_node(PRIMARY)) == (image, 0, True)
    assert (controlled.failed, {"podinfo:1", image} <= controlled.images()) == (0, True)


def test_the_printed_role_is_enough(as_alice: DaemonSite) -> None:
    """The target is patched by name: it has no scale of its own."""
    as_alice.write()
    allow(as_alice, printed(as_alice.manifest), lambda: may(as_alice, "delete", "secrets"))
    run = as_alice.run("--allow-unanalysed")
    assert run.ends() == 0, run.text
    as_alice.push("2", None)
    run = as_alice.run()
    assert (run.ends(), "may not" in run.text) == (0, False), run.text
    as_alice.at_rest("2")
    apps = ("patch", "daemonsets", "apps")
    assert (may(as_alice, *apps, NAME), may(as_alice, *apps, "other")) == (True, False)
    assert not may(as_alice, "patch", "deployments", "apps", NAME)
