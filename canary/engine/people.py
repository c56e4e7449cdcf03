"""What people ask, folded into the rollout: each action counts once, for the rollout and step it was made for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from canary.api.action import CanaryAction, Verb
from canary.api.status import Approval, Pause, Rollout, Status

from .plan import promotion_index, step_at

REMEMBERED = 50
"""How many ids of actions are kept in status."""
LONGEST = 300
"""Characters of a sentence in status; what others write (people, a proxy, a server) has no limit of its own."""


@dataclass(frozen=True)
class Remark:
    """Something to tell people that is not the tick's own reason."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


@dataclass(frozen=True)
class Heard:
    """The rollout after people's actions, and what is to be said about them."""

    rollout: Rollout
    taken: tuple[str, ...] = ()
    rollback: CanaryAction | None = None
    """A reject or a rollback that was asked for."""
    remarks: tuple[Remark, ...] = ()


def new_actions(name: str, status: Status, actions: tuple[CanaryAction, ...]) -> tuple[CanaryAction, ...]:
    """Those for this Canary that were not taken before, oldest first."""
    fresh = [
        one.but(author=clipped(one.author), comment=clipped(one.comment))
        for one in actions
        if one.target == name and not was_taken(one, status)
    ]
    return tuple(sorted(fresh, key=lambda one: (one.at, one.id)))


def was_taken(action: CanaryAction, status: Status) -> bool:
    """Whether it has acted, or was refused: ids are forgotten in time, and then a time stands for them."""
    before = status.actions_before
    return action.id in status.actions_taken or (before is not None and action.at <= before)


def remembered(
    status: Status, taken: tuple[str, ...], lying: tuple[CanaryAction, ...], now: datetime
) -> dict[str, Any]:
    """The fields of status that keep each action from acting twice, after this tick took some.

    Actions are never deleted where they lie. All that lie there are taken in the tick that reads them, so that
    a time can stand for the oldest of them once there are many.
    """
    asked = {one.id: min(one.at, now) for one in lying}
    oldest = datetime.min.replace(tzinfo=UTC)
    ids = sorted((*status.actions_taken, *taken), key=lambda id_: asked.get(id_, oldest))
    if len(ids) <= REMEMBERED:
        return {"actions_taken": (*status.actions_taken, *taken)}
    forgotten = [asked[id_] for id_ in ids[:-REMEMBERED] if id_ in asked]
    before = max((*forgotten, status.actions_before or oldest))
    return {"actions_taken": tuple(ids[-REMEMBERED:]), "actions_before": before if before > oldest else None}


def clipped(text: str) -> str:
    """The text, cut where it is too long to be kept."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def hear(rollout: Rollout, actions: tuple[CanaryAction, ...], now: datetime) -> Heard:
    """Takes or refuses each action; a refused one is taken too, so that it is told once."""
    heard = Heard(rollout)
    for action in actions:
        refusal = _stale(action, heard.rollout) or _refusal(action, heard.rollout)
        if refusal:
            remark = refused(action, refusal)
        else:
            heard = TAKE[action.verb](heard, action, now)
            sentence = f"{who(action)} asked to {action.verb.words}{_why(action)}{_waits(action, heard.rollout)}"
            remark = Remark(f"{action.verb.capitalize()}Asked", sentence)
        heard = replace(heard, taken=(*heard.taken, action.id), remarks=(*heard.remarks, remark))
    return heard


def refused(action: CanaryAction, why: str) -> Remark:
    """What is told of an action that isn't followed."""
    return Remark("ActionRefused", f"{who(action)} asked to {action.verb.words}: refused, {why}", "Warning")


def who(action: CanaryAction | Approval) -> str:
    """The author, and whether that was verified."""
    name = action.author or "somebody"
    return name if action.verified else f"{name} (unverified)"


def _stale(action: CanaryAction, rollout: Rollout) -> str | None:
    if action.rollout is not None and action.rollout != rollout.number:
        return f"that was for rollout {action.rollout}, this is rollout {rollout.number}"
    if action.version is not None and action.version != rollout.canary.name:
        return f"that was for version {action.version}, this is {rollout.canary.name}"
    if action.revision is not None and action.revision != rollout.canary.revision:
        return f"that was for revision {action.revision}, this is {rollout.canary.revision}"
    if action.step is not None and action.step != rollout.step and action.verb in (Verb.APPROVE, Verb.SKIP):
        return f"that was for step {action.step}, this is step {rollout.step}"
    return None


def _refusal(action: CanaryAction, rollout: Rollout) -> str | None:
    match action.verb:
        case Verb.APPROVE if not any(gate.approval for gate in step_at(rollout.plan, rollout.step).gates):
            return f"step {rollout.step} has no gate that people open"
        case Verb.APPROVE if any(one.author == action.author for one in rollout.approvals):
            return "the same person approved this step before"
        case Verb.APPROVE if _most_needed(rollout) > 1 and not action.verified:
            return f"this gate asks for {_most_needed(rollout)} people, and nothing proves who asked"
        case Verb.APPROVE if len(rollout.approvals) >= _most_needed(rollout):
            return f"step {rollout.step} has all its approvals"
        case Verb.RESUME if rollout.pause is None:
            return "nothing is paused"
        case Verb.RETRY:
            return "a rollout is running"
        case Verb.PROMOTE | Verb.SKIP:
            return _no_shortcut(action.verb, rollout)
    return None


def _most_needed(rollout: Rollout) -> int:
    gates = step_at(rollout.plan, rollout.step).gates
    return max((gate.approval.count for gate in gates if gate.approval), default=0)


def _no_shortcut(verb: Verb, rollout: Rollout) -> str | None:
    """Nobody alone goes past a gate that asks for several people: skip at this step, promote at any that is left."""
    here = rollout.step
    if here == promotion_index(rollout.plan):
        return "this is the last step"
    for step in range(here, len(rollout.plan.steps) if verb is Verb.PROMOTE else here + 1):
        people = _most_needed(rollout.but(step=step))
        if people > 1 and (step > here or len(rollout.approvals) < people):
            return (
                f"the gate of step {step} asks for {people} people, and {verb} would go past it; approve it instead"
            )
    return None


def _approve(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    said = Approval(action=action.id, author=action.author, verified=action.verified, comment=action.comment)
    return replace(heard, rollout=heard.rollout.but(approvals=(*heard.rollout.approvals, said)))


def _pause(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    pause = heard.rollout.pause or Pause(since=now, author=action.author, comment=action.comment)
    return replace(heard, rollout=heard.rollout.but(pause=pause))


def _resume(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    return replace(heard, rollout=heard.rollout.but(pause=None))


def _skip(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    return replace(heard, rollout=heard.rollout.but(skipped=True))


def _promote(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    return replace(heard, rollout=heard.rollout.but(hurried=True))


def _rollback(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    return replace(heard, rollback=heard.rollback or action)


TAKE: Mapping[Verb, Callable[[Heard, CanaryAction, datetime], Heard]] = {
    Verb.APPROVE: _approve,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.SKIP: _skip,
    Verb.PROMOTE: _promote,
    Verb.REJECT: _rollback,
    Verb.ROLLBACK: _rollback,
}
"""What taking each verb does to a running rollout; `retry` is for when none is running."""


def _why(action: CanaryAction) -> str:
    return f": {action.comment}" if action.comment else ""


def _waits(action: CanaryAction, rollout: Rollout) -> str:
    """That what was taken moves nothing yet."""
    if rollout.pause is None or action.verb not in (Verb.APPROVE, Verb.PROMOTE, Verb.SKIP):
        return ""
    return "; it is paused, nothing moves until resumed"
