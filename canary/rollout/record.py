"""What a driver carries from tick to tick: the newest status, what of it is saved, and when it should be saved."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from canary.api.plan import Traffic
from canary.api.status import Rollout, Status

from .ports import Store

AT_MOST = timedelta(minutes=1)
"""How much of a look's evidence a crash may cost."""


@dataclass(frozen=True)
class Record:
    """Status in memory, and what the store holds of it."""

    status: Status
    saved: Status | None = None
    version: str | None = None
    saved_at: datetime | None = None
    fresh: bool = True
    """No tick of this process has seen the route yet."""


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
    """Decisions at once; what only a look adds, once a minute: a restart can afford to look again."""
    if record.saved is None:
        return True
    if _decided(record.saved) != _decided(record.status):
        return True
    return record.saved != record.status and (record.saved_at is None or now - record.saved_at >= AT_MOST)


def _decided(status: Status) -> dict[str, Any]:
    """Status without what looks and passing time change, and without what has been told meanwhile."""
    rollout = status.rollout.but(**_OF_LOOKS) if status.rollout else None
    message = status.message if status.reason == "TrafficDrift" else ""  # where the route was moved to meanwhile
    bare = status.but(rollout=rollout, message=message, reason="", conditions=(), outbox=(), iterations=0)
    return dict(bare)


_ANY = datetime(1, 1, 1, tzinfo=UTC)
_OF_LOOKS: dict[str, Any] = {
    "look": None,
    "evidence": None,
    "next_look": _ANY,
    "looks": 0,
    "in_place_since": None,  # read back again after a restart
    "podless": "",  # read again with every tick
    "previous": Traffic(),  # changes with `meant`, or with the reading back
}
assert _OF_LOOKS.keys() <= Rollout.model_fields.keys()
