"""Deaths of a run that releases a workload through its primary: around every write, from provisioning to the end.

The run, its Lease, its state, what it writes, and what Kubernetes makes of that are real; time and metrics are
world.py's. Time passes only while no workload has something left to do.
`python -m tests.kill.podinfo CASE KUBECONFIG NAMESPACE`: one JSON line a death, the undisturbed end first.
"""

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from canary.api.canary import Canary
from canary.api.status import Version
from canary.engine.observed import Missing, Query, Sample, Value
from canary.engine.resolved import ResolvedSpec, resolve_spec
from canary.kube.client import Client, ClusterAccess, Object
from canary.kube.connection import Connection
from canary.kube.errors import ApiAnswer, NotFound
from canary.kube.lease import Identity
from canary.kube.requests import Request
from canary.kube.resources import DAEMON_SETS, SERVICES, Resource
from canary.ports import Parts, Target
from canary.primary.names import Names
from canary.registry import cluster_for, primary_for, workloads_for
from canary.rollout.drive import Drive, Options
from canary.rollout.fencing import Fence, FencedRouter, Purpose
from canary.routers.istio import VIRTUAL_SERVICES
from canary.stores.configmap import ConfigMapInbox, ConfigMapStore
from canary.stores.lease import RunLease, held
from canary.stores.objects import Objects
from canary.workloads import pods
from canary.workloads.cloned import CLONED
from canary.workloads.kubernetes import KubernetesWorkloads
from tests.kill.lives import Hurried, Left, deaths
from tests.kill.moments import NOTHING, Moments, Watched, Wire, deadly
from tests.kill.world import BASE, METRICS, Durable, Reported
from tests.mesh import bookinfo
from tests.parts.fences import unfenced

CASES: Mapping[str, dict[str, Any]] = {
    "promoted": {"analysis": {"steps": [{"weight": 20}, {"weight": 60}], "stepWeightPromotion": 40}},
    "failing": {"analysis": {"steps": [{"weight": 20}, {"weight": 60}]}, "fails_from": 60, "provisioned": True},
    "on each node": {"kind": "DaemonSet", "analysis": {"steps": [{"weight": 60}]}},
}
"""`provisioned`: the process isn't killed before the primary is made, as it is in the case `promoted`."""
PROVISIONING = (NOTHING, "Initializing")
"""Phases, as prefixes."""
FIRST, SECOND = "podinfo:1", "podinfo:2"
PATIENCE = 60.0


@dataclass(frozen=True)
class Site:
    """One workload, and where one life after the other is lived."""

    kubeconfig: str
    namespace: str
    name: str
    folder: Path
    case: str

    @property
    def kind(self) -> Resource:
        """The workload's."""
        return CLONED[CASES[self.case].get("kind", "Deployment")].resource

    @property
    def canary(self) -> Canary:
        spec = {
            "targetRef": {"apiVersion": "apps/v1", "kind": self.kind.kind, "name": self.name},
            "service": {"port": 9898},
            "analysis": {**BASE, "metrics": METRICS, **CASES[self.case]["analysis"]},
        }
        return Canary.model_validate({"metadata": {"name": self.name, "namespace": self.namespace}, "spec": spec})

    @property
    def names(self) -> Names:
        return Names.of(self.canary)


@dataclass(frozen=True)
class Released(Target):
    """The workload as its owner has it now."""

    canary: Canary
    workloads: KubernetesWorkloads

    def resolved(self) -> ResolvedSpec:
        return resolve_spec(self.canary)

    def desired_version(self) -> Version | Missing:
        name = Names.of(self.canary).canary_host
        revision = self.workloads.revision(name)
        return revision if isinstance(revision, Missing) else Version(name=name, revision=revision)


@dataclass
class Rates:
    """100%, until the target fails."""

    world: Durable

    def measure(self, queries: Iterable[Query], at: Any) -> Mapping[Query, Sample]:
        failing = self.world.state["highest"] >= self.world.case.get("fails_from", 101)
        return {
            query: Value(80.0 if failing and not query.subject.workload.endswith("-primary") else 100.0)
            for query in queries
        }


@dataclass
class Serving(Wire):
    """Notes after each write who of those that users are sent to has no pod."""

    check: Any = None
    unserved: list[str] = field(default_factory=list)

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        answer = super().exchange(request, timeout)
        if request.writes:
            self.unserved += self.check()
        return answer


@dataclass
class Life:
    """One process: it runs until the first build serves, pushes the second one, and runs once more."""

    site: Site
    fatal: str

    def __post_init__(self) -> None:
        connection = Connection(ClusterAccess(self.site.kubeconfig))
        self.user = Client(connection, timeout=20.0, fence=unfenced)
        self.world = Durable(self.site.folder / "world.json", CASES[self.site.case], self.settled)
        self.moment = Moments(self.fatal)
        names = self.site.names
        self.wire = Serving(connection, self.world, self.moment, pair=(names.primary_host, names.canary_host))
        self.wire.check = partial(unserved, self.user, self.site)

    def live(self) -> list[int]:
        """The exit codes of its runs."""
        self._prepared()
        codes = []
        if _image(self._workload(self.site.name)) == FIRST:
            codes.append(self._run())
            self._push(SECOND)
        return [*codes, self._run()]

    def settled(self) -> None:
        """Returns once Kubernetes has nothing left to do."""
        until = time.monotonic() + PATIENCE
        while not all(map(_done, filter(None, map(self._workload, (self.site.name, self.site.names.primary))))):
            assert time.monotonic() < until, "the workloads don't settle"
            time.sleep(0.02)

    def _workload(self, name: str) -> Object | None:
        try:
            return self.user.get(self.site.kind, self.site.namespace, name)
        except NotFound:
            return None

    def _prepared(self) -> None:
        if self._workload(self.site.name) is None:
            body = {
                **bookinfo.deployment(self.site.name, {"app": self.site.name}, 2, FIRST),
                "kind": self.site.kind.kind,
            }
            if self.site.kind == DAEMON_SETS:
                del body["spec"]["replicas"]
            self.user.create(self.site.kind, self.site.namespace, body)
            self.user.create(SERVICES, self.site.namespace, bookinfo.service(self.site.name, 9898))
        self.settled()

    def _push(self, image: str) -> None:
        container = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
        self.user.patch(self.site.kind, self.site.namespace, self.site.name, container)
        self.settled()

    def _run(self) -> int:
        canary, namespace = self.site.canary, self.site.namespace
        provider = cluster_for(canary.spec)
        assert provider is not None
        client, clock = Client(self.wire, timeout=20.0, fence=unfenced), Hurried()
        objects = Objects(namespace, self.site.kind.kind, self.site.name, self.site.name)
        lease = RunLease(client, objects, Identity.mine(), clock=clock)
        fence = Fence(lease.check)
        router = provider.router(fence.client(client, Purpose.TRAFFIC), provider.scope(canary, namespace, False))
        workloads = workloads_for(client, canary.spec, namespace, router.selector, lambda: canary)
        store = ConfigMapStore(fence.client(client, Purpose.STATUS), objects)
        inbox = ConfigMapInbox(
            fence.client(client, Purpose.ACTIONS), objects, clock=lambda: self.world.now().timestamp()
        )
        primary = primary_for(
            fence.client(client, Purpose.PRIMARY), canary.spec, namespace, lambda: canary, fence.primary
        )
        parts = Parts(
            target=Released(canary, workloads),
            router=FencedRouter(router, fence),
            workloads=workloads,
            metrics=Watched(Rates(self.world), "measure", self.moment),
            store=store,
            inbox=inbox,
            notifier=Watched(Reported(self.site.folder / "reported"), "tell", self.moment),
            clock=self.world,
            primary=primary,
        )
        with held(lease, wait=clock.wait):
            return int(Drive(parts, Options(), lambda turn: None).run().code)


def live(site: Site, fatal: str) -> Left:
    """One life, and what it left behind."""
    life = Life(site, fatal)
    *_, code = life.live()
    life.settled()
    return {
        "ended": code,
        "passed": life.moment.passed,
        "writes": life.wire.writes,
        "unserved": life.wire.unserved,
        "rose": life.world.state["rose"],
        **_left(life.user, site),
    }


def _left(client: Client, site: Site) -> dict[str, Any]:
    names = site.names
    stored = ConfigMapStore(client, Objects(site.namespace, site.kind.kind, site.name, site.name)).load()
    assert stored is not None
    target, primary = (client.get(site.kind, site.namespace, one) for one in (names.target, names.primary))
    http = client.get(VIRTUAL_SERVICES, site.namespace, names.apex)["spec"]["http"]
    return {
        "phase": stored.status.phase,
        "rollouts": stored.status.rollouts,
        "outcome": stored.status.history[0].outcome,
        "images": [_image(primary), _image(target)],
        "replicas": [pods.desired_version(primary), pods.desired_version(target)],
        "weights": [[one["weight"] for one in route["route"]] for route in http],
    }


def unserved(client: Client, site: Site) -> list[str]:
    """Hosts that users are sent to now, and that have no pod that could answer."""
    names = site.names
    behind = {f"{site.name}-primary": names.primary, site.name: names.target}
    try:
        route = client.get(VIRTUAL_SERVICES, site.namespace, names.apex)["spec"]["http"][0]["route"]
        hosts = [one["destination"]["host"] for one in route if one["weight"]]
    except NotFound:
        hosts = [names.apex]
    found = []
    for host in hosts:
        selector = client.get(SERVICES, site.namespace, host)["spec"]["selector"]["app"]
        if not pods.available(client.get(site.kind, site.namespace, behind[selector])):
            found.append(host)
    return found


def _done(found: Object) -> bool:
    return pods.uniform(found) and pods.count(found) == pods.available(found) == pods.desired_version(found)


def _image(found: Object | None) -> str:
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""


def main(name: str, kubeconfig: str, namespace: str) -> None:
    """The undisturbed end first, then the end after a death at each moment."""
    chosen = partial(written, provisioned=CASES[name].get("provisioned", False))
    deaths(lambda number, folder: Site(kubeconfig, namespace, f"podinfo-{number}", folder, name), live, chosen)


def written(passed: list[str], provisioned: bool) -> list[str]:
    """The moments after a write; if `provisioned`, without those before the primary was made."""
    found = [one for one in deadly(passed) if any(f": after {verb} " in one for verb in ("create", "patch"))]
    return [one for one in found if not (provisioned and one.startswith(PROVISIONING))]


if __name__ == "__main__":
    main(*sys.argv[1:])
