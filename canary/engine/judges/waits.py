"""How long missing metrics are borne, for all judges: two clocks, and what the policy says once they are over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from canary.api.duration import brief
from canary.api.pinned import Limit, Policy
from canary.api.plan import Answer
from canary.api.reason import Reason
from canary.engine.formats import moment
from canary.engine.observed import Missing

from .judge import Standing, Verdict

Lack = tuple[str, Missing]
"""The name of a metric, and why it has no value."""


@dataclass(frozen=True)
class Clocks:
    """Since when metrics lack data, or can't be read; None while they don't."""

    no_data_since: str | None = None
    unreachable_since: str | None = None


def wait(clocks: Clocks, missing: Sequence[Lack], standing: Standing) -> Clocks:
    """Starts, keeps or stops the two clocks; they run only while requests can reach the canary, without a pause."""
    runs = standing.exposed and not standing.paused
    unreachable = runs and any(one.cause.unreachable for _, one in missing)
    no_data = runs and any(not one.cause.unreachable for _, one in missing)
    now = standing.at.isoformat()
    return Clocks(
        unreachable_since=(clocks.unreachable_since or now) if unreachable else None,
        no_data_since=(clocks.no_data_since or now) if no_data else None,
    )


def bear(
    policy: Policy, clocks: Clocks, missing: Sequence[Lack], standing: Standing
) -> tuple[Verdict, Reason, str] | None:
    """What missing metrics amount to; None where the manifest wants them to pass."""
    unreachable = [(name, one) for name, one in missing if one.cause.unreachable]
    name, why = (unreachable or missing)[0]
    limit = policy.on_unreachable if unreachable else policy.on_no_data
    since = clocks.unreachable_since if unreachable else clocks.no_data_since
    reason = Reason.METRICS_UNREACHABLE if unreachable else Reason.NO_DATA
    what = f"{name} can't be read: {why}" if unreachable else f"no evidence of {name}: {why}"
    if since is None:
        return Verdict.HOLD, reason, what
    began = datetime.fromisoformat(since)
    lasted = standing.at - began
    if lasted < limit.after or limit.then is Answer.HOLD:
        return Verdict.HOLD, reason, f"{what}, since {moment(began, standing.at)}{answer(limit, began, standing)}"
    if limit.then is Answer.PROMOTE:
        return None
    return Verdict.ROLL_BACK, reason, f"{what}, for {brief(lasted)}"


def answer(limit: Limit, began: datetime, standing: Standing) -> str:
    """What follows, and when, where the manifest doesn't want to wait for the deadline."""
    then = {Answer.ROLLBACK: "rolled back", Answer.PROMOTE: "passed"}.get(limit.then)
    return f", to be {then} at {moment(began + limit.after, standing.at)}" if then else ""
