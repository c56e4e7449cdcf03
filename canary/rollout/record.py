"""What a driver carries from reconcile to reconcile: the newest status, what of it is saved, and when it should be
saved."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Rollout, Status
from canary.engine import hooks
from canary.ports import Store

AT_MOST = timedelta(minutes=1)
"""How much of an evaluation's evidence a crash may cost."""


@dataclass(frozen=True)
class Record:
    """Status in memory, and what the store holds of it."""

    status: Status
    saved: Status | None = None
    version: str | None = None
    saved_at: datetime | None = None
    fresh: bool = True
    """No reconcile of this process has seen the route yet."""

    @property
    def durable(self) -> Status:
        """The status, with no action taken that a crash would make untaken."""
        saved = self.saved or Status()
        return self.status.but(actions_taken=saved.actions_taken, actions_before=saved.actions_before)


def load(store: Store) -> Record:
    """Goes on where the store says; raises what `Store.load` raises."""
    stored = store.load()
    if stored is None:
        return Record(Status())
    return Record(stored.status, stored.status, stored.version)


def save(store: Store, record: Record, status: Status, now: datetime) -> Record:
    """Saves what is worth saving; raises what `Store.save` raises."""
    record = replace(record, status=status)
    if not worth_saving(record, now):
        return record
    version = store.save(status, record.version)
    return replace(record, saved=status, version=version, saved_at=now)


def worth_saving(record: Record, now: datetime) -> bool:
    """Decisions at once; what only an evaluation adds, once a minute: a restart can evaluate again."""
    if record.saved is None:
        return True
    if _decided(record.saved) != _decided(record.status):
        return True
    return record.saved != record.status and (record.saved_at is None or now - record.saved_at >= AT_MOST)


def _decided(status: Status) -> dict[str, Any]:
    """Status without what evaluations and passing time change, and without messages that were delivered meanwhile."""
    rollout = status.rollout
    if rollout is not None:  # a restart calls hooks again, but asks no gate that was open
        rollout = rollout.but(**_OF_EVALUATIONS, hooks=hooks.lasting(rollout))
    message = (
        status.message if status.reason == Reason.TRAFFIC_DRIFT else ""
    )  # where the route was moved to meanwhile
    bare = status.but(
        rollout=rollout, message=message, reason="", conditions=(), outbox=_unsent(status), iterations=0
    )
    return dict(bare)


def _unsent(status: Status) -> tuple[Any, ...]:
    """The alerts that are due. That one is sent is saved at once, so that a restart doesn't send it again."""
    return tuple((one.id, one.alerts.due) for one in status.outbox if one.alerts is not None)


_ANY = datetime(1, 1, 1, tzinfo=UTC)
_OF_EVALUATIONS: dict[str, Any] = {
    "evaluation": None,
    "evidence": None,
    "next_evaluation": _ANY,
    "iterations": 0,
    "in_place_since": None,  # read back again after a restart
    "podless": "",  # read again with every reconcile
    "images": (),
    "previous": Traffic(),  # changes with `desired`, or when it is read back
}
assert _OF_EVALUATIONS.keys() <= Rollout.model_fields.keys()
