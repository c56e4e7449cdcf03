"""What traffic comes next. Pure functions over the pinned `Plan`; strategies.py makes plans."""

from canary.api.plan import Plan, Step, Traffic


def step_at(plan: Plan, index: int) -> Step:
    """The step at `index`; the promotion's steps follow the analysed ones."""
    return (*plan.steps, *plan.promotion)[index]


def next_index(plan: Plan, index: int) -> int | None:
    """The step after `index`, or None after the last one."""
    return index + 1 if index + 1 < len(plan.steps) + len(plan.promotion) else None


def promotion_index(plan: Plan) -> int | None:
    """Where everything is asked for at once: the very last step, or the copy to the primary. None for a plan without
    any."""
    last = len(plan.steps) + len(plan.promotion) - 1
    copy = copy_index(plan)
    return copy if copy is not None else last if last > 0 else None


def last_step(plan: Plan) -> int:
    """Index of the very last step."""
    return len(plan.steps) + len(plan.promotion) - 1


def copy_index(plan: Plan) -> int | None:
    """The step that copies the template to the primary; None for targets without one."""
    return next((len(plan.steps) + index for index, step in enumerate(plan.promotion) if step.copies), None)


def copying(plan: Plan, index: int) -> bool:
    """Whether the copy to the primary has begun by the step at `index`."""
    if index < len(plan.steps):
        return False
    begins = copy_index(plan)
    return begins is not None and index >= begins


def is_promotion(plan: Plan, index: int) -> bool:
    """Whether the step at `index` comes after the analysed ones."""
    return index >= len(plan.steps)


def last_analysed(plan: Plan) -> int:
    """Index of the last step that is analysed."""
    return len(plan.steps) - 1


def exposed(traffic: Traffic) -> bool:
    """Whether any request meets the canary, a copied one included."""
    return bool(traffic.weight or traffic.mirror or traffic.match)


def increases(before: Traffic, after: Traffic) -> bool:
    """Whether `after` exposes users whom `before` did not. At weight 100 all users are exposed."""
    if before.weight == 100:
        return False
    return (
        after.weight > before.weight
        or after.mirror > before.mirror
        or any(match not in before.match for match in after.match)
        or (bool(after.match) and matching(after) > matching(before))
    )


def matching(traffic: Traffic) -> int:
    """The canary's share of the requests that match, in per cent."""
    if not traffic.match:
        return 0
    return 100 if traffic.match_weight is None else traffic.match_weight


def below(seen: Traffic, traffic: Traffic) -> bool:
    """Whether `seen` exposes less than `traffic`, and no new users."""
    return seen != traffic and not increases(traffic, seen)
