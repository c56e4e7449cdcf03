"""How far things are: weights as bars, failed checks as pips, steps and approvals as numbers."""

from canary.api.plan import Plan, Traffic
from canary.api.status import Rollout
from canary.engine.wording import matching_words

from .terminal import Line, Screen, Signs, Span, Tone

RECONCILES = 8
"""With more steps than this, the bar has no ticks for them."""
PIPS = 10
"""A higher threshold is shown only as a number."""


def bar(traffic: Traffic, plan: Plan, width: int, signs: Signs, tone: Tone = "accent") -> Line:
    """The canary's share of `width` signs, and where the next steps are."""
    filled = round(traffic.weight * width / 100)
    ticks = {round(weight * width / 100) for weight in _ahead(traffic, plan)}
    rest = "".join(signs.tick if place in ticks else signs.rest for place in range(filled, width))
    return (Span(signs.full * filled, tone), Span(rest, "dim"))


def weight(traffic: Traffic) -> str:
    """`20%`, and what else meets the canary."""
    parts = [f"{traffic.weight}%"]
    parts += [matching_words(traffic)] if traffic.match else []
    parts += [f"a mirror of {traffic.mirror}%"] if traffic.mirror else []
    return " + ".join(parts)


def steps(plan: Plan) -> int:
    """The number of the last step; the start is step 0."""
    return len(plan.steps) + len(plan.promotion) - 1


def step(rollout: Rollout) -> str:
    """`step 2 of 5`."""
    return f"step {rollout.step} of {steps(rollout.plan)}" if rollout.step else "before step 1"


def pips(failed: int, threshold: int, screen: Screen) -> Line:
    """`●●○○○ 2 of 5`."""
    counted = Span(f"{failed} of {threshold}")
    if threshold > PIPS:
        return (counted,)
    filled = min(failed, threshold)
    signs = screen.signs
    return (Span(signs.pip * filled, "bad"), Span(signs.hole * (threshold - filled), "dim"), Span(" "), counted)


def counts_checks(rollout: Rollout, failed: int) -> bool:
    """Whether failed checks can end the rollout: a judge that weighs evidence counts only those by webhooks."""
    return rollout.policy.sequential is None or bool(rollout.policy.webhooks) or failed > 0


def approvals(given: int, needed: int) -> str:
    """`1 of 2 approvals`; where one is enough, whether it was given."""
    if needed == 1:
        return "approved" if given else "no approval yet"
    return f"{given} of {needed} approvals"


def _ahead(traffic: Traffic, plan: Plan) -> set[int]:
    weights = {one.traffic.weight for one in (*plan.steps, *plan.promotion)}
    ahead = {one for one in weights if traffic.weight < one < 100}
    return ahead if len(weights) <= RECONCILES else set()
