"""What is wanted of a Canary, resolved: the plan and the policy that a rollout would pin if it started now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from canary.api.canary import Canary, CanaryPolicy, MetricTemplate
from canary.api.guard import Guard
from canary.api.pinned import Policy
from canary.api.plan import Plan

from .policy import effective, resolve
from .strategies import plan_of


@dataclass(frozen=True)
class Desired:
    """A Canary with its plan and policy; `problems` are sentences, and nothing starts while there are any."""

    canary: Canary
    plan: Plan
    policy: Policy
    problems: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    """As `problems`, but only nothing starts: a rollout that runs goes on by what it has pinned."""
    warnings: tuple[str, ...] = ()
    """What is written and not used, or hardly meant: told when a rollout starts, which goes on all the same."""
    guards: tuple[Guard, ...] = ()
    """The Canary's and the policy's; not pinned, so that one that is added holds a running rollout, too."""
    conflict: str = ""
    """Who else moves this target, in a sentence; nothing starts and nothing is raised meanwhile."""
    jitter: timedelta = timedelta()
    """Added to the first look, so that rollouts which start together don't all look together."""


def desired(
    canary: Canary,
    policy: CanaryPolicy | None = None,
    templates: Mapping[str, MetricTemplate] | None = None,
    problems: tuple[str, ...] = (),
) -> Desired:
    """Resolves a Canary. Raises Invalid where it refers to a template that isn't there."""
    analysis = effective(canary.spec, policy)
    plan = plan_of(analysis, canary.spec.skip_analysis)
    guards = (*canary.spec.guards, *(policy.spec.guards if policy is not None else ()))
    return Desired(canary, plan, resolve(canary.spec, analysis, templates or {}), problems, guards=guards)
