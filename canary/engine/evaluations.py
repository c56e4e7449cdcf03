"""An evaluation: when one is due, the input of the judge, and how its ruling changes the rollout.

At the start, nothing is judged: the same questions are asked until each of them was answered, so that no traffic
moves while the evidence can't be read.
"""

from datetime import datetime, timedelta

from canary.api.canary import Canary
from canary.api.evidence import EvaluationResult
from canary.api.reason import Reason
from canary.api.status import Rollout

from . import hooks
from .judges import JUDGES
from .judges.judge import Ruling, Standing, Verdict
from .next_traffic import copying, exposed, is_promotion
from .observed import Cause, Missing, Observed, Query, Subject
from .outcome import clipped

SPREAD = timedelta(seconds=10)
"""The most that a driver may add to the first evaluation, so that rollouts that start together don't all evaluate
together."""


def expected(rollout: Rollout) -> bool:
    """Whether evaluations follow: the canary has left the start or waits there for metrics, and no end is decided.

    Once a primary serves all traffic again, there is nothing left to evaluate.
    """
    if rollout.end is not None or (copying(rollout.plan, rollout.step) and not exposed(rollout.desired)):
        return False
    return rollout.step > 0 or not readable(rollout)


def due(rollout: Rollout, now: datetime) -> bool:
    """Whether it is time to evaluate."""
    return expected(rollout) and now >= rollout.next_evaluation


def readable(rollout: Rollout) -> bool:
    """Whether each metric was answered at the start. A plan that goes straight to 100% asks for none."""
    if not rollout.policy.metrics or is_promotion(rollout.plan, 1):
        return True
    return rollout.evaluation is not None and Verdict(rollout.evaluation.verdict) is Verdict.PASS


def first(rollout: Rollout, now: datetime, jitter: timedelta) -> datetime:
    """The first evaluation, where its grid begins."""
    return whole(now + rollout.policy.interval + jitter)


def grid(rollout: Rollout, now: datetime) -> datetime:
    """The latest time on the interval's grid that isn't after now: the nominal time of an evaluation taken now."""
    missed = (now - rollout.next_evaluation) // rollout.policy.interval
    return rollout.next_evaluation + missed * rollout.policy.interval


def standing(canary: Canary, rollout: Rollout, now: datetime) -> Standing:
    """Where the rollout stands, as the judge needs to know it."""
    namespace, policy = canary.metadata.namespace, rollout.policy
    since = rollout.in_place_since
    return Standing(
        at=grid(rollout, now) - policy.lag,
        since=None if since is None else since + policy.settle,
        step=rollout.step,
        steps=len(rollout.plan.steps),
        weight=rollout.desired.weight,
        exposed=exposed(rollout.desired),
        paused=rollout.pause is not None or canary.spec.suspend,
        stable=_subject(rollout, "stable", namespace),
        began=rollout.started,
        canary=_subject(rollout, "canary", namespace),
        hooks=hooks.checks(rollout),
        failed_before=rollout.failed_before,
        names=names_of(canary),
    )


def _subject(rollout: Rollout, side: str, namespace: str) -> Subject:
    """How metrics know one of the pair. What reached no pod is shared with a host, unless one alone has no pod."""
    name = getattr(rollout, f"{side}_version").name
    return Subject(
        workload=getattr(rollout, f"{side}_workload") or name,
        namespace=namespace,
        host=getattr(rollout, f"{side}_host"),
        alone=rollout.stable_host != rollout.canary_host or rollout.podless == name,
        reporter=rollout.policy.reporter,
    )


def names_of(canary: Canary) -> tuple[tuple[str, str], ...]:
    """What a template's functions stand for, except `target` and `interval`; Flagger's for what isn't written."""
    spec, target = canary.spec, canary.spec.target_ref.name
    return (
        ("name", canary.metadata.name),
        ("namespace", canary.metadata.namespace),
        ("service", spec.apex),
        ("ingress", str((spec.ingress_ref or {}).get("name") or target)),
        ("route", str((spec.route_ref or {}).get("name") or target)),
    )


def queries(canary: Canary, rollout: Rollout, now: datetime) -> tuple[Query, ...]:
    """What the judge asks now; nothing between evaluations."""
    judge = JUDGES.get(rollout.policy.judge)
    if judge is None or not due(rollout, now):
        return ()
    return tuple(judge.asks(rollout.policy, rollout.evidence, standing(canary, rollout, now)))


def evaluate(canary: Canary, rollout: Rollout, observed: Observed, now: datetime) -> Ruling | None:
    """The judge's ruling; None when no evaluation is due, and at the start, where there is nothing to judge."""
    judge = JUDGES.get(rollout.policy.judge)
    if judge is None or rollout.step == 0 or not due(rollout, now):
        return None
    return judge.fold(rollout.policy, rollout.evidence, observed.samples, standing(canary, rollout, now))


def asked(canary: Canary, rollout: Rollout, observed: Observed, now: datetime) -> EvaluationResult | None:
    """Whether each metric can be read, at the start; None where that isn't asked now. That there is no data yet is
    an answer."""
    if rollout.step > 0 or not due(rollout, now):
        return None
    unanswered = Missing(Cause.TIMED_OUT, "not answered")
    shown = {metric.name for metric in rollout.policy.metrics if metric.dry_run}
    counted = (query for query in queries(canary, rollout, now) if query.metric not in shown)
    answers = ((query, observed.samples.get(query, unanswered)) for query in counted)
    lacks = [(query, one) for query, one in answers if isinstance(one, Missing) and one.cause.unreachable]
    at = grid(rollout, now)
    if not lacks:
        return EvaluationResult(at=at, verdict="pass", reason=Reason.METRICS_READABLE, message="metrics can be read")
    query, why = lacks[0]
    message = clipped(f"{query.metric} can't be read: {why}")
    return EvaluationResult(at=at, verdict="hold", reason=Reason.METRICS_UNREACHABLE, message=message)


def remembered(rollout: Rollout, ruling: Ruling, now: datetime) -> Rollout:
    """The rollout after an evaluation."""
    at = grid(rollout, now)
    seen = EvaluationResult(
        at=at,
        verdict=ruling.verdict.value,
        reason=ruling.reason,
        message=clipped(ruling.sentence),
        checks=tuple(check.but(detail=clipped(check.detail)) for check in ruling.checks),
        weighing=ruling.weighing,
    )
    passed = ruling.verdict is Verdict.PASS and rollout.in_place_since is not None
    return hooks.used(rollout, now).but(
        evaluation=seen,
        evidence=ruling.evidence,
        next_evaluation=at + rollout.policy.interval,
        iterations=rollout.iterations + passed,
    )


def forgotten(rollout: Rollout, now: datetime) -> Rollout:
    """The rollout with its evidence thrown away: what was seen no longer compares the two that serve.

    At the start there is none: whether metrics can be read stays known.
    """
    if rollout.step == 0:
        return rollout
    since = None if rollout.in_place_since is None else now
    next_evaluation = whole(now + rollout.policy.interval)
    return rollout.but(
        evaluation=None, evidence=None, iterations=0, in_place_since=since, next_evaluation=next_evaluation
    )


def whole(at: datetime) -> datetime:
    """This whole second or the next: where the grid of evaluations begins, so that rollouts share their questions."""
    return at if not at.microsecond else at.replace(microsecond=0) + timedelta(seconds=1)
