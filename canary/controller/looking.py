"""Looks are taken in slots, where many rollouts ask together; a tick between slots must not take one.

A look that is due is put off for such a tick: what it sees of routes, replicas and people is acted on at once,
without waiting for Prometheus, and the look follows in its slot.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from canary.engine import looks
from canary.engine.observed import Query, Sample
from canary.rollout.ports import Metrics
from canary.rollout.record import Record


@dataclass(frozen=True)
class Question:
    """What is asked together: of one source, over windows that end at one time."""

    source: Hashable
    at: datetime
    metrics: Metrics = field(compare=False)
    """Who asks, as the slot found it: a Canary that is edited or deleted afterwards must not change what all others
    of the slot are told."""


@dataclass(frozen=True)
class Measured:
    """What a slot has measured, which counts for one look only: the next one would count the same window again."""

    at: datetime | None = None
    """Of the look; None where none was due that asks anything."""
    samples: Mapping[Query, Sample] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """The port Metrics, for one tick: what its slot has measured already for this look; the rest is asked now."""

    measured: Measured
    metrics: Metrics

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        known = self.measured.samples if at == self.measured.at else {}
        missing = [query for query in queries if query not in known]
        return {**known, **(self.metrics.measure(missing, at) if missing else {})}


def put_off(record: Record, now: datetime) -> Record:
    """The record without a look that is due."""
    rollout = record.status.rollout
    if rollout is None or not looks.due(rollout, now):
        return record
    later = looks.grid(rollout, now) + rollout.policy.interval
    return replace(record, status=record.status.but(rollout=rollout.but(next_look=later)))


def put_back(record: Record, before: Record, off: Record) -> Record:
    """After the tick: the look is due as it was before, unless the tick itself gave it another time."""
    was, shifted, now = before.status.rollout, off.status.rollout, record.status.rollout
    if was is None or shifted is None or now is None or was.next_look == shifted.next_look:
        return record
    if now.number != was.number or now.next_look != shifted.next_look:
        return record
    return replace(record, status=record.status.but(rollout=now.but(next_look=was.next_look)))
