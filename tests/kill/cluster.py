"""The same deaths in a cluster: a process dies at one of `moments.py`, and another goes on with the real API server.

The wire dies, so what was sent last has been accepted, or was never sent. Lock, state, actions and routes are real;
time, replicas and metrics are world.py's. `python -m tests.kill.cluster CASE KUBECONFIG NAMESPACE`: one JSON line
a death, the undisturbed end first.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.engine.resolved import resolve_spec
from canary.istio.scope import Scope
from canary.kube.client import Client, ClusterAccess
from canary.kube.connection import Connection
from canary.kube.errors import NotFound
from canary.kube.lease import Identity
from canary.ports import Parts
from canary.rollout.drive import Drive, Options
from canary.routers.istio import VIRTUAL_SERVICES, IstioRouter
from canary.sandbox.parts import SandboxTarget
from canary.stores.configmap import ConfigMapInbox, ConfigMapStore
from canary.stores.lease import RunLease, held
from canary.stores.objects import Objects
from tests.kill import world
from tests.kill.lives import Hurried, Left, deaths
from tests.kill.moments import Moments, Watched, Wire, deadly
from tests.kill.world import BASE, GATE, METRICS, START, Durable, Rates, Replicas, Reported
from tests.mesh import bookinfo
from tests.parts.fences import guarded, unfenced

CASES = {
    "failing": world.CASES["failing"],
    "gate, then promotion in steps": {
        "analysis": {"steps": [{"weight": 20}, {"weight": 60, "gates": [GATE]}], "stepWeightPromotion": 25},
        "approved": 2,
    },
}
"""`approved` is the step whose gate a person opens."""


@dataclass(frozen=True)
class Site:
    """Where one life after the other is lived."""

    kubeconfig: str
    namespace: str
    name: str
    """Of the VirtualService."""
    folder: Path
    case: str

    @property
    def scope(self) -> Scope:
        return Scope(self.namespace, (self.name,))

    @property
    def objects(self) -> Objects:
        return Objects(self.namespace, "VirtualService", self.name, self.name)


def main(name: str, kubeconfig: str, namespace: str) -> None:
    """The undisturbed end first, then the end after a death at each moment."""
    deaths(lambda number, folder: Site(kubeconfig, namespace, f"reviews-{number}", folder, name), live, deadly)


def live(site: Site, fatal: str) -> Left:
    """One run in this process, and what it left behind."""
    connection = Connection(ClusterAccess(site.kubeconfig))
    world = Durable(
        site.folder / "world.json", CASES[site.case], lambda: _approve(Client(connection, fence=unfenced), site)
    )
    _prepare(Client(connection, fence=unfenced), site)
    moment = Moments(fatal)
    wire = Wire(connection, world, moment)
    client, clock = Client(wire, timeout=20.0, fence=unfenced), Hurried()
    lease = RunLease(client, site.objects, Identity.mine(), clock=clock)
    fenced = guarded(client, lease.check)
    store = ConfigMapStore(fenced, site.objects)
    parts = Parts(
        target=SandboxTarget(resolve_spec(_canary(site))),
        router=IstioRouter(fenced, site.scope),
        workloads=Replicas(world),
        metrics=Watched(Rates(world), "measure", moment),
        store=store,
        inbox=ConfigMapInbox(fenced, site.objects, clock=lambda: world.now().timestamp()),
        notifier=Watched(Reported(site.folder / "reported"), "tell", moment),
        clock=world,
    )
    with held(lease, wait=clock.wait):
        code = int(Drive(parts, Options(), lambda turn: None).run().code)
    return {
        "code": code,
        "passed": moment.passed,
        "writes": wire.writes,
        **_left(Client(connection, fence=unfenced), site, world),
    }


def _left(client: Client, site: Site, world: Durable) -> dict[str, Any]:
    """What a run left behind, for comparing."""
    stored = ConfigMapStore(client, site.objects).load()
    assert stored is not None
    found = client.get(VIRTUAL_SERVICES, site.namespace, site.name)
    reported = (site.folder / "reported").read_text().split()
    return {
        "reported": reported,
        "phase": stored.status.phase,
        "outcome": stored.status.history[0].outcome,
        "spec": {**found["spec"], "hosts": []},
        "rose": world.state["rose"],
    }


def _prepare(client: Client, site: Site) -> None:
    try:
        client.get(VIRTUAL_SERVICES, site.namespace, site.name)
    except NotFound:
        body = bookinfo.virtual_service(site.name, bookinfo.JASON, {"route": bookinfo.to("reviews", v1=100)})
        client.create(VIRTUAL_SERVICES, site.namespace, body)


def _approve(client: Client, site: Site) -> None:
    """What a person does at a gate."""
    step = CASES[site.case].get("approved")
    stored = ConfigMapStore(client, site.objects).load() if step else None
    if stored and stored.status.rollout and stored.status.rollout.gates:
        yes = CanaryAction(id="yes", target=site.name, verb=Verb.APPROVE, step=step, author="ann", at=START)
        ConfigMapInbox(client, site.objects).post(yes)


def _canary(site: Site) -> Canary:
    spec = {
        "targetRef": {"kind": "VirtualService", "name": site.name},
        "version": "v2",
        "revision": "1",
        "analysis": {**BASE, "metrics": METRICS, **CASES[site.case]["analysis"]},
    }
    return Canary.model_validate({"metadata": {"name": site.name, "namespace": site.namespace}, "spec": spec})


if __name__ == "__main__":
    main(*sys.argv[1:])
