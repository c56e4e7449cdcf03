"""What each verb of a CanaryAction does to a running rollout: once, and for the rollout and step it was made for.

`new_actions` says which actions a reconcile takes, and `gates.py` what approvals open. Status remembers the actions,
so that each acts once and none is lost. It has room for a limited number of ids. An id is kept at least as long as
its action can be read again. Where more actions arrive than there is room for, the others wait in the inbox until
room is made: the inbox removes what was taken (`removable`), and an hour after an action a time stands for its id
(`actions_before`). No time stands for a younger one: an action of an earlier time may arrive later, clocks differ.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from canary.api.action import CanaryAction, Verb
from canary.api.reason import Reason
from canary.api.status import Approval, Pause, Rollout, Status

from . import gates
from .next_traffic import promotion_index
from .outcome import Remark, clipped


@dataclass(frozen=True)
class Heard:
    """The rollout after people's actions, and what is to be said about them."""

    rollout: Rollout
    taken: tuple[str, ...] = ()
    rollback: CanaryAction | None = None
    """A reject or a rollback that was asked for."""
    remarks: tuple[Remark, ...] = ()


def _clipped(action: CanaryAction) -> CanaryAction:
    return action.but(author=clipped(action.author), alert=clipped(action.alert), comment=clipped(action.comment))


def hear(rollout: Rollout, actions: tuple[CanaryAction, ...], now: datetime, stranded: bool = False) -> Heard:
    """Takes or refuses each action; a refused one counts as processed too, so it is reported once.

    `stranded`: going back would send every request of the canary to no replica.
    """
    heard = Heard(rollout)
    for action in map(_clipped, actions):
        refusal = _stale(action, heard.rollout) or _refusal(action, heard.rollout)
        if stranded and refusal is None and action.verb in (Verb.ROLLBACK, Verb.REJECT):
            refusal = _no_way_back(heard.rollout)
        if refusal:
            remark = refused(action, refusal)
        else:
            heard = TAKE[action.verb](heard, action, now)
            sentence = f"{who(action)} asked to {action.verb.words}{_why(action)}{_waits(action, heard.rollout)}"
            remark = Remark(ASKED[action.verb], sentence)
        heard = replace(heard, taken=(*heard.taken, action.id), remarks=(*heard.remarks, remark))
    return heard


def refused(action: CanaryAction, why: str) -> Remark:
    """The message about a refused action."""
    return Remark(Reason.ACTION_REFUSED, f"{who(action)} asked to {action.verb.words}: refused, {why}")


def who(action: CanaryAction | Approval) -> str:
    """The author, and whether that was verified."""
    if isinstance(action, CanaryAction) and action.alert:
        return f"the alert {action.alert}"
    name = action.author or "a user"
    return name if action.verified else f"{name} (unverified)"


def _stale(action: CanaryAction, rollout: Rollout) -> str | None:
    if action.rollout is not None and action.rollout != rollout.number:
        return f"that was for rollout {action.rollout}, this is rollout {rollout.number}"
    if action.version is not None and action.version != rollout.canary_version.name:
        return f"that was for version {action.version}, this is {rollout.canary_version.name}"
    if action.revision is not None and action.revision != rollout.canary_version.revision:
        return f"that was for revision {action.revision}, this is {rollout.canary_version.revision}"
    if action.step is not None and action.step != rollout.step and action.verb in (Verb.APPROVE, Verb.SKIP):
        return f"that was for step {action.step}, this is step {rollout.step}"
    return None


def _refusal(action: CanaryAction, rollout: Rollout) -> str | None:
    match action.verb:
        case Verb.APPROVE:
            return gates.no_approval(action, rollout)
        case Verb.RESUME:
            return _nothing_to_resume(action, rollout.pause)
        case Verb.RETRY:
            return "a rollout is running"
        case Verb.PROMOTE | Verb.SKIP:
            return gates.no_shortcut(action.verb, rollout)
    return None


def _nothing_to_resume(action: CanaryAction, pause: Pause | None) -> str | None:
    if pause is None:
        return "nothing is paused"
    return "that was asked before the pause" if pause.asked is not None and action.at < pause.asked else None


def _no_way_back(rollout: Rollout) -> str:
    stable, canary = rollout.stable_version.name, rollout.canary_version.name
    return (
        f"no replica of {stable} is available, so requests that {canary} answers now would fail; "
        f"start {stable} first, then ask again"
    )


def _approve(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    return replace(heard, rollout=gates.approve(heard.rollout, action))


def _pause(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    pause = heard.rollout.pause or Pause(since=now, author=action.author, comment=action.comment)
    pause = pause.but(asked=max(action.at, pause.asked or action.at))
    return replace(heard, rollout=heard.rollout.but(pause=pause))


def _resume(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    return replace(heard, rollout=heard.rollout.but(pause=None))


def _skip(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    return replace(heard, rollout=heard.rollout.but(skipped=True))


def _promote(heard: Heard, action: CanaryAction, now: datetime) -> Heard:
    """At the last step only what is left of it can be passed over."""
    last = heard.rollout.step == promotion_index(heard.rollout.plan)
    return replace(heard, rollout=heard.rollout.but(hurried=True, skipped=heard.rollout.skipped or last))


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

ASKED: Mapping[Verb, Reason] = {
    Verb.APPROVE: Reason.APPROVE_ASKED,
    Verb.PAUSE: Reason.PAUSE_ASKED,
    Verb.RESUME: Reason.RESUME_ASKED,
    Verb.SKIP: Reason.SKIP_ASKED,
    Verb.PROMOTE: Reason.PROMOTE_ASKED,
    Verb.REJECT: Reason.REJECT_ASKED,
    Verb.ROLLBACK: Reason.ROLLBACK_ASKED,
}
"""What is said of each verb that was taken."""


def _why(action: CanaryAction) -> str:
    return f": {action.comment}" if action.comment else ""


def _waits(action: CanaryAction, rollout: Rollout) -> str:
    """That what was taken moves nothing yet."""
    if rollout.pause is None or action.verb not in (Verb.APPROVE, Verb.PROMOTE, Verb.SKIP):
        return ""
    return "; it is paused, nothing moves until resumed"


# ---- which actions are taken -----------------------------------------------------------------------------------

REMEMBERED = 100
"""How many ids of actions status keeps."""
ROOM: Mapping[Verb, int] = {Verb.ROLLBACK: REMEMBERED, Verb.REJECT: REMEMBERED, Verb.PAUSE: 80}
"""How much of it a verb may fill, so that many other actions never block a decrease of exposure."""
OTHERS = 60
"""The same for all other verbs."""
SETTLED = timedelta(hours=1)
"""The age from which a time may stand for an action: no inbox is that late, and no two clocks are that far apart."""
KEPT = timedelta(hours=1)
"""How long an action that was taken lies in the inbox, for people to see."""
SHOWN = 20
"""How many of them do; with more, the oldest are removed before their time."""


LONGEST = 48
"""Characters of an id that is kept as it is; of a longer one, as a file's name may be, its hash is kept."""


def was_taken(action: CanaryAction, status: Status) -> bool:
    """Whether it has acted, or was refused."""
    if _kept(action.id) in status.actions_taken:
        return True
    before, until = status.actions_before, status.actions_until
    return before is not None and (
        action.at < before or (action.at == before and (until is None or action.id <= until))
    )


def new_actions(
    name: str, status: Status, actions: Iterable[CanaryAction], now: datetime
) -> tuple[CanaryAction, ...]:
    """The actions for this Canary that are taken now, in the order in which they act.

    Of those of one time, which has no order, a pause acts last, so that it stays.
    """
    lying = tuple(one for one in actions if one.target == name)
    fresh = sorted((one for one in lying if not was_taken(one, status)), key=_when)
    needed = len(_needed(status.actions_taken, status, lying, now))
    settled = [one for one in fresh if one.at < now - SETTLED]
    chosen = settled[:REMEMBERED]  # the oldest of all: they need no room, for a time stands for them at once
    for action in sorted(fresh[len(settled) :], key=_urgency):  # stable: the oldest of each first
        if needed < ROOM.get(action.verb, OTHERS):
            chosen.append(action)
            needed += 1
    return tuple(sorted(chosen, key=lambda one: (one.at, one.verb is Verb.PAUSE, one.id)))


def remembered(
    name: str, status: Status, taken: Sequence[str], actions: Iterable[CanaryAction], now: datetime
) -> dict[str, Any]:
    """The fields of status that keep each action from acting twice, after this reconcile took some."""
    ids = (*status.actions_taken, *map(_kept, taken))
    if len(ids) <= REMEMBERED:
        return {"actions_taken": ids}
    lying = tuple(one for one in actions if one.target == name)
    needed = _needed(ids, status, lying, now)
    spare = [id_ for id_ in ids if id_ not in needed]
    forgotten = frozenset(spare[: len(ids) - REMEMBERED])
    settled = max((one for one in lying if _kept(one.id) in forgotten), key=_when, default=None)
    left = tuple(id_ for id_ in ids if id_ not in forgotten)
    if settled is None or was_taken(settled, status.but(actions_taken=())):
        return {"actions_taken": left}
    return {"actions_taken": left, "actions_before": settled.at, "actions_until": settled.id}


def removable(lying: Iterable[CanaryAction], status: Status, now: datetime) -> tuple[CanaryAction, ...]:
    """What an inbox may remove. `status` is the one that is saved: what was taken since would be lost in a crash."""
    taken = sorted((one for one in lying if was_taken(one, status)), key=_when, reverse=True)
    return tuple(one for place, one in enumerate(taken) if place >= SHOWN or now - one.at >= KEPT)


def _needed(ids: Sequence[str], status: Status, lying: Sequence[CanaryAction], now: datetime) -> frozenset[str]:
    """The ids without which an action that lies there would act again: no time can stand for them yet."""
    known = frozenset(ids)
    waiting = [_when(one) for one in lying if _kept(one.id) not in known and not was_taken(one, status)]
    settled = min(((now - SETTLED, ""), *waiting))
    return frozenset(id_ for one in lying if (id_ := _kept(one.id)) in known and _when(one) >= settled)


def _kept(id_: str) -> str:
    return id_ if len(id_) <= LONGEST else hashlib.sha256(id_.encode()).hexdigest()[:LONGEST]


def _when(action: CanaryAction) -> tuple[datetime, str]:
    return action.at, action.id


def _urgency(action: CanaryAction) -> int:
    return -ROOM.get(action.verb, OTHERS)
