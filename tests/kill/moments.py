"""Moments of a run in a cluster, each with a name: the phase that was saved last, what was done, and how often.

A process dies at the requested one. `Wire` has those of the API server, `Watched` those of other ports.
"""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from canary.api.plan import Traffic
from canary.istio.reading import read
from canary.istio.scope import Scope
from canary.kube.client import Stream
from canary.kube.connection import Connection
from canary.kube.errors import ApiAnswer
from canary.kube.requests import ApiVerb, Request
from canary.kube.resources import CONFIG_MAPS
from canary.routers.istio import VIRTUAL_SERVICES
from tests.kill.world import Durable

NOTHING = "Unsaved"
"""The phase of a rollout that no one has saved yet."""


@dataclass
class Moments:
    """Names what passes, and dies at one of them."""

    fatal: str
    phase: str = NOTHING
    passed: list[str] = field(default_factory=list)
    _often: Counter[str] = field(default_factory=Counter)

    def __call__(self, what: str) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # renewals of the lock come whenever they come
        moment = f"{self.phase}: {what}"
        self._often[moment] += 1
        self.passed.append(f"{moment} #{self._often[moment]}")
        if self.passed[-1] == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Watched:
    """A port; there is a moment before and after each call of it."""

    port: Any
    name: str
    moment: Moments

    def __getattr__(self, method: str) -> Callable[..., Any]:
        call = getattr(self.port, method)

        def watched(*args: Any) -> Any:
            self.moment(f"before {self.name}")
            answer = call(*args)
            self.moment(f"after {self.name}")
            return answer

        return watched


@dataclass
class Wire:
    """There is a moment before and after each request; tells the world how far the route has gone."""

    wire: Connection
    world: Durable
    moment: Moments
    writes: list[str] = field(default_factory=list)
    pair: tuple[str, str] = ("v1", "v2")
    """Stable and canary."""

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        what = f"{request.verb} {request.resource.kind}"
        self.moment(f"before {what}")
        answer = self.wire.exchange(request, timeout)
        if request.writes:
            self._wrote(request, answer, what)
        self.moment(f"after {what}")
        return answer

    def stream(self, request: Request, timeout: float, silence: float) -> Stream:
        return self.wire.stream(request, timeout, silence)

    def renew(self) -> None:
        self.wire.renew()

    def _wrote(self, request: Request, answer: ApiAnswer, what: str) -> None:
        self.writes.append(what)
        if request.resource == VIRTUAL_SERVICES and answer.status == 200:
            scope = Scope(request.namespace, (request.name,))
            self._moved(read([json.loads(answer.body)], None, scope, *self.pair).traffic)
        if request.resource == CONFIG_MAPS and "status" in request.body["data"]:
            self.moment.phase = json.loads(request.body["data"]["status"])["phase"]

    def _moved(self, traffic: Traffic | None) -> None:
        weight = traffic.weight if traffic else 0
        highest, last = self.world.state["highest"], self.world.state["traffic"].get("weight", 0)
        rose = self.world.state["rose"] or (highest > 0 and last == 0 < weight)
        self.world.keep(traffic={"weight": weight}, highest=max(highest, weight), rose=rose)


def deadly(passed: list[str]) -> list[str]:
    """Where to die: after each write, and in each phase once after each other thing that is done.

    What happens before a write is remembered by no one, so the point after any earlier write stands for it.
    """
    writes = tuple(f": after {verb} " for verb in (ApiVerb.CREATE, ApiVerb.PATCH, ApiVerb.DELETE))
    after = [moment for moment in passed if ": after " in moment]
    return [moment for moment in after if moment.endswith(" #1") or any(write in moment for write in writes)]
