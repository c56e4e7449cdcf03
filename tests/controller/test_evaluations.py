"""What a slot has measured answers the evaluation that it was measured for, and no other."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from canary.controller.slots import Answers, Measured
from canary.engine.observed import Query, Sample, Value
from tests.controller.virtual import HELD, Virtual


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
    """Of one evaluation, and its time."""
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


def test_what_was_measured_for_another_look_is_asked_again() -> None:
    """The same window must not count twice."""
    known, _, at = two_queries()
    answers = Answers(Measured(at, {known: Value(1.0)}), Source())
    assert answers.measure([known], at + timedelta(seconds=5)) == {known: Value(2.0)}
