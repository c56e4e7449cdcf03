"""Webhooks: which are called now, what is posted, and what their answers change. `canary/webhooks` calls them.

A call is asked for until its answer is seen, so no reconcile waits for one:

    fold      answers of earlier calls → the runs in status
              evaluations and gates use the runs; `due` adds the next ones
    calls     each run that has no answer yet: begun once the status is saved, or by the next process

Hooks of type `rollout` are called when the traffic of a step is in place, and after each evaluation; the next
evaluation uses their answers. So a slow hook delays none: an evaluation without its answer holds, unless a metric
fails.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from canary.api.canary import Canary
from canary.api.evidence import CheckResult
from canary.api.plan import Gate, OpaGate
from canary.api.status import Phase, Rollout, Status
from canary.api.webhooks import HookRequest, HookRun, HookType, Webhook

from .next_traffic import exposed, is_promotion, last_analysed, last_step, step_at
from .observed import HookAnswer, HookCall

DETAIL = 200
"""Characters of an answer in status."""
GATES = frozenset({HookType.CONFIRM_ROLLOUT, HookType.CONFIRM_TRAFFIC_INCREASE, HookType.CONFIRM_PROMOTION})
_ALWAYS = datetime(1, 1, 1, tzinfo=UTC)
_OWN_PHASE = frozenset({HookType.CONFIRM_ROLLOUT, HookType.ROLLBACK})
"""Types whose payload has the Canary's phase; Flagger posts Progressing for the others."""


@dataclass(frozen=True)
class Hook:
    """A hook of a rollout."""

    key: str
    type: HookType
    name: str
    request: HookRequest
    gate: bool = False
    """Whether it is a gate of the present step that is written there."""

    @property
    def called(self) -> str:
        """Its name in status and messages."""
        return self.name if self.gate else f"{self.type} {self.name}"


def hooks_of(rollout: Rollout) -> Iterator[Hook]:
    """All hooks that a rollout may call."""
    for index, one in enumerate(rollout.policy.webhooks):
        yield Hook(str(index), HookType(one.type), one.name, one)
    for gate in step_at(rollout.plan, rollout.step).gates:
        if gate.request is not None:
            yield of_gate(gate, gate.request)


def of_gate(gate: Gate, request: HookRequest) -> Hook:
    """The hook of a gate that is written at a step."""
    return Hook(f"gate {gate.called}", HookType.CONFIRM_TRAFFIC_INCREASE, gate.called, request, gate=True)


def gating(rollout: Rollout) -> tuple[Hook, ...]:
    """The hooks in Flagger's form that are gates of the present step."""
    found = (hook for hook in hooks_of(rollout) if not hook.gate and hook.type in _GATES)
    return tuple(hook for hook in found if _GATES[hook.type](rollout))


def muted(rollout: Rollout) -> bool:
    """Whether each closed gate belongs to a hook with `muteAlert`."""
    quiet = {one.called for one in hooks_of(rollout) if isinstance(one.request, Webhook) and one.request.mute_alert}
    closed = {gate.name for gate in rollout.gates if not gate.open}
    return bool(closed) and closed <= quiet


def _at_start(rollout: Rollout) -> bool:
    return rollout.step == 0


def _at_last(rollout: Rollout) -> bool:
    return rollout.step > 0 and rollout.step == last_analysed(rollout.plan)


def _before_increase(rollout: Rollout) -> bool:
    """Before each increase of the weight, once the canary is available; not while requests are mirrored."""
    plan, here = rollout.plan, step_at(rollout.plan, rollout.step).traffic
    if here.mirror or is_promotion(plan, rollout.step) or (rollout.step == 0 and not rollout.prepared):
        return False
    if rollout.step == last_analysed(plan):
        return bool(here.weight)
    return plan.steps[rollout.step + 1].traffic.weight > here.weight


_GATES: Mapping[HookType, Callable[[Rollout], bool]] = {
    HookType.CONFIRM_ROLLOUT: _at_start,
    HookType.CONFIRM_TRAFFIC_INCREASE: _before_increase,
    HookType.CONFIRM_PROMOTION: _at_last,
}


def run_of(rollout: Rollout, hook: Hook) -> HookRun:
    """The calls of a hook so far."""
    found = next((run for run in rollout.hooks if run.key == hook.key), None)
    return found or HookRun(key=hook.key, name=hook.called)


# ---- answers ---------------------------------------------------------------------------------------------------


def answered(rollout: Rollout, answers: Mapping[str, HookAnswer], now: datetime) -> Rollout:
    """The rollout with the answers that came. Failed checks before the first increase are counted here."""
    if not rollout.hooks:
        return rollout
    runs = tuple(_answered(run, answers.get(call_id(rollout, run)), now) for run in rollout.hooks)
    return _counted(rollout if runs == rollout.hooks else rollout.but(hooks=runs))


def _answered(run: HookRun, answer: HookAnswer | None, now: datetime) -> HookRun:
    if answer is None or run.asked is None or not run.pending:
        return run
    result = "passed" if answer.passed else "failed"
    return run.but(result=result, detail=answer.detail[:DETAIL], at=max(now, run.asked))


def _counted(rollout: Rollout) -> Rollout:
    """One failed check for all hooks that failed together; those are called again after an interval."""
    checked = [run_of(rollout, hook).key for hook in hooks_of(rollout) if hook.type is HookType.PRE_ROLLOUT]
    runs = [run for run in rollout.hooks if run.key in checked]
    failed = {run.key for run in runs if run.answered and not run.passed}
    if not failed or any(run.pending for run in runs):
        return rollout
    return _idle(rollout, lambda run: run.key in failed).but(failed_before=rollout.failed_before + 1)


def _idle(rollout: Rollout, which: Callable[[HookRun], bool]) -> Rollout:
    """The rollout without these calls; the last answers stay for people."""
    if not any(run.asked is not None and which(run) for run in rollout.hooks):
        return rollout
    runs = tuple(run.but(asked=None) if which(run) else run for run in rollout.hooks)
    return rollout.but(hooks=runs)


def used(rollout: Rollout, now: datetime) -> Rollout:
    """After an evaluation: each answer of a check counts for one. Requests to roll back go with the checks, so that
    one reconcile begins all calls of an interval."""
    types = {hook.key: hook.type for hook in hooks_of(rollout)}

    def over(run: HookRun) -> bool:
        if run.asked is None or not run.answered:
            return False
        old = now - run.asked >= rollout.policy.interval / 2
        return types[run.key] is HookType.ROLLOUT or (types[run.key] is HookType.ROLLBACK and not run.passed and old)

    return _idle(rollout, lambda run: run.key in types and over(run))


def left(rollout: Rollout) -> Rollout:
    """At the end of a step: answers were about that step, apart from requests to roll back."""
    keys = {hook.key for hook in hooks_of(rollout) if hook.type is HookType.ROLLBACK}
    return _idle(rollout, lambda run: run.key not in keys)


# ---- calls -----------------------------------------------------------------------------------------------------


def due(rollout: Rollout, gates_asked: bool, halted: bool, now: datetime) -> Rollout:
    """The rollout with the calls that begin now, and without those that are no longer wanted."""
    runs, latest = [], now + rollout.policy.interval * 1.5  # see `_next`
    for hook in hooks_of(rollout):
        run = run_of(rollout, hook)
        if not _wanted(rollout, hook, gates_asked, halted):
            run = run.but(asked=None) if run.pending or hook.type is HookType.ROLLBACK else run
        elif (at := _next(rollout, hook, run)) is not None and not now < at <= latest:
            run = _called(run, now)  # at once, too, where the clock was set back
        if run.asked is not None or run.result:
            runs.append(run)
    return rollout if tuple(runs) == rollout.hooks else rollout.but(hooks=tuple(runs))


def _called(run: HookRun, now: datetime) -> HookRun:
    """A new call. Its answer must come after it: one that was seen just now, or by a later clock, is of the call
    before."""
    before = run.at if run.at is not None and run.at < now else None
    return run.but(asked=now, at=before)


def _wanted(rollout: Rollout, hook: Hook, gates_asked: bool, halted: bool) -> bool:
    if rollout.end is not None:
        return False
    match hook.type:
        case HookType.ROLLBACK:
            return exposed(rollout.desired) or 0 < rollout.step <= last_analysed(rollout.plan)  # blue/green, too
        case HookType.PRE_ROLLOUT:
            return rollout.step == 0 and rollout.prepared and not halted
        case HookType.ROLLOUT:
            return rollout.in_place_since is not None and not halted and _checks(rollout)
        case HookType.POST_ROLLOUT | HookType.EVENT:
            return False
    return gates_asked and not halted and (hook.gate or _GATES[hook.type](rollout))


def _checks(rollout: Rollout) -> bool:
    """Whether hooks are part of the evaluations of this step."""
    promotion = is_promotion(rollout.plan, rollout.step)
    return rollout.step > 0 and not (promotion and step_at(rollout.plan, rollout.step).iterations == 0)


def _next(rollout: Rollout, hook: Hook, run: HookRun) -> datetime | None:
    """When a wanted hook is called next; None while its answer is awaited or still to be used."""
    every = rollout.policy.interval
    if run.asked is None:
        failed = hook.type is HookType.PRE_ROLLOUT and run.result == "failed"
        return run.at + every if failed and run.at is not None else _ALWAYS
    asks_again = hook.type is HookType.ROLLBACK or hook.type in GATES
    if not asks_again or not run.answered or run.passed:
        return None
    at = run.asked + every
    return max(at, min(rollout.next_evaluation, at + every / 2)) if hook.type is HookType.ROLLBACK else at


def times(rollout: Rollout) -> Iterator[datetime]:
    """When hooks are called again."""
    found = (_next(rollout, hook, run_of(rollout, hook)) for hook in hooks_of(rollout))
    yield from (at for at in found if at is not None)


def call_id(rollout: Rollout, run: HookRun) -> str:
    """The same for the same call, whichever process makes it."""
    asked = run.asked.isoformat() if run.asked else ""
    return f"{rollout.number}/{rollout.started.isoformat()}/{run.key}/{asked}"


def calls(canary: Canary, status: Status) -> tuple[HookCall, ...]:
    """The calls without an answer."""
    rollout, found = status.rollout, []
    if rollout is None or rollout.end is not None:
        return ()
    for hook in hooks_of(rollout):
        run = run_of(rollout, hook)
        if run.pending:
            phase = status.phase if hook.type in _OWN_PHASE else Phase.PROGRESSING
            posted = payload(canary, status, phase, hook.request.metadata)
            posted["type"] = "gate" if hook.gate else hook.type.value
            decides = isinstance(hook.request, OpaGate)
            body = {"input": posted} if decides else posted
            found.append(HookCall(call_id(rollout, run), hook.request, body, _urgent(hook), decides))
    return tuple(found)


def _urgent(hook: Hook) -> frozenset[bool]:
    """An evaluation uses the answers of checks; a no to a request to roll back changes nothing."""
    match hook.type:
        case HookType.ROLLOUT:
            return frozenset()
        case HookType.ROLLBACK:
            return frozenset({True})
    return frozenset({True, False})


def payload(canary: Canary, status: Status, phase: Phase, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What is posted: Flagger's fields, then ours."""
    rollout = status.rollout
    version = rollout.canary_version if rollout else status.failed or status.stable
    posted: dict[str, Any] = {
        "name": canary.metadata.name,
        "namespace": canary.metadata.namespace,
        "phase": phase.value,
        "checksum": checksum(str(version or "")),
        **({"metadata": dict(metadata)} if metadata else {}),
        "version": version.name if version else "",
        "revision": version.revision if version else "",
        "weight": status.canary_weight,
        "reason": status.reason.value,
        "message": status.message,
    }
    if rollout is not None:
        step = {"step": rollout.step, "steps": last_step(rollout.plan), "rollout": rollout.number}
        posted |= {"weight": rollout.desired.weight, "images": list(rollout.images), **step}
    return posted


def checksum(version: str) -> str:
    """Another one for each revision, as in Flagger's payload."""
    return str(crc32(version.encode()))


# ---- what rules and judges ask ---------------------------------------------------------------------------------


def checks(rollout: Rollout) -> tuple[CheckResult, ...]:
    """The answers for an evaluation; one that is awaited is missing."""
    if not _checks(rollout):
        return ()
    hooks = (hook for hook in hooks_of(rollout) if hook.type is HookType.ROLLOUT)
    return tuple(_check(hook, run_of(rollout, hook)) for hook in hooks)


def _check(hook: Hook, run: HookRun) -> CheckResult:
    if not run.answered:
        return CheckResult(metric=hook.name, result="missing", detail="not answered yet")
    return CheckResult(metric=hook.name, result="passed" if run.passed else "failed", detail=run.detail)


def unprepared(rollout: Rollout) -> bool:
    """Whether something is to be asked as soon as the canary is available."""
    if rollout.step > 0 or rollout.prepared:
        return False
    early = any(hook.type is HookType.PRE_ROLLOUT for hook in hooks_of(rollout))
    return early or gating(rollout.but(prepared=True)) != gating(rollout)


def unchecked(rollout: Rollout) -> tuple[HookRun, ...]:
    """The hooks of type `pre-rollout` that haven't passed."""
    if rollout.step > 0:
        return ()
    found = (run_of(rollout, hook) for hook in hooks_of(rollout) if hook.type is HookType.PRE_ROLLOUT)
    return tuple(run for run in found if not run.passed)


def rollback_asked(rollout: Rollout) -> HookRun | None:
    """The first hook that asks for a rollback."""
    found = (run_of(rollout, hook) for hook in hooks_of(rollout) if hook.type is HookType.ROLLBACK)
    return next((run for run in found if run.passed), None)


def lasting(rollout: Rollout) -> tuple[HookRun, ...]:
    """Answers that a crash must not lose: gates that are open, and checks that passed before the first increase."""
    kept = {hook.key for hook in hooks_of(rollout) if hook.type in GATES or hook.type is HookType.PRE_ROLLOUT}
    return tuple(run for run in rollout.hooks if run.key in kept and run.passed)
