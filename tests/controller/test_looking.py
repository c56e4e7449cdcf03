"""A look that is due is put off for a tick between slots, and is due as before afterwards."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from canary.api.status import Rollout
from canary.controller.looking import Answers, Measured, put_back, put_off
from canary.engine.observed import Query, Sample, Value
from canary.rollout.record import Record
from tests.controller.virtual import HELD, Virtual


def exposed() -> tuple[Record, datetime]:
    """A record of a rollout whose look is due now."""
    many = Virtual()
    key = many.add("web", **HELD)
    many.controller.start()
    many.fleet.advance(30)
    record = many.watcher.turns[key][-1].record
    return record, rollout(record).next_look


def rollout(record: Record) -> Rollout:
    assert record.status.rollout is not None
    return record.status.rollout


def test_a_look_that_is_due_is_put_off_by_an_interval_at_most() -> None:
    """To a time on its grid."""
    record, due = exposed()
    off = put_off(record, due)
    shift = rollout(off).next_look - due
    assert timedelta() < shift <= rollout(record).policy.interval


def test_a_look_that_is_not_due_stays() -> None:
    """So does a record without a rollout."""
    record, due = exposed()
    assert put_off(record, due - timedelta(seconds=1)) is record


def test_it_is_put_back() -> None:
    """As if nothing had been."""
    record, due = exposed()
    off = put_off(record, due)
    assert put_back(off, record, off) == record


def test_what_the_tick_decided_is_kept() -> None:
    """A tick that gave the look another time knows better."""
    record, due = exposed()
    off = put_off(record, due)
    later = due + timedelta(minutes=9)
    moved = Record(off.status.but(rollout=rollout(off).but(next_look=later)))
    assert put_back(moved, record, off) is moved


class Source:
    """Answers 2 to all, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Query] = []

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """See Metrics."""
        asked = list(queries)
        self.asked += asked
        return dict.fromkeys(asked, Value(2.0))


def two_queries() -> tuple[Query, Query, datetime]:
    """Of one look, and its time."""
    many = Virtual()
    key = many.add("web", **HELD)
    many.controller.start()
    many.fleet.advance(30)
    queries = [query for turn in many.watcher.turns[key] for query in turn.observed.samples]
    return queries[0], next(query for query in queries if query != queries[0]), many.fleet.at


def test_only_what_was_not_measured_is_asked() -> None:
    """The rest is answered from the slot."""
    known, unknown, at = two_queries()
    source = Source()
    answers = Answers(Measured(at, {known: Value(1.0)}), source)
    assert answers.measure([known, unknown], at) == {known: Value(1.0), unknown: Value(2.0)}
    assert source.asked == [unknown]
    assert answers.measure([known], at) == {known: Value(1.0)}
    assert source.asked == [unknown]


def test_what_was_measured_for_another_look_is_asked_anew() -> None:
    """The same window must not count twice."""
    known, _, at = two_queries()
    answers = Answers(Measured(at, {known: Value(1.0)}), Source())
    assert answers.measure([known], at + timedelta(seconds=5)) == {known: Value(2.0)}
