"""A world that outlives the process: traffic and time in a file, real state file, inbox and lock beside it.

Every call of a port counts two points, before and after; the process kills itself at the requested one.
"""

import json
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.api.plan import Traffic
from canary.engine.errors import Conflict
from canary.engine.observed import Query, RouteSeen, Sample, Value, WorkloadSeen
from canary.engine.resolved import resolve_spec
from canary.ports import Parts
from canary.rollout.drive import Drive, Options
from canary.sandbox.parts import SandboxTarget
from canary.stores.file import FileInbox, FileStore
from canary.stores.lock import held
from tests.kill.calls import ALERTS, REFUSED_ONCE, WEBHOOKS, Received, ReceivedHooks, received_alerts

START = datetime(2026, 1, 1, tzinfo=UTC)
BASE: dict[str, Any] = {"interval": "2s", "threshold": 2, "settle": "1s", "drain": "2s", "scrapeInterval": "1s"}
METRICS = [{"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "10s"}]
GATE = {"approval": {"count": 1}, "timeout": "1h"}

CASES: Mapping[str, dict[str, Any]] = {
    "healthy": {"analysis": {"steps": [{"weight": 20}, {"weight": 60}, {"weight": 100}]}},
    "failing": {"analysis": {"steps": [{"weight": 20}, {"weight": 60}]}, "fails_from": 60},
    "failing at 100%": {"analysis": {"steps": [{"weight": 50}, {"weight": 100}]}, "fails_from": 100},
    "lost": {"analysis": {"steps": [{"weight": 20}, {"weight": 60, "hold": "20s"}]}, "lost_from": 60},
    "blue/green": {"analysis": {"iterations": 2}},
    "A/B": {"analysis": {"iterations": 2, "match": [{"headers": {"x-group": {"exact": "beta"}}}]}},
    "gate": {"analysis": {"steps": [{"weight": 20, "gates": [GATE]}, {"weight": 100}]}, "approved": True},
    "gate that times out": {"analysis": {"steps": [{"weight": 20, "gates": [{**GATE, "timeout": "6s"}]}]}},
    "promotion in steps": {"analysis": {"stepWeights": [40], "stepWeightPromotion": 30}},
    "hooks that refuse first": {
        "analysis": {"stepWeights": [20], "threshold": 3, **ALERTS, **WEBHOOKS},
        "calls": REFUSED_ONCE,
    },
    "hook that rolls back": {
        "analysis": {"stepWeights": [20], **ALERTS, **WEBHOOKS},
        "calls": {"rollback": [False, True]},
    },
}
"""`calls` are the answers of the first calls of hooks by type; the process dies only after calls and saves then."""


@dataclass
class Points:
    """Counts the points of the reconcile, and dies at one."""

    fatal: int
    passed: int = 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Mortal:
    """A port whose every call is a point before it and one after it, but for a call that asks for nothing."""

    port: Any
    point: Points
    before: bool = True
    """Without, one after it only: where nothing lasts that is done between two of these calls."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self.port, name)

        def counted(*args: Any) -> Any:
            if args == ((),):
                return call(*args)
            if self.before:
                self.point()
            answer = call(*args)
            self.point()
            return answer

        return counted


@dataclass
class Durable:
    """Route, replicas, metrics and clock, with their state in one file."""

    file: Path
    case: dict[str, Any]
    people: Callable[[], None] = lambda: None
    """What people do while time passes."""
    state: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fresh = {"now": START.isoformat(), "traffic": {}, "edits": 0, "highest": 0, "rose": False}
        self.state = json.loads(self.file.read_text()) if self.file.exists() else fresh

    @property
    def traffic(self) -> Traffic:
        return Traffic.model_validate(self.state["traffic"])

    def keep(self, **changes: Any) -> None:
        self.state.update(changes)
        self.file.write_text(json.dumps(self.state))

    def now(self) -> datetime:
        return datetime.fromisoformat(self.state["now"])

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        self.keep(now=(self.now() + timedelta(seconds=seconds)).isoformat())
        self.people()


@dataclass
class Route:
    """Obeys at once; a raise above what it had before a lowering to 0 is remembered as a fault."""

    world: Durable

    def read(self, stable: str | None, canary: str) -> RouteSeen:
        weight = float(self.world.traffic.weight)
        shares = {"v1": 100 - weight, "v2": weight}
        traffic = self.world.traffic if stable in (None, "v1") else None
        return RouteSeen(str(self.world.state["edits"]), shares, traffic)

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        if token not in (None, str(self.world.state["edits"])):
            raise Conflict("edited")
        lowered = self.world.state["highest"] > 0 and self.world.traffic == Traffic()
        self.world.keep(
            traffic=traffic.wire(),
            edits=self.world.state["edits"] + 1,
            highest=max(self.world.state["highest"], traffic.weight),
            rose=self.world.state["rose"] or (lowered and traffic != Traffic()),
        )


@dataclass
class Replicas:
    """Three of each, until the canary is lost."""

    world: Durable

    def read(self, version: str) -> WorkloadSeen:
        lost = version == "v2" and self.world.state["highest"] >= self.world.case.get("lost_from", 101)
        return WorkloadSeen(version, 3, 0 if lost else 3)


@dataclass
class Rates:
    """100%, until the canary fails."""

    world: Durable

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        failing = self.world.state["highest"] >= self.world.case.get("fails_from", 101)
        return {
            query: Value(80.0 if failing and query.subject.workload.endswith("v2") else 100.0) for query in queries
        }


@dataclass
class Reported:
    """Appends each report to a file."""

    file: Path

    def notify(self, messages: Iterable[Any]) -> None:
        with self.file.open("a") as file:
            file.writelines(f"{one.reason}\n" for one in messages)


def live(folder: Path, name: str, fatal: int) -> tuple[int, int]:
    """One run in this process; its exit code, and how many points it passed."""
    case, point = CASES[name], Points(fatal)
    state = folder / "state.json"
    store, inbox = FileStore(state, "shop"), FileInbox(state)

    def approve() -> None:
        stored = store.load()
        if case.get("approved") and stored and stored.status.rollout and stored.status.rollout.gates:
            inbox.post(CanaryAction(id="yes", target="shop", verb=Verb.APPROVE, step=1, author="ann", at=START))

    world = Durable(folder / "world.json", case, approve)
    resolved = resolve_spec(_canary(case))
    ports = {
        "target": SandboxTarget(resolved),
        "router": Route(world),
        "workloads": Replicas(world),
        "metrics": Rates(world),
        "store": store,
        "inbox": inbox,
        "notifier": Reported(folder / "reported"),
    }
    if "calls" in case:
        received = Received(folder / "received")
        calls = {"hooks": ReceivedHooks(received, case["calls"]), "alerts": received_alerts(received, resolved)}
        ports |= {name: Mortal(port, point, before=False) for name, port in (calls | {"store": store}).items()}
    else:
        ports = {name: Mortal(port, point) for name, port in ports.items()}
    parts = Parts(**cast(Any, ports), clock=world)
    with held(state):
        over = Drive(parts, Options(), lambda turn: None).run()
    return int(over.code), point.passed


def _canary(case: dict[str, Any]) -> Canary:
    spec = {
        "targetRef": {"kind": "EnvoyRoute", "name": "shop"},
        "version": "v2",
        "revision": "1",
        "analysis": {**BASE, "metrics": METRICS, **case["analysis"]},
    }
    return Canary.model_validate({"metadata": {"name": "shop"}, "spec": spec})
