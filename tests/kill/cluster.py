"""The same deaths in a cluster: a process dies before and after each write to a real API server, another goes on.

The wire dies, so what was sent last has been accepted, or was never sent. Lock, state, actions and routes are real;
time, replicas and metrics are world.py's. `python -m tests.kill.cluster CASE KUBECONFIG NAMESPACE`: one JSON line
a point, the undisturbed end first.
"""

import json
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canary.api.canary import Canary
from canary.api.plan import Traffic
from canary.engine.desired import desired
from canary.istio.reading import read
from canary.istio.scope import Scope
from canary.kube.client import Client, Stream
from canary.kube.connection import Connection, Place
from canary.kube.errors import Absent, Answer
from canary.kube.requests import Request
from canary.kube.resources import VIRTUAL_SERVICES
from canary.rollout.drive import Drive, Options
from canary.rollout.ports import Parts
from canary.routers.istio import IstioRouter
from canary.sandbox.parts import SandboxTarget
from canary.stores.configmap import ConfigMapStore
from canary.stores.configmap_inbox import ConfigMapInbox
from canary.stores.lease import Identity, Lease, boottime, held
from canary.stores.objects import Objects
from tests.kill.world import BASE, CASES, METRICS, Durable, Points, Rates, Replicas, Told
from tests.mesh import bookinfo

KILLED = -9


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


@dataclass
class Hurried:
    """A lease's clock that goes ahead for whoever waits: the holder before is dead, or has let go."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return boottime() + self.ahead

    def wait(self, seconds: float) -> None:
        self.ahead += seconds


@dataclass
class Wire:
    """Dies before or after a write; tells the world how far the route has gone."""

    wire: Connection
    world: Durable
    point: Points
    writes: list[str] = field(default_factory=list)

    def exchange(self, request: Request, timeout: float) -> Answer:
        if not request.writes:
            return self.wire.exchange(request, timeout)
        self.point()
        answer = self.wire.exchange(request, timeout)
        self.writes.append(f"{request.verb} {request.resource.kind}")
        if request.resource == VIRTUAL_SERVICES and answer.status == 200:
            self._moved(read([json.loads(answer.body)], None, _scope(request), "v1", "v2").traffic)
        self.point()
        return answer

    def stream(self, request: Request, timeout: float, silence: float) -> Stream:
        return self.wire.stream(request, timeout, silence)

    def renew(self) -> None:
        self.wire.renew()

    def _moved(self, traffic: Traffic | None) -> None:
        weight = traffic.weight if traffic else 0
        highest, last = self.world.state["highest"], self.world.state["traffic"].get("weight", 0)
        rose = self.world.state["rose"] or (highest > 0 and last == 0 < weight)
        self.world.keep(traffic={"weight": weight}, highest=max(highest, weight), rose=rose)


def main(name: str, kubeconfig: str, namespace: str) -> None:
    """The undisturbed end first, then the end after a death at each point."""
    with tempfile.TemporaryDirectory() as root:

        def site(number: int) -> Site:
            folder = Path(root) / str(number)
            folder.mkdir()
            return Site(kubeconfig, namespace, f"reviews-{number}", folder, name)

        whole = _child(site(0), fatal=0)
        print(json.dumps(whole), flush=True)
        for fatal in range(1, whole["points"] + 1):
            here = site(fatal)
            died = _child(here, fatal)
            print(json.dumps({**_child(here, fatal=0), "fatal": fatal, "died": died["code"]}), flush=True)


def _child(site: Site, fatal: int) -> dict[str, Any]:
    pid = os.fork()
    if pid == 0:
        left = live(site, fatal)
        (site.folder / "left").write_text(json.dumps(left))
        os._exit(left["code"])
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found: dict[str, Any] = json.loads((site.folder / "left").read_text()) if code != KILLED else {}
    return {**found, "code": code}


def live(site: Site, fatal: int) -> dict[str, Any]:
    """One run in this process, and what it left behind."""
    world, point = Durable(site.folder / "world.json", CASES[site.case]), Points(fatal)
    connection = Connection(Place(site.kubeconfig))
    _prepare(Client(connection), site)
    wire = Wire(connection, world, point)
    client, clock = Client(wire, timeout=20.0), Hurried()
    lease = Lease(client, site.objects, Identity.mine(), clock=clock)
    guarded = client.guarded(lease.check)
    store = ConfigMapStore(guarded, site.objects)
    parts = Parts(
        target=SandboxTarget(desired(_canary(site))),
        router=IstioRouter(guarded, site.scope),
        workloads=Replicas(world),
        metrics=Rates(world),
        store=store,
        inbox=ConfigMapInbox(guarded, site.objects),
        notifier=Told(site.folder / "told"),
        clock=world,
    )
    with held(lease, wait=clock.wait):
        code = int(Drive(parts, Options(), lambda turn: None).run().code)
    return {"code": code, "points": point.passed, "writes": wire.writes, **_left(Client(connection), site, world)}


def _left(client: Client, site: Site, world: Durable) -> dict[str, Any]:
    """What a run left behind, for comparing."""
    stored = ConfigMapStore(client, site.objects).load()
    assert stored is not None
    found = client.get(VIRTUAL_SERVICES, site.namespace, site.name)
    return {
        "phase": stored.status.phase,
        "outcome": stored.status.history[0].outcome,
        "spec": {**found["spec"], "hosts": []},
        "rose": world.state["rose"],
    }


def _prepare(client: Client, site: Site) -> None:
    try:
        client.get(VIRTUAL_SERVICES, site.namespace, site.name)
    except Absent:
        body = bookinfo.virtual_service(site.name, bookinfo.JASON, {"route": bookinfo.to("reviews", v1=100)})
        client.create(VIRTUAL_SERVICES, site.namespace, body)


def _scope(request: Request) -> Scope:
    return Scope(request.namespace, (request.name,))


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
