"""Gates: what a step that is done otherwise waits for, who opens them, and who may go past them.

`situation.py` asks the gates of a step, `decision_rules.py` decides by the answers, `verbs.py` brings approvals.
"""

from collections.abc import Iterable
from datetime import datetime

from canary.api.action import CanaryAction, Verb
from canary.api.plan import Answer, Gate
from canary.api.status import Approval, GateWait, Rollout

from . import hooks
from .formats import moment
from .hooks import Hook
from .next_traffic import step_at

# ---- asking ----------------------------------------------------------------------------------------------------


def done_but_gates(rollout: Rollout, now: datetime) -> bool:
    """Whether only gates may keep this step from being left; a person may have skipped the rest of it."""
    if rollout.in_place_since is None:
        return False
    step = step_at(rollout.plan, rollout.step)
    return rollout.skipped or (now - rollout.in_place_since >= step.hold and rollout.iterations >= step.iterations)


def ask_gates(rollout: Rollout, halted: bool, now: datetime) -> Rollout:
    """Asks the gates of a step that is done otherwise; a gate that was approved leaves no trace.

    One that its time-out has opened stays open while the step can't be left for another reason.
    """
    if rollout.skipped or not done_but_gates(rollout, now):
        return rollout if not rollout.gates else rollout.but(gates=())
    waits = [_wait(rollout, gate, halted, now) for gate in _gates(rollout)]
    passed = {run.key for run in rollout.hooks if run.passed}
    waits = [one for one in waits if (one.hook not in passed if one.hook else len(rollout.approvals) < one.needed)]
    hooked = (_hook_wait(rollout, hook, now) for hook in hooks.gating(rollout))
    return rollout.but(gates=(*waits, *(wait for wait in hooked if wait is not None)))


def closed(rollout: Rollout) -> tuple[GateWait, ...]:
    """The gates of the present step that were asked and keep it from being left."""
    return tuple(gate for gate in rollout.gates if not gate.open)


def overdue(rollout: Rollout, now: datetime) -> GateWait | None:
    """The first closed gate whose time is over, where the answer to that is a rollback."""
    answers = {gate.called: gate.on_timeout for gate in _gates(rollout)}
    return next(
        (
            wait
            for wait in closed(rollout)
            if wait.deadline is not None and now >= wait.deadline and answers.get(wait.name) is Answer.ROLLBACK
        ),
        None,
    )


def awaited(rollout: Rollout, now: datetime) -> str:
    """What the first closed gate waits for, in words; empty where none is closed."""
    for gate in closed(rollout):
        if gate.asking:
            return f"asking {gate.name}"
        if gate.hook:
            return f"{gate.name} is closed: {gate.answer}{_until(gate, now)}"
        have = f"{len(rollout.approvals)} of {gate.needed} approvals" if gate.needed > 1 else "an approval"
        return f"{gate.name} waits for {have}{_until(gate, now)}"
    return ""


def _until(gate: GateWait, now: datetime) -> str:
    return f", until {moment(gate.deadline, now)}" if gate.deadline else ", without a time limit"


def halt_clock(rollout: Rollout, halted: bool, now: datetime) -> Rollout:
    """A gate's clock stands still while the rollout is paused or suspended."""
    if halted:
        return rollout if rollout.halted_at is not None else rollout.but(halted_at=now)
    if rollout.halted_at is None:
        return rollout
    gates = tuple(_later(gate, rollout.halted_at, now) for gate in rollout.gates)
    return rollout.but(halted_at=None, gates=gates)


def _later(gate: GateWait, halted_at: datetime, now: datetime) -> GateWait:
    """The gate with its deadline moved by the time in which its clock was stopped."""
    if gate.deadline is None:
        return gate
    return gate.but(deadline=gate.deadline + (now - max(halted_at, gate.since)))


def _wait(rollout: Rollout, gate: Gate, halted: bool, now: datetime) -> GateWait:
    known = next((wait for wait in rollout.gates if wait.name == gate.called), None)
    if known is not None:
        known = known if gate.request is None else _answered(rollout, known)
        over = not halted and known.deadline is not None and now >= known.deadline
        return known.but(open=True) if over and gate.on_timeout is Answer.PROMOTE else known
    patience = rollout.policy.deadline if gate.timeout is None else gate.timeout
    deadline = None if gate.on_timeout is Answer.HOLD else now + patience
    key = "" if gate.request is None else hooks.of_gate(gate, gate.request).key
    return GateWait(name=gate.called, since=now, deadline=deadline, needed=gate.needed, hook=key)


def _hook_wait(rollout: Rollout, hook: Hook, now: datetime) -> GateWait | None:
    """The wait for a hook in Flagger's form, which has no time limit; None once it is open."""
    run = hooks.run_of(rollout, hook)
    if run.passed:
        return None
    known = next((wait for wait in rollout.gates if wait.hook == hook.key), None)
    return _answered(rollout, known or GateWait(name=hook.called, since=now, needed=0, hook=hook.key))


def _answered(rollout: Rollout, wait: GateWait) -> GateWait:
    """With the last answer of its hook."""
    run = next((one for one in rollout.hooks if one.key == wait.hook), None)
    return wait.but(answer=run.detail or "no") if run is not None and run.answered else wait


# ---- opening ---------------------------------------------------------------------------------------------------


def approve(rollout: Rollout, action: CanaryAction) -> Rollout:
    """The rollout with one more approval of this step."""
    said = Approval(action=action.id, author=action.author, verified=action.verified, comment=action.comment)
    return rollout.but(approvals=(*rollout.approvals, said))


def no_approval(action: CanaryAction, rollout: Rollout) -> str | None:
    """Why an approval opens nothing; None where it counts."""
    if not any(gate.approval for gate in _gates(rollout)):
        return f"step {rollout.step} has no gate that people open"
    if any(one.author == action.author for one in rollout.approvals):
        return "the same person approved this step before"
    most = _most_needed(rollout)
    if most > 1 and not action.verified:
        return f"this gate needs {most} people, and the author isn't verified"
    return f"step {rollout.step} has all its approvals" if len(rollout.approvals) >= most else None


def no_shortcut(verb: Verb, rollout: Rollout) -> str | None:
    """One person alone can't pass a gate that needs several people: skip at this step, promote at any later one."""
    here = rollout.step
    for step in range(here, len(rollout.plan.steps) if verb is Verb.PROMOTE else here + 1):
        people = _most_needed(rollout.but(step=step))
        if people > 1 and (step > here or len(rollout.approvals) < people):
            return (
                f"the gate of step {step} asks for {people} people, and {verb} would go past it; approve it instead"
            )
    return None


def _most_needed(rollout: Rollout) -> int:
    return max((gate.needed for gate in _gates(rollout) if gate.approval), default=0)


def _gates(rollout: Rollout) -> Iterable[Gate]:
    return step_at(rollout.plan, rollout.step).gates
