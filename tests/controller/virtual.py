"""A controller over sandboxes on virtual time, and what was reported to its watcher."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from canary.api.status import Phase, Status
from canary.controller.controller import Controller
from canary.kube.names import NamespacedName
from canary.rollout.reconcile import Turn
from canary.sandbox.parts import Sandbox
from tests.controller.fleet import Inline, SandboxFleet
from tests.rollout.wired import sandbox

HELD: dict[str, Any] = {"steps": [{"weight": 50, "hold": "1h"}], "deadline": "2h"}


@dataclass
class Watcher:
    """Keeps what is reported to it."""

    turns: dict[NamespacedName, list[Turn]] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    unreadable: list[tuple[NamespacedName, str]] = field(default_factory=list)
    crashes: list[tuple[NamespacedName, Exception]] = field(default_factory=list)
    hindrances: list[tuple[NamespacedName, str]] = field(default_factory=list)
    forgotten: list[NamespacedName] = field(default_factory=list)

    def reconciled(self, key: NamespacedName, turn: Turn, seconds: float, late: float | None) -> None:
        self.turns.setdefault(key, []).append(turn)
        self.late += [] if late is None else [late]

    def hindered(self, key: NamespacedName, why: str, at: datetime) -> None:
        self.hindrances.append((key, why))

    def unread(self, key: NamespacedName, why: str, at: datetime) -> None:
        self.unreadable.append((key, why))

    def crashed(self, key: NamespacedName, error: Exception) -> None:
        self.crashes.append((key, error))

    def forgot(self, key: NamespacedName) -> None:
        self.forgotten.append(key)


@dataclass
class Virtual:
    """A fleet, its controller and its watcher."""

    fleet: SandboxFleet = field(default_factory=SandboxFleet)
    watcher: Watcher = field(default_factory=Watcher)
    controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self.controller = self.another(self.watcher)

    def another(self, watcher: Any) -> Controller:
        """A controller of the same fleet, as after a restart."""
        fleet = self.fleet
        return Controller(fleet, fleet, Inline(), Inline(), fleet.timetable, watcher)

    def add(self, name: str, scenario: str = "good", source: str = "", **analysis: Any) -> NamespacedName:
        """One more Canary, which no watch reports; its world begins now. Each has a source of its own, but those
        that are given the same one."""
        made = sandbox(scenario, **analysis)
        made.world.start = made.world.now = self.fleet.at
        return self.fleet.add(name, made, source or name)

    def box(self, key: NamespacedName) -> Sandbox:
        return self.fleet.reconcilers[key].sandbox

    def status(self, key: NamespacedName) -> Status:
        """As it is saved."""
        stored = self.box(key).store.stored
        return stored.status if stored else Status()

    def phases(self) -> list[Phase]:
        """Of all, in order."""
        return [self.status(key).phase for key in self.fleet.all()]

    def looks(self, key: NamespacedName) -> list[float]:
        """When its evaluations were taken, as seconds since 1970."""
        return [turn.at.timestamp() for turn in self.watcher.turns.get(key, []) if turn.decision.evaluated]
