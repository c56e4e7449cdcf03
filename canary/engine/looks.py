"""A look: when one is due, what the judge is told of the standing, and how its ruling enters the rollout."""

from datetime import datetime, timedelta

from canary.api.canary import Canary
from canary.api.evidence import LookResult
from canary.api.status import Rollout

from .judges import JUDGES
from .judges.judge import Ruling, Standing, Verdict
from .observed import Observed, Query, Subject
from .people import clipped
from .plan import exposed

SPREAD = timedelta(seconds=10)
"""The most that a driver may add to the first look, so that rollouts which start together don't all look together."""


def due(rollout: Rollout, now: datetime) -> bool:
    """Whether it is time to look: the canary has left the start, and nothing is decided yet."""
    return rollout.step > 0 and rollout.end is None and now >= rollout.next_look


def first(rollout: Rollout, now: datetime, jitter: timedelta) -> datetime:
    """The first look, where its grid begins."""
    return whole(now + rollout.policy.interval + jitter)


def grid(rollout: Rollout, now: datetime) -> datetime:
    """The latest time on the interval's grid that isn't after now: the nominal time of a look taken now."""
    missed = (now - rollout.next_look) // rollout.policy.interval
    return rollout.next_look + missed * rollout.policy.interval


def standing(canary: Canary, rollout: Rollout, now: datetime) -> Standing:
    """Where the rollout stands, as the judge needs to know it."""
    namespace, policy = canary.metadata.namespace, rollout.policy
    since = rollout.in_place_since
    return Standing(
        at=grid(rollout, now) - policy.lag,
        since=None if since is None else since + policy.settle,
        step=rollout.step,
        steps=len(rollout.plan.steps),
        weight=rollout.meant.weight,
        exposed=exposed(rollout.meant),
        paused=rollout.pause is not None or canary.spec.suspend,
        stable=_subject(rollout, "stable", namespace),
        began=rollout.started,
        canary=_subject(rollout, "canary", namespace),
        names=(
            ("name", canary.metadata.name),
            ("namespace", namespace),
            ("service", canary.spec.target_ref.name),
        ),
    )


def _subject(rollout: Rollout, side: str, namespace: str) -> Subject:
    """How metrics know one of the pair. What reached no pod is shared with a host, unless one alone has no pod."""
    name = getattr(rollout, side).name
    return Subject(
        workload=getattr(rollout, f"{side}_workload") or name,
        namespace=namespace,
        host=getattr(rollout, f"{side}_host"),
        alone=rollout.stable_host != rollout.canary_host or rollout.podless == name,
        reporter=rollout.policy.reporter,
    )


def queries(canary: Canary, rollout: Rollout, now: datetime) -> tuple[Query, ...]:
    """What the judge asks now; nothing between looks."""
    if not due(rollout, now):
        return ()
    judge = JUDGES[rollout.policy.judge]
    return tuple(judge.asks(rollout.policy, rollout.evidence, standing(canary, rollout, now)))


def look(canary: Canary, rollout: Rollout, observed: Observed, now: datetime) -> Ruling | None:
    """The judge's ruling, or None when no look is due."""
    if not due(rollout, now):
        return None
    judge = JUDGES[rollout.policy.judge]
    return judge.fold(rollout.policy, rollout.evidence, observed.samples, standing(canary, rollout, now))


def remembered(rollout: Rollout, ruling: Ruling, now: datetime) -> Rollout:
    """The rollout after a look."""
    at = grid(rollout, now)
    seen = LookResult(
        at=at,
        verdict=ruling.verdict.value,
        reason=ruling.reason,
        message=clipped(ruling.sentence),
        checks=tuple(check.but(detail=clipped(check.detail)) for check in ruling.checks),
    )
    passed = ruling.verdict is Verdict.PASS and rollout.in_place_since is not None
    return rollout.but(
        look=seen,
        evidence=ruling.evidence,
        next_look=at + rollout.policy.interval,
        looks=rollout.looks + passed,
    )


def forgotten(rollout: Rollout, now: datetime) -> Rollout:
    """The rollout with its evidence thrown away: what was seen no longer compares the two that serve."""
    since = None if rollout.in_place_since is None else now
    next_look = whole(now + rollout.policy.interval)
    return rollout.but(look=None, evidence=None, looks=0, in_place_since=since, next_look=next_look)


def until_next(rollout: Rollout, now: datetime) -> timedelta:
    """Time until the next look; zero when it is due."""
    return max(rollout.next_look - now, timedelta())


def whole(at: datetime) -> datetime:
    """This whole second or the next: where the grid of looks begins, so that rollouts share their questions."""
    return at if not at.microsecond else at.replace(microsecond=0) + timedelta(seconds=1)
