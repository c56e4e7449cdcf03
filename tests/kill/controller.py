"""Deaths of the controller's process: right before and right after each write that it sends, in each phase.

Its fleet, its reconciles, its Leases and what it writes are real, and so are API server, Deployments and pods. One
thread does everything, in virtual time: what the watches would tell, it lists. Metrics are world.py's.
`python -m tests.kill.controller CASE KUBECONFIG NAMESPACE`: one JSON line a death, the undisturbed end first.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from canary.api.canary import API_VERSION
from canary.api.status import Status
from canary.controller.controller import Controller
from canary.controller.settings import Area
from canary.controller.watches import ClusterFleet
from canary.istio.reading import read
from canary.istio.scope import Scope
from canary.kube.client import Client, ClusterAccess, Object, Stream
from canary.kube.connection import Connection
from canary.kube.election import Leadership
from canary.kube.errors import ApiAnswer, NotFound, VersionConflict
from canary.kube.lease import Claim, Identity, holder_of
from canary.kube.names import NamespacedName
from canary.kube.requests import ApiVerb, Request
from canary.kube.resources import CANARIES, CANARY_ACTIONS, EVENTS, LEASES
from canary.routers.istio import VIRTUAL_SERVICES
from tests.controller.fleet import Inline, SandboxFleet
from tests.controller.virtual import Watcher
from tests.kill.lives import Hurried, Left, deaths
from tests.kill.moments import Moments
from tests.kill.world import BASE, GATE, METRICS, Durable, Rates
from tests.mesh import bookinfo
from tests.parts.fences import unfenced

PROMETHEUS = "http://prometheus.example"
STEPS = [{"weight": 20}, {"weight": 60}]
CASES: Mapping[str, dict[str, Any]] = {
    "gates, then promotion in steps": {
        "analysis": {"steps": [{**step, "gates": [GATE]} for step in STEPS], "stepWeightPromotion": 25},
        "answer": "approve",
    },
    "failing": {"analysis": {"steps": STEPS}, "fails_from": 60},
    "rejected at a gate": {"analysis": {"steps": [{**STEPS[0], "gates": [GATE]}]}, "answer": "reject"},
    "deleted": {"analysis": {"steps": [{"weight": 60, "hold": "1h"}]}, "deleted": True},
}
LIMIT = timedelta(hours=3)
"""Virtual time that a life may take; taken actions lie there for an hour."""


@dataclass(frozen=True)
class Site:
    """One VirtualService and the Canary that moves it."""

    kubeconfig: str
    namespace: str
    name: str
    folder: Path
    case: str

    @property
    def key(self) -> NamespacedName:
        return self.namespace, self.name

    @property
    def lead(self) -> str:
        """Name of the Lease by which its controllers lead: each site has its own."""
        return f"{self.name}-lead"

    def world(self) -> Durable:
        return Durable(self.folder / "world.json", CASES[self.case])


@dataclass
class Wire:
    """There is a moment before and after each write but renewals of the lead; tells the world of new weights."""

    wire: Connection
    site: Site
    world: Durable
    moment: Moments
    deleted: Callable[[], object] = lambda: None
    """What the watch would tell of an action that is deleted; else the next reconcile may delete it once more."""
    renews: bool = False
    """Whether the lead is being renewed: that comes whenever it comes."""

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        if not request.writes or self.renews:
            return self.wire.exchange(request, timeout)
        what = _named(request, self.site)
        self.moment(f"before {what}")
        answer = self.wire.exchange(request, timeout)
        if answer.status < 300 and request.resource == VIRTUAL_SERVICES:
            self._moved(request, answer)
        self.moment(f"after {what}")
        if request.verb is ApiVerb.DELETE and request.resource == CANARY_ACTIONS:
            self.deleted()
        if answer.status < 300 and request.resource == CANARIES:
            self.moment.phase = (json.loads(answer.body).get("status") or {}).get("phase") or self.moment.phase
        return answer

    def stream(self, request: Request, timeout: float, silence: float) -> Stream:
        raise AssertionError("nothing is watched here")

    def renew(self) -> None:
        self.wire.renew()

    def _moved(self, request: Request, answer: ApiAnswer) -> None:
        found = read([json.loads(answer.body)], None, Scope(request.namespace, (request.name,)), "v1", "v2")
        weight = found.traffic.weight if found.traffic else 0
        self.world.keep(highest=max(self.world.state["highest"], weight))


def _named(request: Request, site: Site) -> str:
    """Such as `patch Canary/status`, or `create Lease that leads`."""
    name = request.name or (request.body or {}).get("metadata", {}).get("name")
    part = "/status" if request.subresource else " that leads" if name == site.lead else ""
    return f"{request.verb} {request.resource.kind}{part}"


@dataclass
class Life:
    """One process of the controller, which leads until the rollout is over and put away."""

    site: Site
    fatal: str
    watcher: Watcher = field(default_factory=Watcher)
    rests: int = 0
    """Times that it was let rest for long."""

    def __post_init__(self) -> None:
        connection, self.world = Connection(ClusterAccess(self.site.kubeconfig)), self.site.world()
        self.people = Client(connection, timeout=20.0, fence=unfenced)
        _prepare(self.people, self.site, self.world)
        self.moment = Moments(self.fatal)
        self.wire = Wire(connection, self.site, self.world, self.moment)
        self.times = SandboxFleet(at=self.world.now())
        area = Area(self.site.namespace, f"site={self.site.name}", allowed_metrics_servers="*")
        client = Client(self.wire, timeout=20.0, fence=unfenced)
        self.fleet = ClusterFleet(client, area, self.times, lambda namespace, at: True)
        self.wire.deleted = self.fleet.actions._list
        self.fleet.evidence._prometheus[PROMETHEUS, "istio"] = cast(Any, Rates(self.world))
        claim = Claim(self.site.namespace, self.site.lead, "the lead", {"name": self.site.lead})
        self.clock = Hurried()
        self.term = Leadership(client, claim, Identity.mine(), clock=self.clock)

    def live(self) -> None:
        """As `Service` has it: lists, leads, and lets go."""
        for each in self.fleet.reflectors:
            each._list()
        while not self.term.attempt():
            self.clock.wait(self.term.terms.every)
        inline, times = Inline(), self.times
        controller = Controller(self.fleet, times, inline, inline, times.timetable, self.watcher)
        until = times.now() + LIMIT
        with self.fleet.led(self.term, controller.wake, controller.forget):
            controller.start()
            while not self._over() and times.now() < until:
                self._pass()
            controller.stop()
        self.term.release()

    def _pass(self) -> None:
        """People look at the rollout, time passes, and the watches tell what became of it."""
        self.wire.renews = True
        self.term.renew()
        self.wire.renews = False
        self._act(self._status())
        seconds = 1.0
        if self._at_rest():  # only what is looked at unasked, and old actions that are still to be removed
            self.rests, seconds = self.rests + 1, 600.0
        self.world.keep(now=(self.times.now() + timedelta(seconds=seconds)).isoformat())
        self.times.advance(seconds)
        if self.rests or self._status().phase == "Terminating":
            self._look()

    def _act(self, status: Status) -> None:
        """What people do."""
        case, rollout = CASES[self.site.case], status.rollout
        if rollout is None or rollout.end is not None:
            return
        if "answer" in case and status.reason == "WaitingForApproval":
            _answer(self.people, self.site, case["answer"], rollout.step)
            self._look()
        if case.get("deleted") and self.world.state["highest"] == 60:
            self.people.delete(CANARIES, *self.site.key)
            self._look()

    def _look(self) -> None:
        """What the watches would tell."""
        self.fleet.canaries._list()
        self.fleet.actions._list()

    def _status(self) -> Status:
        return self.fleet.standing(self.site.key) or Status()

    def _at_rest(self) -> bool:
        found, status = self.fleet.canaries.get(*self.site.key), self._status()
        return found is None or bool(status.rollout is None and status.history and not found.guarded)

    def _over(self) -> bool:
        actions = any(one.target == self.site.name for _, one in self.fleet.actions.items())
        gone = self.fleet.canaries.get(*self.site.key) is None
        return gone or (self.rests > 0 and self._at_rest() and not self._status().outbox and not actions)


def live(site: Site, fatal: str) -> Left:
    """One life, and what it left behind."""
    life = Life(site, fatal)
    life.live()
    return {
        "passed": life.moment.passed,
        "crashes": [repr(error) for _, error in life.watcher.crashes],
        **_left(life.people, site),
    }


def _left(client: Client, site: Site) -> Left:
    namespace, name = site.key
    status, finalizers = Status(), None
    try:
        canary = client.get(CANARIES, namespace, name)
    except NotFound:
        canary = {}
    else:
        status, finalizers = Status.model_validate(canary["status"]), canary["metadata"].get("finalizers")
    route = client.get(VIRTUAL_SERVICES, namespace, name)
    about = route["metadata"]
    actions = client.find(CANARY_ACTIONS, namespace)
    return {
        "there": bool(canary),
        "phase": status.phase,
        "rollout": status.rollout is not None,
        "rollouts": status.rollouts,
        "history": [one.outcome for one in status.history],
        "taken": len(status.actions_taken),
        "outbox": len(status.outbox),
        "finalizers": finalizers,
        "leases": [holder_of(one) for one in client.find(LEASES, namespace) if _is_of(name, one)],
        "actions": [one["metadata"]["name"] for one in actions if one["spec"]["canary"] == name],
        "spec": {**route["spec"], "hosts": []},
        "marks": [about.get("annotations"), about.get("labels"), about.get("finalizers")],
        "written": about["generation"],
        "reported": _reported(client.find(EVENTS, namespace), name),
    }


def _is_of(name: str, lease: Object) -> bool:
    """Whether it is the Lease of this Canary's target or controllers."""
    return bool(lease["metadata"]["name"] in (f"canary-virtualservice-{name}", f"{name}-lead"))


def _reported(events: list[Object], name: str) -> list[str]:
    return sorted(one["reason"] for one in events if one["involvedObject"]["name"] == name)


def _prepare(client: Client, site: Site, world: Durable) -> None:
    """What the first life at a site finds."""
    if world.file.exists():
        return
    route = bookinfo.virtual_service(site.name, bookinfo.JASON, {"route": bookinfo.to("reviews", v1=100)})
    client.create(VIRTUAL_SERVICES, site.namespace, route)
    analysis = {**BASE, "metrics": METRICS, **CASES[site.case]["analysis"]}
    target = {"apiVersion": bookinfo.ISTIO, "kind": "VirtualService", "name": site.name}
    spec = {"targetRef": target, "version": "v2", "metricsServer": PROMETHEUS, "analysis": analysis}
    metadata = {"name": site.name, "labels": {"site": site.name}}
    client.create(CANARIES, site.namespace, {"metadata": metadata, "spec": spec})
    world.keep(now=datetime.now(UTC).replace(microsecond=0).isoformat())


def _answer(client: Client, site: Site, verb: str, step: int) -> None:
    """Once for each step, also where a life before has done so."""
    spec = {"canary": site.name, "verb": verb, "step": step, "author": "ann"}
    body = {"apiVersion": API_VERSION, "metadata": {"name": f"{site.name}-{verb}-{step}"}, "spec": spec}
    try:
        client.create(CANARY_ACTIONS, site.namespace, body)
    except VersionConflict:
        return


def deadly(passed: Sequence[str]) -> list[str]:
    """After each write, and before the first of its kind in a phase: later ones are as after the write before."""
    return [moment for moment in passed if ": after " in moment or moment.endswith(" #1")]


def main(name: str, kubeconfig: str, namespace: str) -> None:
    """The undisturbed end first, then the end after a death at each moment."""
    of = name.split(maxsplit=1)[0].strip(",")
    deaths(lambda number, folder: Site(kubeconfig, namespace, f"{of}-{number}", folder, name), live, deadly)


if __name__ == "__main__":
    main(*sys.argv[1:])
