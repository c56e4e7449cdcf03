"""Turns as the real engine makes them: hand-made observations of a small world, decided by `decide`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from canary.api.action import CanaryAction, Verb
from canary.api.canary import Canary
from canary.api.plan import Traffic
from canary.api.status import Status, Version
from canary.engine.decide import decide, needs
from canary.engine.observed import (
    Cause,
    Counts,
    Missing,
    Observed,
    Query,
    RouteSeen,
    Sample,
    Shape,
    Value,
    WorkloadSeen,
)
from canary.engine.resolved import ResolvedSpec, resolve_spec
from canary.rollout.reconcile import Turn
from canary.rollout.record import Record
from tests.moves import moves

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)
METRICS = [
    {"name": "request-success-rate", "interval": "30s", "thresholdRange": {"min": 99}},
    {"name": "request-duration", "interval": "30s", "thresholdRange": {"max": 500}},
]
STEPS: list[dict[str, Any]] = [{"weight": 10, "iterations": 2}, {"weight": 50}]
GOOD = {"request-success-rate": 99.8, "request-duration": 41.2}
BAD = {"request-success-rate": 88.0, "request-duration": 450.0}
STABLE = {"request-success-rate": 100.0, "request-duration": 40.0}


def wanted(**analysis: Any) -> ResolvedSpec:
    """A Canary called web that goes from v1 to v2 in two steps, with an evaluation every ten seconds."""
    whole = {"interval": "10s", "threshold": 3, "settle": "2s", "scrapeInterval": "1s", "drain": "5s"}
    spec = {
        "targetRef": {"kind": "EnvoyRoute", "name": "web"},
        "version": "v2",
        "analysis": {**whole, "steps": STEPS, "metrics": METRICS, **analysis},
    }
    return resolve_spec(Canary.model_validate({"metadata": {"name": "web"}, "spec": spec}))


@dataclass
class Play:
    """A small world; `turn` lets time pass and decides. Routes obey at once."""

    resolved: ResolvedSpec = field(default_factory=wanted)
    status: Status = field(default_factory=Status)
    now: datetime = NOON
    traffic: Traffic = field(default_factory=Traffic)
    canary: dict[str, float] | Missing = field(default_factory=lambda: dict(GOOD))
    requests: int = 412
    available: int = 3
    asked: tuple[CanaryAction, ...] = ()
    obeys: bool = True
    """Whether the proxy loads what is written."""

    def turn(self, after: float = 0, trouble: Sequence[str] = ()) -> Turn:
        """One decision, `after` seconds later."""
        self.now += timedelta(seconds=after)
        observed = self._observed()
        decision = decide(self.resolved, self.status, observed, self.now)
        self.status = decision.status.but(outbox=())
        for action in moves(decision) if self.obeys else ():
            self.traffic = action.traffic
        return Turn(self.now, self.resolved, observed, decision, Record(self.status), trouble=tuple(trouble))

    def turns(self, *after: float) -> list[Turn]:
        """One decision after each of these pauses."""
        return [self.turn(pause) for pause in after]

    def whole(self, pause: float = 5) -> list[Turn]:
        """A decision every five seconds, until the rollout is over."""
        turns = [self.turn()]
        while not turns[-1].decision.closed:
            assert len(turns) < 200, "this rollout never ends"
            turns.append(self.turn(pause))
        return turns

    def ask(self, verb: Verb, author: str = "alice", verified: bool = True, comment: str = "") -> None:
        """A person's action, for the next turn."""
        number = len(self.asked) + 1
        action = CanaryAction(
            id=str(number), target="web", verb=verb, author=author, verified=verified, comment=comment, at=self.now
        )
        self.asked = (*self.asked, action)

    def _observed(self) -> Observed:
        asked = needs(self.resolved, self.status, self.now)
        weight = self.traffic.weight
        return Observed(
            desired_version=Version(name="v2"),
            route=RouteSeen("1", {"v1": 100 - weight, "v2": weight}, self.traffic),
            stable_workload=WorkloadSeen("v1", 3, 3),
            canary_workload=WorkloadSeen("v2", 3, self.available),
            samples={query: self._sample(query) for query in asked.queries},
            actions=self.asked,
        )

    def _sample(self, query: Query) -> Sample:
        if query.shape is Shape.COUNTS:
            return Counts(self.requests, 0)
        values = STABLE if query.subject.workload == "v1" else self.canary
        if isinstance(values, Missing):
            return values
        return Value(values[query.metric]) if query.metric in values else Missing(Cause.EMPTY)
