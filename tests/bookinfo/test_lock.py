"""One run at a time, with `canary run` itself: refused, waiting, lost and taken up, frozen and woken."""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.api.status import Outcome, Status
from canary.engine.errors import Conflict
from canary.istio.scope import Scope
from canary.kube.client import Client, ClusterAccess
from canary.kube.connection import Connection
from canary.routers.istio import IstioRouter
from canary.stores.configmap import ConfigMapStore
from canary.stores.objects import Objects
from tests.bookinfo.site import GATED, NAME, RouteSeen, Run, Site
from tests.parts.cluster import ControlPlane
from tests.parts.fences import guarded, unfenced
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

pytestmark = pytest.mark.long

OWN = "canary-virtualservice-reviews"


@pytest.fixture
def elsewhere(site: Site, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Site]:
    """The same target from another working directory: another CI job, which has only the manifest."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    made = Site(site.mesh, control_plane.kubeconfig(), folder)
    yield made
    made.stop()


@pytest.fixture
def first(site: Site, elsewhere: Site) -> Run:
    """A run that waits at 30% for an approval."""
    site.write("v2", steps=GATED)
    elsewhere.write("v2", steps=GATED)
    run = site.run()
    site.until("WaitingForApproval")
    return run


def lease(site: Site) -> Any:
    return site.mesh.kube.read(site.mesh.path("coordination.k8s.io/v1", "Lease", OWN))["spec"]


def versions(site: Site) -> list[str]:
    """The resourceVersions of all that a run writes but its lock."""
    paths = (site.mesh.path("networking.istio.io/v1", "VirtualService", NAME), site.mesh.path("v1", "ConfigMap", OWN))
    return [site.mesh.kube.read(path)["metadata"]["resourceVersion"] for path in paths]


def generation(site: Site) -> int:
    """How often the routes have been written."""
    path = site.mesh.path("networking.istio.io/v1", "VirtualService", NAME)
    return int(site.mesh.kube.read(path)["metadata"]["generation"])


def test_the_second_of_two_is_refused_with_the_holder_and_the_third_waits(
    site: Site, elsewhere: Site, first: Run
) -> None:
    """Code 10 with who and since when; --wait-for-lock goes on when the first has ended."""
    third = elsewhere.run("--wait-for-lock", "60s")
    second = elsewhere.run()
    assert second.ends() == Exit.LOCKED
    assert f"process {first.process.pid} on " in second.text
    assert f", since {lease(site)['acquireTime'][:19]}+00:00" in second.text
    assert (first.process.poll(), third.process.poll()) == (None, None)
    site.ask("approve")
    assert (first.ends(), third.ends()) == (Exit.PROMOTED, Exit.PROMOTED)
    assert "serves everything" in third.text
    assert site.status.rollouts == 1


def test_a_job_that_is_lost_at_30_percent_is_taken_up_by_the_next(site: Site, elsewhere: Site, first: Run) -> None:
    """kill -9; the next one waits until the lease is over, keeps the traffic and what was approved, and goes on."""
    written = generation(site)
    first.process.kill()
    site.ask("approve")
    assert elsewhere.run().ends() == Exit.PROMOTED
    status = site.status
    assert (status.rollouts, status.history[0].outcome) == (1, Outcome.PROMOTED)
    assert generation(site) == written + 1
    assert lease(site)["leaseTransitions"] == 1


def test_a_run_that_was_frozen_past_its_lease_writes_nothing_more(site: Site, elsewhere: Site, first: Run) -> None:
    """SIGSTOP until another one has taken over: woken, it ends with code 10 and leaves everything as it is."""
    first.process.send_signal(signal.SIGSTOP)
    second = elsewhere.run()
    wait_for(lambda: f"_{second.process.pid}_" in lease(site)["holderIdentity"], "a takeover", within=SLOWLY)
    wait_for(lambda: "waits for" in second.text, "the gate again", within=SLOWLY)
    second.process.send_signal(signal.SIGSTOP)
    before = versions(site)
    first.process.send_signal(signal.SIGCONT)
    assert first.ends() == Exit.LOCKED
    assert f"process {second.process.pid} on" in first.text
    assert versions(site) == before
    second.process.send_signal(signal.SIGCONT)
    site.ask("approve")
    assert second.ends() == Exit.PROMOTED


@pytest.mark.parametrize("another_wrote", [True, False])
def test_what_was_allowed_before_the_freeze(another_wrote: bool, site: Site, control_plane: ControlPlane) -> None:
    """One request that was allowed and not yet sent lands only where no one has written since it was decided."""
    scope = Scope(site.mesh.namespace, (NAME,))
    objects = Objects(site.mesh.namespace, "VirtualService", NAME, "frozen")
    with closing(Connection(ClusterAccess(str(control_plane.kubeconfig())))) as wire:
        client = Client(wire, timeout=20.0, fence=unfenced)
        other, others = IstioRouter(client, scope), ConfigMapStore(client, objects)
        version = others.save(Status(), None)

        def frozen() -> None:
            if another_wrote and site.traffic != Traffic(weight=50):
                other.write("v1", "v2", Traffic(weight=50), None)
                others.save(Status(rollouts=7), version)

        woken, remembers = (
            IstioRouter(guarded(client, frozen), scope),
            ConfigMapStore(guarded(client, frozen), objects),
        )
        seen, stored = woken.read("v1", "v2"), remembers.load()
        assert isinstance(seen, RouteSeen)
        assert stored is not None
        attempts: list[Callable[[], object]] = [
            lambda: woken.write("v1", "v2", Traffic(weight=30), seen.token),
            lambda: remembers.save(Status(rollouts=3), stored.version),
        ]
        for attempt in attempts:
            if another_wrote:
                with pytest.raises(Conflict):
                    attempt()
            else:
                attempt()
        assert site.traffic == Traffic(weight=50 if another_wrote else 30)
        left = others.load()
        assert left is not None
        assert left.status.rollouts == (7 if another_wrote else 3)
