"""When are two rollouts the same? What no later decision can tell apart is made equal here.

Times are kept relative to now and cut where longer makes no difference; ids, messages and history are dropped.
The worlds do the same with the rest of a state. So the states of a small plan are finitely many.
"""

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Any

from canary.api.evidence import EvaluationResult, Evidence
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Approval, End, GateWait, Pause, Rollout
from canary.api.webhooks import HookRun
from canary.engine.next_traffic import step_at

from .situations import NOW

ZERO = timedelta()


def rebased(rollout: Rollout, now: datetime) -> Rollout:
    policy = rollout.policy
    stopped = rollout.stopped_at
    left = max(rollout.deadline - (stopped or now), ZERO)
    longest = max(
        policy.settle + policy.lag + policy.scrape_interval, policy.drain, step_at(rollout.plan, rollout.step).hold
    )
    due = rollout.next_evaluation <= now
    missed = (now - rollout.next_evaluation) // policy.interval if due else 0
    return rollout.but(
        number=1,
        started=NOW + left - policy.deadline,
        deadline=NOW + left,
        stopped_at=stopped and NOW,
        in_place_since=ago(rollout.in_place_since, now, longest),
        next_evaluation=NOW + (rollout.next_evaluation + missed * policy.interval - now),
        evaluation=rollout.evaluation and _look(rollout.evaluation),
        evidence=rollout.evidence and _evidence(rollout, rollout.evidence, now),
        short_since=ago(rollout.short_since, now, policy.unready_grace),
        growing_since=ago(rollout.growing_since, now, policy.ready_deadline),
        pause=rollout.pause and Pause(since=NOW),
        halted_at=rollout.halted_at and NOW,
        gates=tuple(_gate(rollout, gate, now) for gate in rollout.gates),
        approvals=tuple(Approval(action="", author=name) for name in sorted({a.author for a in rollout.approvals})),
        iterations=min(rollout.iterations, step_at(rollout.plan, rollout.step).iterations),
        highest=0,
        stable_left=None,
        hooks=tuple(_run(rollout, run, now) for run in rollout.hooks),
        failed_before=min(rollout.failed_before, policy.threshold),
        end=rollout.end and End(outcome=rollout.end.outcome, reason=Reason.UNDECIDED, message="", at=NOW),
    )


def _run(rollout: Rollout, run: HookRun, now: datetime) -> HookRun:
    """Of a call that is under way, nothing else matters; of an answer that was used, only whether it failed."""
    bare = HookRun(key=run.key, name="")
    if run.pending:
        return bare.but(asked=NOW)
    every = rollout.policy.interval
    if run.answered:
        asked = ago(run.asked, now, every)
        return bare.but(asked=asked, at=asked, result=run.result)
    return bare.but(at=ago(run.at, now, every), result="failed") if run.result == "failed" else bare


def ago(time: datetime | None, now: datetime, longest: timedelta) -> datetime | None:
    return None if time is None else NOW - min(now - time, longest)


def _look(look: EvaluationResult) -> EvaluationResult:
    return EvaluationResult(at=NOW, verdict=look.verdict, reason=Reason("Look"), message="")


def _evidence(rollout: Rollout, evidence: Evidence, now: datetime) -> Evidence:
    policy, data = rollout.policy, evidence.data
    kept: dict[str, Any] = {"failed_checks": min(data["failed_checks"], policy.threshold)}
    for clock, limit in (("no_data_since", policy.on_no_data), ("unreachable_since", policy.on_unreachable)):
        since = data.get(clock) and ago(datetime.fromisoformat(data[clock]), now, limit.after)
        kept[clock] = since and since.isoformat()
    return Evidence(judge=evidence.judge, version=evidence.version, data=kept, up_to=NOW)


def _gate(rollout: Rollout, gate: GateWait, now: datetime) -> GateWait:
    if gate.deadline is None:
        return gate.but(since=NOW, answer=gate.answer and "no")
    still = rollout.halted_at
    left = gate.deadline - (now if still is None else max(still, gate.since))
    return gate.but(since=NOW, deadline=NOW + max(left, ZERO))


def key_of(rollout: Rollout | None) -> Hashable:
    """The fields that differ between canonical rollouts of one plan."""
    if rollout is None:
        return None
    data = rollout.evidence.data if rollout.evidence else {}
    return (
        rollout.step, traffic_key(rollout.desired), traffic_key(rollout.previous), rollout.in_place_since,
        rollout.deadline, rollout.next_evaluation, rollout.iterations,
        rollout.evaluation and rollout.evaluation.verdict,
        tuple(data.values()),
        rollout.short_since, rollout.growing_since,
        rollout.pause is not None, rollout.stopped_at, rollout.halted_at, rollout.skipped,
        rollout.hurried, tuple(one.author for one in rollout.approvals), rollout.end and rollout.end.outcome,
        tuple((gate.name, gate.deadline, gate.open, gate.asking) for gate in rollout.gates), rollout.stable_replicas,
        tuple((run.key, run.asked, run.at, run.result) for run in rollout.hooks),
        (rollout.prepared, rollout.failed_before),
    )  # fmt: skip


def traffic_key(traffic: Traffic | None) -> Hashable:
    return traffic and (traffic.weight, traffic.mirror, bool(traffic.match))
