"""Carries a decision's actions out: lowering first, each an end state. What fails is a sentence for the tick."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from canary.engine.actions import Action
from canary.engine.errors import Conflict, Rejected, Unreachable

from .ports import Parts


@dataclass(frozen=True)
class Applied:
    """What became of the actions."""

    conflict: bool = False
    """Somebody else wrote in between: gather and decide again at once."""
    trouble: tuple[str, ...] = ()
    """What went wrong, in sentences."""


def apply(parts: Parts, actions: Sequence[Action], lowering_only: bool) -> Applied:
    """Tries each action; `lowering_only` is for when the intent could not be saved."""
    conflict, trouble = False, []
    for action in _in_order(actions, lowering_only):
        try:
            parts.router.write(action.stable, action.canary, action.traffic, action.token)
        except Conflict as error:
            conflict = True
            trouble.append(str(error))
        except (Rejected, Unreachable) as error:
            trouble.append(str(error))
    return Applied(conflict, tuple(trouble))


def _in_order(actions: Sequence[Action], lowering_only: bool) -> Iterable[Action]:
    yield from (action for action in actions if action.lowers)
    if not lowering_only:
        yield from (action for action in actions if not action.lowers)
