"""What the rules say, in words: a traffic state, what a step still waits for, when a gate's time is up."""

from datetime import datetime, timedelta

from canary.api.duration import brief
from canary.api.plan import Traffic

from .observed import Missing, RouteSeen
from .plan import exposed, is_promotion, step_at
from .situation import Situation


def nobody(s: Situation) -> str:
    """Why nobody of the canary can answer."""
    name, seen = s.rollout.canary.name, s.observed.canary
    if isinstance(seen, Missing) and seen.detail:
        return f"{name} is gone: {seen.detail}"
    return f"no replica of {name} is available"


def awaited(s: Situation) -> str:
    """What the route is meant to say."""
    return f"waiting for the route to be at {traffic(s.rollout.meant)}"


def moment(time: datetime, now: datetime) -> str:
    """A time, as short as it can be told."""
    if time.date() == now.date():
        return f"{time:%H:%M:%S} UTC"
    tomorrow = time.date() == (now + timedelta(days=1)).date()
    return f"tomorrow {time:%H:%M} UTC" if tomorrow else f"{time:%Y-%m-%d %H:%M} UTC"


def passed(s: Situation, following: int) -> tuple[str, str]:
    """Reason and sentence for leaving a step."""
    plan, goal = s.rollout.plan, step_at(s.rollout.plan, following).traffic
    if s.rollout.step == 0:
        return "CanaryReady", f"{s.rollout.canary.name} is available; on to {traffic(goal)}"
    if s.rollout.skipped:
        return "StepSkipped", f"step {s.rollout.step} skipped by a person; on to {traffic(goal)}"
    if is_promotion(plan, following):
        return "Promoting", f"all steps passed; on to {traffic(goal)}"
    return "StepPassed", f"{traffic(s.rollout.meant)} passed {looks(s.rollout.looks)}; on to {traffic(goal)}"


def remaining(s: Situation) -> str:
    """What the step still asks for."""
    missing = s.step.looks - s.rollout.looks
    parts = [f"{looks(missing)} to go"] if missing > 0 else []
    left = s.step.hold - s.held
    if left > timedelta():
        parts.append(f"held for {brief(timedelta(seconds=round(s.held.total_seconds())))} of {brief(s.step.hold)}")
    return ", ".join(parts) or "step not done yet"


def found(route: RouteSeen) -> str:
    """Where the route is instead."""
    return f"at {traffic(route.traffic)}" if route.traffic is not None else route.described


def looks(count: int) -> str:
    """How many."""
    return f"{count} look" if count == 1 else f"{count} looks"


def traffic(state: Traffic) -> str:
    """A traffic state in a few words: `20%`, `matching requests`, `a mirror of 50%`."""
    parts = [f"{state.weight}%"] if state.weight or not exposed(state) else []
    parts += ["matching requests"] if state.match else []
    parts += [f"a mirror of {state.mirror}%"] if state.mirror else []
    return " and ".join(parts)
