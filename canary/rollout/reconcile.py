"""One reconcile: gather, decide, save the intent, apply it, tell people. `drive.py` makes one after the other.

Reads are concurrent, with one deadline: what fails or comes too late is Missing in its place. Status is saved before
the route is touched. If it can't be saved, decreases of exposure are still made.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar, assert_never

from canary.api.status import Message
from canary.engine.actions import (
    Action,
    CopyToPrimary,
    Provision,
    RemovePrimary,
    ReturnToTarget,
    ScaleTarget,
    SetTraffic,
)
from canary.engine.decide import Decision, Needs, decide, needs
from canary.engine.errors import Conflict, Rejected, Unreachable
from canary.engine.hooks import calls
from canary.engine.observed import Cause, Missing, Observed
from canary.engine.phases import Need
from canary.engine.resolved import ResolvedSpec
from canary.ports import Parts, Primary

from .record import Record, save

T = TypeVar("T")
DEADLINE = 8.0
"""Seconds that the reads of a reconcile may take together; each has a shorter time-out of its own."""


def gather(parts: Parts, needs: Needs, fresh: bool) -> Observed:
    """Reads what `needs` names, and nothing else."""
    answers = _all(parts.pool, _reads(parts, needs))
    samples = answers.pop("samples", {})
    if isinstance(samples, Missing):
        samples = dict.fromkeys(needs.queries, samples)
    actions = answers.pop("actions", ())
    if isinstance(actions, Missing):
        actions = ()
    hooks = parts.hooks.ask(needs.hooks) if parts.hooks is not None else {}
    return Observed(samples=samples, actions=tuple(actions), fresh=fresh, hooks=hooks, **answers)


def _reads(parts: Parts, needs: Needs) -> Mapping[str, Callable[[], Any]]:
    """By field of `Observed`, the call that fills it."""
    reads: dict[str, Callable[[], Any]] = {}
    stable, canary, at = needs.stable, needs.canary, needs.at
    if Need.DESIRED_VERSION in needs.needs:
        reads["desired_version"] = parts.target.desired_version
    if Need.ROUTE in needs.needs:
        reads["route"] = lambda: parts.router.read(stable, canary)
    if Need.WORKLOADS in needs.needs and stable is not None:
        reads["stable_workload"] = lambda: parts.workloads.read(stable)
        reads["canary_workload"] = lambda: parts.workloads.read(canary)
    if Need.PRIMARY in needs.needs and parts.primary is not None:
        reads["primary"] = parts.primary.read
    if Need.ACTIONS in needs.needs:
        reads["actions"] = parts.inbox.read
    if at is not None:
        reads["samples"] = lambda: parts.metrics.measure(needs.queries, at)
    return reads


def _all(pool: Executor | None, reads: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    if pool is None:
        return {name: read() for name, read in reads.items()}
    futures = {name: pool.submit(read) for name, read in reads.items()}
    wait(futures.values(), timeout=DEADLINE)
    return {name: _answer(future) for name, future in futures.items()}


def _answer(future: Future[T]) -> T | Missing:
    if not future.done():
        future.cancel()
        return Missing(Cause.TIMED_OUT, f"no answer within {DEADLINE:g}s")
    return future.result()


ATTEMPTS = 5
"""How often a reconcile gathers and decides again because another client wrote in between."""


@dataclass(frozen=True)
class Turn:
    """What one attempt of a reconcile saw, decided and met."""

    at: datetime
    resolved: ResolvedSpec
    observed: Observed
    decision: Decision
    record: Record
    delivered: tuple[Message, ...] = ()
    """Messages of the outbox that were delivered now; after a crash also those of an earlier process."""
    trouble: tuple[str, ...] = ()
    """Failed reads, saves, writes and notifications, in sentences."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of this turn: of this decision, and earlier ones that were not delivered."""
        return tuple({one.id: one for one in (*self.delivered, *self.decision.messages)}.values())


def reconcile(parts: Parts, record: Record, last: bool = False, may_evaluate: bool = True) -> Iterator[Turn]:
    """Usually one turn; more where another client wrote in between, decided again at once.

    Raises Conflict where another writer owns the state, and nothing else that a port foresees. `last` is for who owns
    the state, and read it again and again to no avail: then that is a state that can't be saved, or a message that
    can't be sent. Unless it `may_evaluate`, an evaluation that is due stays due, and metrics aren't asked.
    """
    for _ in range(ATTEMPTS):
        turn, conflict = _turn(parts, record, last, may_evaluate)
        yield turn
        if not conflict:
            break
        record = turn.record


def _turn(parts: Parts, record: Record, last: bool, may_evaluate: bool) -> tuple[Turn, bool]:
    now = parts.clock.now()
    resolved = parts.target.resolved()
    observed = gather(parts, needs(resolved, record.status, now, may_evaluate), record.fresh)
    decision = decide(resolved, record.status, observed, now, may_evaluate)
    fresh = record.fresh and isinstance(observed.route, Missing)
    record, unsaved = _save(parts, replace(record, fresh=fresh), decision, now, last)
    applied = apply(parts, decision.actions, decreases_only=bool(unsaved))
    new = tuple(one for one in record.status.outbox if one.alerts is None or not one.alerts.notified)
    record, undelivered = _tell(parts, record, new, last)
    delivered = () if undelivered else new
    if parts.hooks is not None and not unsaved:  # else by the next reconcile, of the process that leads then
        parts.hooks.begin(calls(resolved.manifest, record.status))
    trouble = (*unread(observed, decision), *unsaved, *applied.trouble, *undelivered)
    turn = Turn(now, resolved, observed, decision, record, delivered, trouble)
    return turn, applied.conflict


def unread(observed: Observed, decision: Decision) -> tuple[str, ...]:
    """What was asked for and could not be read, unless the decision speaks of it: a wait must not hide that."""
    reads = (
        ("the route", observed.route),
        ("stable's replicas", observed.stable_workload),
        ("the canary's", observed.canary_workload),
    )
    missing = [(what, seen) for what, seen in reads if isinstance(seen, Missing) and seen.cause.unreachable]
    return tuple(f"{what} can't be read: {seen}" for what, seen in missing if str(seen) not in decision.sentence)


def _save(
    parts: Parts, record: Record, decision: Decision, now: datetime, last: bool
) -> tuple[Record, tuple[str, ...]]:
    """The record afterwards, and why it could not be saved."""
    try:
        return save(parts.store, record, decision.status, now), ()
    except (Conflict, Rejected, Unreachable) as error:
        if isinstance(error, Conflict) and not last:
            raise
        return replace(record, status=decision.status), (f"status can't be saved: {error}",)


def _tell(parts: Parts, record: Record, new: tuple[Message, ...], last: bool) -> tuple[Record, tuple[str, ...]]:
    """Empties the outbox, but for messages that could not be delivered or have alerts that aren't sent yet. The next
    save removes the others."""
    outbox = record.status.outbox
    if not outbox:
        return record, ()
    trouble: tuple[str, ...] = ()
    try:
        if new:
            parts.notifier.notify(new)
    except (Conflict, Unreachable) as error:
        if isinstance(error, Conflict) and not last:
            raise
        trouble = (f"notification failed, retrying: {error}",)
    outbox = outbox if parts.alerts is None else parts.alerts.deliver(outbox)
    if not trouble:
        outbox = tuple(_notified(one) for one in outbox if one.alerts is not None and parts.alerts is not None)
    return replace(record, status=record.status.but(outbox=outbox)), trouble


def _notified(message: Message) -> Message:
    return message if message.alerts is None else message.but(alerts=message.alerts.but(notified=True))


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
