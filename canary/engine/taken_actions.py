"""Which actions a reconcile takes, and how status remembers them: each acts once, and none is lost. Pure.

Status has room for a limited number of ids. An id is kept at least as long as its action can be read again, so an
action that was taken never acts twice. Where more actions arrive than there is room for, the others wait in the inbox
until room is made: the inbox removes what was taken (`removable`), and an hour after an action a time stands for its
id (`actions_before`). No time stands for a younger one: an action of an earlier time may arrive later, clocks differ.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from canary.api.action import CanaryAction, Verb
from canary.api.status import Status

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
