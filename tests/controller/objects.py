"""Canary objects as the API server has them, and what stands in for a server and its watches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from canary.api.canary import API_VERSION
from canary.api.status import Rollout, Status
from canary.engine.decide import decide
from canary.engine.errors import CanaryError
from canary.kube.client import Client, Object
from canary.kube.errors import ApiAnswer
from canary.kube.requests import Request
from canary.registry import moves
from canary.stores.projection import CanarySeen, seen
from tests.engine import situations
from tests.parts.fences import unfenced

NOW = situations.NOW
ANALYSIS: dict[str, Any] = {
    "stepWeights": [10, 50],
    "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}],
}
TARGET = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "name": "reviews"}


def canary(
    spec: Mapping[str, Any] | None = None, status: Mapping[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    """The object, with these fields of its spec and metadata instead."""
    about = {
        **{"name": "reviews", "namespace": "shop", "uid": "u1", "resourceVersion": "7", "generation": 1},
        **{"creationTimestamp": "2026-03-01T09:00:00Z", **metadata},
    }
    wanted = {"targetRef": TARGET, "version": "v2", "analysis": ANALYSIS, **(spec or {})}
    found: dict[str, Any] = {"apiVersion": API_VERSION, "kind": "Canary", "metadata": about, "spec": wanted}
    return {**found, "status": dict(status)} if status else found


def shown(
    spec: Mapping[str, Any] | None = None, status: Mapping[str, Any] | None = None, **metadata: Any
) -> CanarySeen:
    """What is kept of it."""
    return seen(canary(spec, status, **metadata), moves)


def at_rest() -> Status:
    """Nothing has run."""
    return Status(message_count=1, actions_taken=("a1",))


def running() -> Status:
    """In the middle of a rollout."""
    case = situations.at_20_percent()
    return decide(case.resolved, case.status, case.observed, NOW).status


def rollout() -> Rollout:
    """Its rollout."""
    found = running().rollout
    assert found is not None
    return found


def later(**time: float) -> datetime:
    """So much after the time of all cases."""
    return NOW + timedelta(**time)


@dataclass
class Wire:
    """Keeps what was sent, and answers with what it is given: an answer, or an error to raise."""

    answers: list[Object | int | CanaryError] = field(default_factory=list)
    sent: list[Request] = field(default_factory=list)

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, CanaryError):
            raise answer
        reported = {"kind": "Status", "message": "it is so", "details": {"name": request.name}}
        status, body = (answer, reported) if isinstance(answer, int) else (200, answer)
        return ApiAnswer(status, {}, json.dumps(body).encode())

    def stream(self, request: Request, timeout: float, silence: float) -> Any:
        raise AssertionError("nothing is watched here")

    def renew(self) -> None:
        raise AssertionError("credentials are taken here")

    @property
    def asked(self) -> list[str]:
        """Verbs and kinds."""
        return [f"{one.verb} {one.resource.kind}" for one in self.sent]

    @property
    def bodies(self) -> list[Any]:
        return [one.body for one in self.sent]


def client(wire: Wire) -> Client:
    """A client of it that never waits."""
    return Client(wire, wait=lambda seconds: None, fence=unfenced)


@dataclass
class Watched:
    """In place of a reflector of Canaries."""

    found: dict[tuple[str, str], CanarySeen] = field(default_factory=dict)

    def get(self, namespace: str, name: str) -> CanarySeen | None:
        return self.found.get((namespace, name))

    def put(self, found: Object) -> None:
        self.found[found["metadata"]["namespace"], found["metadata"]["name"]] = seen(found, moves)

    def items(self, namespace: str | None = None) -> Sequence[tuple[tuple[str, str], CanarySeen]]:
        return list(self.found.items())


def watching(*objects: Object) -> Watched:
    """A reflector that has seen these."""
    made = Watched()
    for one in objects:
        made.put(one)
    return made
