"""What traffic comes next. Pure functions over the pinned `Plan`; strategies.py makes plans."""

from canary.api.plan import Plan, Step, Traffic
from canary.api.status import GateWait, Rollout


def step_at(plan: Plan, index: int) -> Step:
    """The step at `index`; the promotion's steps follow the analysed ones."""
    return (*plan.steps, *plan.promotion)[index]


def next_index(plan: Plan, index: int) -> int | None:
    """The step after `index`, or None after the last one."""
    return index + 1 if index + 1 < len(plan.steps) + len(plan.promotion) else None


def promotion_index(plan: Plan) -> int | None:
    """Where everything is asked for at once: the very last step. None for a plan without any."""
    last = len(plan.steps) + len(plan.promotion) - 1
    return last if last > 0 else None


def is_promotion(plan: Plan, index: int) -> bool:
    """Whether the step at `index` comes after the analysed ones."""
    return index >= len(plan.steps)


def last_analysed(plan: Plan) -> int:
    """Index of the last step that is analysed."""
    return len(plan.steps) - 1


def closed(rollout: Rollout) -> tuple[GateWait, ...]:
    """The gates of the present step that were asked and keep it from being left."""
    return tuple(gate for gate in rollout.gates if not gate.open)


def exposed(traffic: Traffic) -> bool:
    """Whether any request meets the canary, a copied one included."""
    return bool(traffic.weight or traffic.mirror or traffic.match)


def raises(before: Traffic, after: Traffic) -> bool:
    """Whether `after` exposes anybody whom `before` did not. At weight 100 there is nobody left to expose."""
    if before.weight == 100:
        return False
    return (
        after.weight > before.weight
        or after.mirror > before.mirror
        or any(match not in before.match for match in after.match)
    )


def below(seen: Traffic, traffic: Traffic) -> bool:
    """Whether `seen` exposes less than `traffic`, and nobody new."""
    return seen != traffic and not raises(traffic, seen)
