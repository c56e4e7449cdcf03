"""A sandbox with a rollout to drive, parts that fail or die on command, and a record of what was called in order."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from canary.api.action import CanaryAction, Verb
from canary.engine.resolved import resolve_spec
from canary.ports import Parts
from canary.rollout.drive import Drive, Options
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn
from canary.sandbox.parts import Sandbox, SandboxTarget
from canary.sandbox.scenarios import SCENARIOS
from canary.sandbox.world import world_of
from tests.engine.situations import manifest

QUICK: dict[str, Any] = {
    "interval": "10s", "threshold": 2, "settle": "0s", "scrapeInterval": "1s", "drain": "5s", "deadline": "10m",
    "unreadyGrace": "5s", "steps": [{"weight": 20}, {"weight": 50}],
    "metrics": [
        {"name": "request-success-rate", "interval": "10s", "thresholdRange": {"min": 99}},
        {"name": "request-duration", "interval": "10s", "thresholdRange": {"max": 200}},
    ],
}  # fmt: skip
GATED = [{"weight": 20, "gates": [{"approval": {"count": 1}, "timeout": "5m"}]}, {"weight": 50}]


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


def sandbox(scenario: str = "good", spec: dict[str, Any] | None = None, seed: int = 1, **analysis: Any) -> Sandbox:
    """A world in which v2 behaves so, and a quick rollout to it."""
    world = world_of(SCENARIOS[scenario], "v1", "v2", rps=50.0, seed=seed)
    return Sandbox(world, SandboxTarget(resolve_spec(manifest(spec, **{**QUICK, **analysis}))))


@dataclass
class Recorded:
    """The sandbox's parts, each call noted; at the n-th call the process dies, before or after it is done."""

    box: Sandbox
    die_at: int | None = None
    after: bool = False
    calls: list[str] = field(default_factory=list)

    @property
    def parts(self) -> Parts:
        """Parts to reconcile with."""
        names = ("target", "router", "workloads", "metrics", "store", "inbox", "notifier", "primary")
        parts = ((name, getattr(self.box, name)) for name in names)
        ports: dict[str, Any] = {name: _Port(name, part, self) for name, part in parts if part is not None}
        return replace(self.box.parts, **ports)

    def call(self, name: str, method: Callable[..., Any], *arguments: Any) -> Any:
        """Notes the call, and dies if it is time to."""
        self.calls.append(name)
        dies = len(self.calls) - 1 == self.die_at
        if dies and not self.after:
            raise Killed
        result = method(*arguments)
        if dies:
            raise Killed
        return result


class _Port:
    """One port whose calls are recorded."""

    def __init__(self, name: str, part: Any, recorded: Recorded) -> None:
        self.name, self.part, self.recorded = name, part, recorded

    def __getattr__(self, method: str) -> Callable[..., Any]:
        called = getattr(self.part, method)
        return lambda *arguments: self.recorded.call(f"{self.name}.{method}", called, *arguments)


@dataclass
class Driven:
    """A run, and what it reported."""

    box: Sandbox
    options: Options = field(default_factory=Options)
    parts: Parts | None = None
    turns: list[Turn] = field(default_factory=list)
    drive: Drive = field(init=False)

    def __post_init__(self) -> None:
        self.drive = Drive(self.parts or self.box.parts, self.options, self.turns.append)

    def run(self) -> Ending:
        """To its end."""
        return self.drive.run()

    def at(self, seconds: float, happens: Callable[[], None]) -> "Driven":
        """Lets something happen on the way."""
        self.box.clock.at(seconds, happens)
        return self

    @property
    def timeline(self) -> list[tuple[str, int, str]]:
        """Phase, weight and reason, each time that one of them changed."""
        rows: list[tuple[str, int, str]] = []
        for turn in self.turns:
            status = turn.decision.status
            row = (str(status.phase), status.canary_weight, turn.decision.reason)
            rows += [row] if rows[-1:] != [row] else []
        return rows


def driven(scenario: str = "good", options: Options | None = None, **analysis: Any) -> Driven:
    """A run of this scenario."""
    return Driven(sandbox(scenario, **analysis), options or Options())


def ask(box: Sandbox, verb: Verb, author: str = "ada", **more: Any) -> None:
    """A person asks for this now."""
    number = len(box.inbox.actions)
    given = {"id": f"{verb}-{number}", "target": "web", "verified": True, "at": box.world.now, **more}
    box.inbox.actions.append(CanaryAction.model_validate({**given, "verb": verb, "author": author}))
