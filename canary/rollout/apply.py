"""Carries out the actions of a decision: decreases first, each an end state. What fails is a sentence for the
reconcile."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from canary.engine.actions import (
    Action,
    CopyToPrimary,
    Provision,
    RemovePrimary,
    ReturnToTarget,
    ScaleTarget,
    SetTraffic,
)
from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.ports import Parts, Primary


@dataclass(frozen=True)
class Applied:
    """The results of the actions."""

    conflict: bool = False
    """Another client wrote in between: gather and decide again at once."""
    trouble: tuple[str, ...] = ()
    """What went wrong, in sentences."""


def apply(parts: Parts, actions: Sequence[Action], decreases_only: bool) -> Applied:
    """Tries each action; `decreases_only` is for when the intent could not be saved."""
    conflict, trouble = False, []
    for action in _allowed(actions, decreases_only):
        try:
            _carry_out(parts, action)
        except Conflict as error:
            conflict = True
            trouble.append(str(error))
        except (Rejected, Unreachable) as error:
            trouble.append(str(error))
    return Applied(conflict, tuple(trouble))


def _carry_out(parts: Parts, action: Action) -> None:
    """Raises Conflict, Rejected or Unreachable."""
    match action:
        case SetTraffic(stable, canary, traffic, token):
            parts.router.write(stable, canary, traffic, token)
        case Provision(revision, ready):
            _primary(parts).provision(revision, ready)
        case CopyToPrimary(revision):
            _primary(parts).copy(revision)
        case ScaleTarget(replicas, revision):
            _primary(parts).scale(replicas, revision)
        case ReturnToTarget(revision):
            _primary(parts).give_back(revision)
        case RemovePrimary():
            _primary(parts).remove()
        case _:
            assert_never(action)


def _primary(parts: Parts) -> Primary:
    if parts.primary is None:
        raise AssertionError("a target without a primary was asked to change it")
    return parts.primary


def _allowed(actions: Sequence[Action], decreases_only: bool) -> Iterable[Action]:
    """What may be carried out, in the order in which it is."""
    yield from (action for action in actions if action.decreases)
    if not decreases_only:
        yield from (action for action in actions if not action.decreases)
