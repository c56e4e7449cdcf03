"""The hooks and alerts of a run that dies: what their servers have received, in a file that outlives the process.

Their queues of threads are left out: a call is received at once, and answered when it is asked for once more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from canary.alerts.alert_queue import AlertQueue, QueuedAlert
from canary.alerts.canary_alerts import CanaryAlerts
from canary.alerts.receiver import Receiver
from canary.api.webhooks import HookType
from canary.engine.observed import HookAnswer, HookCall
from canary.engine.resolved import ResolvedSpec
from canary.ports import Alerts, Hooks
from canary.webhooks.calls import HookCalls
from canary.webhooks.exchange import Response
from canary.webhooks.notifications import HookNotifications

ALERTS = {"alerts": [{"name": "team", "severity": "info", "providerRef": {"name": "chat"}}]}
WEBHOOKS = {"webhooks": [{"name": type_, "type": type_, "url": "http://hooks.example/"} for type_ in HookType]}
"""One of each type."""
CHECKS = ("pre-rollout", "rollout")
"""Types whose no is a failed check."""
GATES = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")
REFUSED_ONCE = {type_: [False] for type_ in (*GATES, *CHECKS)}
"""Answers of the first calls."""


@dataclass
class Received:
    """What servers have received: a kind and an id a line."""

    file: Path

    def add(self, kind: str, id_: str) -> None:
        with self.file.open("a") as file:
            file.write(f"{kind} {id_}\n")

    def of(self, kind: str) -> list[str]:
        """The different calls of a kind, in their order."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return list(dict.fromkeys(line for line in lines if line.startswith(f"{kind} ")))


@dataclass
class ReceivedHooks(Hooks):
    """The port Hooks. The same call has the same answer, whichever process makes it."""

    received: Received
    answers: Mapping[str, Sequence[bool]]
    """Those of the first calls by type; later ones pass, but for requests to roll back."""
    _begun: set[str] = field(default_factory=set)

    def ask(self, calls: Sequence[HookCall]) -> Mapping[str, HookAnswer]:
        known = [call for call in calls if call.id in self._begun]
        self._begun = {call.id for call in known}
        self.begin(calls)
        return {call.id: self._answer(call.payload["type"], call.id) for call in known}

    def begin(self, calls: Sequence[HookCall]) -> None:
        for call in calls:
            if call.id not in self._begun:
                self.received.add(call.payload["type"], call.id)
        self._begun |= {call.id for call in calls}

    def news(self) -> bool:
        return False

    def _answer(self, type_: str, id_: str) -> HookAnswer:
        number, first = self.received.of(type_).index(f"{type_} {id_}"), self.answers.get(type_, ())
        passed = first[number] if number < len(first) else type_ != "rollback"
        if not passed:
            self.received.add("refused", f"{type_} {id_}")  # once for each reconcile that is given it
        return HookAnswer(passed, "answered")


@dataclass
class _Notified:
    """The calls of hooks that are notifications."""

    received: Received
    namespace: str = "default"

    def notify(self, call: HookCall, wanted: Callable[[], bool], done: Callable[[Response], None]) -> None:
        self.received.add(call.payload["type"], call.id)
        done(Response(passed=True, detail=""))

    def answered(self) -> None:
        """The next reconcile comes by itself."""


@dataclass
class _Sent:
    """A queue that sends each alert while it is offered."""

    received: Received
    _done: set[object] = field(default_factory=set)

    def offer(self, alert: QueuedAlert) -> bool:
        if alert.id in self._done:
            return True
        self._done.add(alert.id)
        self.received.add("alert", "/".join(map(str, cast(Any, alert.id))).replace(" ", "T"))
        return False


def received_alerts(received: Received, resolved: ResolvedSpec) -> Alerts:
    """The port Alerts: hooks that are notifications, in front of the alerts."""

    def receiver(*_: object) -> Receiver:
        raise AssertionError("nothing is posted here")

    alerts = CanaryAlerts(cast(AlertQueue, _Sent(received)), "uid", lambda: resolved, receiver, "shop")
    return HookNotifications(cast(HookCalls, _Notified(received)), lambda: resolved, alerts)
