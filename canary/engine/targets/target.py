"""What a target is: what starts a rollout, and the stages around moving traffic. Each is one file beside this one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from canary.api.plan import Traffic
from canary.engine.actions import Action
from canary.engine.idle import Idle
from canary.engine.outcome import Finding
from canary.engine.situation import Situation


@dataclass(frozen=True)
class Stage:
    """How far something is that has to happen around the traffic. Rules wait until it is done."""

    done: bool
    reason: str = ""
    """PascalCase, while it isn't done."""
    sentence: str = ""
    """What is missing, while it isn't done."""
    actions: tuple[Action, ...] = ()
    """What to do about it now."""


DONE = Stage(done=True)

IdleRule = Callable[[Idle], Finding | None]


class Target(Protocol):
    """One kind of thing that moves."""

    idle: tuple[IdleRule, ...]
    """The table of what starts a rollout; the first rule that speaks decides, and the last one always speaks."""

    def prepare(self, s: Situation, traffic: Traffic) -> Stage:
        """Is everything there that `traffic` needs?"""

    def promote(self, s: Situation) -> Stage:
        """Has the canary become the stable version, apart from traffic?"""

    def release(self, s: Situation) -> Stage:
        """Is what the rollout needed put away?"""
