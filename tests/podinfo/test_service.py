"""podinfo in two colours behind a Service that is released: what users got, and what the Services select."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from canary.api.plan import Traffic
from tests.bookinfo.test_permissions import allow, may, printed
from tests.mesh import bookinfo
from tests.mesh.mesh import Mesh
from tests.metrics.mesh import now
from tests.parts.cluster import ControlPlane
from tests.podinfo.controlled import AT_REST, HOLDS, ControlledSite
from tests.podinfo.site import NAME, PRIMARY, SERVICE, PodinfoSite

pytestmark = pytest.mark.cluster

COLORS = ("blue", "green")
CANARY = "podinfo-canary"
TARGET = {"apiVersion": "v1", "kind": "Service", "name": NAME}


class ServiceSite(PodinfoSite):
    """blue serves with image 1, and green runs beside it with image 2."""

    kind = "Service"

    def begin(self) -> None:
        for color, image in zip(COLORS, "12", strict=True):
            self.deploy(color, image)
        self.mesh.apply(bookinfo.service(NAME, 9898, app=NAME, color="blue"))
        self.mesh.ready(*(f"{NAME}-{color}" for color in COLORS))
        self.load = self.mesh.load(NAME, 60)
        self.since = now()

    def deploy(self, color: str, image: str) -> None:
        """The user's own Deployment of one colour."""
        self.mesh.deploy(f"{NAME}-{color}", {"app": NAME, "color": color}, 2, f"podinfo:{image}")

    def write(self, version: str = "", spec: Mapping[str, Any] | None = None, **analysis: Any) -> None:
        super().write(version, {"targetRef": TARGET, **(spec or {})}, **analysis)

    def select(self, color: str) -> None:
        """The push: as `kubectl set selector`."""
        change = {"spec": {"selector": {"app": NAME, "color": color}}}
        self.mesh.kube.merge(self.mesh.path("v1", "Service", NAME), change)

    def color(self, name: str) -> str:
        """What a Service selects."""
        return str(self.mesh.kube.read(self.mesh.path("v1", "Service", name))["spec"]["selector"]["color"])

    @property
    def colors(self) -> tuple[str, str, str]:
        """What the target, the primary and the canary select."""
        return self.color(NAME), self.color(PRIMARY), self.color(CANARY)

    def forget(self) -> None:
        super().forget()
        for color in COLORS:
            self.mesh.behave(f"{NAME}-{color}")
            with suppress(AssertionError):
                self.mesh.delete("Deployment", f"{NAME}-{color}")


class ControlledServiceSite(ControlledSite):
    """The same, with its Canary as an object."""

    users_own = ServiceSite

    @property
    def resting(self) -> bool:
        status = self.status
        return status.stable is not None and status.rollout is None and status.reason in AT_REST

    def apply(
        self,
        version: str | None = None,
        name: str = "",
        spec: Mapping[str, Any] | None = None,
        **analysis: Any,
    ) -> None:
        super().apply(version, name, {"targetRef": TARGET, "service": SERVICE, **(spec or {})}, **analysis)

    def kept(self) -> list[str]:
        """What is there of canary's, and the Canary itself."""
        paths = {
            "Canary": self.path("Canary", NAME),
            **{name: self.mesh.path("v1", "Service", name) for name in (PRIMARY, CANARY)},
            "routes": self.mesh.path(bookinfo.ISTIO, "VirtualService", NAME),
        }
        return [name for name, path in paths.items() if self.mesh.kube.request("GET", path).status_code == 200]


@pytest.fixture
def as_alice(shared: Mesh, control_plane: ControlPlane, tmp_path: Path) -> Iterator[ServiceSite]:
    """For alice, who is allowed nothing yet."""
    admin = ServiceSite(shared, control_plane.kubeconfig("admin"), tmp_path)
    admin.forget()
    admin.begin()
    made = ServiceSite(shared, control_plane.kubeconfig("alice"), tmp_path)
    made.since = now()
    yield made
    made.stop()
    admin.end()
    admin.forget()


@pytest.fixture
def controlled(
    shared: Mesh, kinds: None, control_plane: ControlPlane, tmp_path: Path
) -> Iterator[ControlledServiceSite]:
    """No Canary and no controller yet."""
    made = ControlledServiceSite(shared, control_plane.kubeconfig("admin"), tmp_path)
    made.begin()
    yield made
    made.end()
    made.forget()


def test_runs_promote_and_go_back(as_alice: ServiceSite) -> None:
    """With the Role that is printed; only those requests fail that the bad build answers."""
    as_alice.write()
    allow(as_alice, printed(as_alice.manifest), lambda: may(as_alice, "delete", "controllerrevisions", "apps"))
    run = as_alice.run()
    assert run.ends() == 11, run.text
    assert as_alice.colors == ("blue", "blue", "blue")
    as_alice.select("green")
    run = as_alice.run()
    assert (run.ends(), "may not" in run.text) == (0, False), run.text
    assert (as_alice.colors, as_alice.traffic) == (("green", "green", "green"), Traffic())
    assert as_alice.failed == 0
    assert {"podinfo:1", "podinfo:2"} <= {one.image for one in as_alice.mesh.measured(as_alice.since).answers}
    as_alice.mesh.behave(f"{NAME}-blue", errors=1.0)
    as_alice.select("blue")
    run = as_alice.run()
    assert run.ends() == 3, run.text
    assert (as_alice.colors, as_alice.traffic) == (("blue", "green", "blue"), Traffic())
    measured = as_alice.mesh.measured(as_alice.since)
    assert measured.failed == measured.of(workload=f"{NAME}-blue").failed > 0
    assert not may(as_alice, "patch", "services", "", NAME)


def test_a_controller_follows_the_target(controlled: ControlledServiceSite) -> None:
    """Also back to what the primary serves; a deleted Canary gives the target what was promoted."""
    podinfo = controlled.podinfo
    assert isinstance(podinfo, ServiceSite)
    controlled.controller()
    controlled.settle(spec={"revertOnDeletion": True}, steps=HOLDS)
    podinfo.select("green")
    controlled.until_weight(50)
    podinfo.select("blue")
    controlled.ends("Succeeded", 1)
    assert (podinfo.color(PRIMARY), controlled.traffic) == ("blue", Traffic())
    controlled.apply(spec={"revertOnDeletion": True})
    podinfo.select("green")
    controlled.ends("Succeeded", 2)
    assert podinfo.colors == ("green", "green", "green")
    assert controlled.failed == 0
    controlled.apply(spec={"revertOnDeletion": True}, steps=HOLDS)
    podinfo.select("blue")
    controlled.until_weight(50)
    controlled.delete()
    controlled.when(lambda: not controlled.kept(), "what was made to go")
    assert (podinfo.color(NAME), controlled.failed) == ("green", 0)
