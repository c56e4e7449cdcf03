"""What the rules say, in words: a traffic state, what a step still waits for, when a gate's time is up."""

from datetime import timedelta

from canary.api.duration import brief
from canary.api.plan import Traffic
from canary.api.reason import Reason

from .next_traffic import exposed, is_promotion, step_at
from .observed import Cause, Missing, RouteSeen, WorkloadSeen
from .situation import Situation


def no_canary(s: Situation) -> str:
    """Why no replica of the canary can answer."""
    name, seen = s.rollout.canary_version.name, s.observed.canary_workload
    if isinstance(seen, Missing) and seen.detail:
        return f"{name} is gone: {seen.detail}"
    return f"no replica of {name} is available"


def no_stable(s: Situation) -> str:
    """That requests can't go back."""
    return f"no replica of {s.rollout.stable_version.name} is available"


def because(seen: WorkloadSeen) -> str:
    """What Kubernetes says of replicas that are missing, to end a sentence with."""
    return f"; {seen.explanation}" if seen.explanation else ""


def awaited(s: Situation) -> str:
    """The traffic that the route should have."""
    return f"waiting for the route to be at {traffic(s.rollout.desired)}"


def passed(s: Situation, following: int) -> tuple[Reason, str]:
    """Reason and sentence for leaving a step."""
    plan, goal = s.rollout.plan, step_at(s.rollout.plan, following).traffic
    if s.rollout.step == 0:
        return Reason.CANARY_READY, f"{s.rollout.canary_version.name} is available; on to {traffic(goal)}"
    if s.rollout.skipped:
        return Reason.STEP_SKIPPED, f"step {s.rollout.step} skipped by a person; on to {traffic(goal)}"
    if s.copying:
        return Reason.PROMOTING, f"{s.rollout.stable_version.name} is ready; back to {traffic(goal)}"
    if step_at(plan, following).copies:
        return Reason.PROMOTING, f"all steps passed; copying to {s.rollout.stable_version.name}"
    if is_promotion(plan, following):
        return Reason.PROMOTING, f"all steps passed; on to {traffic(goal)}"
    return (
        Reason.STEP_PASSED,
        f"{traffic(s.rollout.desired)} passed {evaluations(s.rollout.iterations)}; on to {traffic(goal)}",
    )


def remaining(s: Situation) -> str:
    """What the step still asks for."""
    missing = s.step.iterations - s.rollout.iterations
    parts = [f"{evaluations(missing)} to go"] if missing > 0 else []
    left = s.step.hold - s.held
    if left > timedelta():
        parts.append(f"held for {brief(timedelta(seconds=round(s.held.total_seconds())))} of {brief(s.step.hold)}")
    return ", ".join(parts) or "step not done yet"


def unread_route(route: RouteSeen | Missing) -> str:
    """Why nothing can be said of the route; one that was read and can't be moved says why itself."""
    if isinstance(route, Missing) and route.cause is Cause.INVALID and route.detail:
        return f"the route can't be moved: {route.detail}"
    return f"the route can't be read: {route}"


def found(route: RouteSeen) -> str:
    """Where the route is instead."""
    return f"at {traffic(route.traffic)}" if route.traffic is not None else route.described


def evaluations(count: int) -> str:
    """How many."""
    return f"{count} evaluation" if count == 1 else f"{count} evaluations"


def matching_words(state: Traffic) -> str:
    """Which of the requests that match meet the canary."""
    return "matching requests" if state.match_weight is None else f"{state.match_weight}% of matching requests"


def traffic(state: Traffic) -> str:
    """A traffic state in a few words: `20%`, `matching requests`, `a mirror of 50%`."""
    parts = [f"{state.weight}%"] if state.weight or not exposed(state) else []
    parts += [matching_words(state)] if state.match else []
    parts += [f"a mirror of {state.mirror}%"] if state.mirror else []
    return " and ".join(parts)
