"""Who is due in which second, and that many are spread evenly."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from canary.controller.slots import Slots, jitter, share, slot_of, time_of
from canary.engine.evaluations import SPREAD

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
A, B = ("shop", "a"), ("shop", "b")


def test_a_fraction_belongs_to_the_next_second() -> None:
    """So a slot is never early."""
    assert time_of(slot_of(NOON)) == NOON
    assert time_of(slot_of(NOON + timedelta(microseconds=1))) == NOON + timedelta(seconds=1)


def test_the_first_of_a_slot_is_reported() -> None:
    """Anyone who sets it up, sets it up once."""
    slots = Slots()
    assert [slots.put(A, 5), slots.put(B, 5), slots.put(B, 6)] == [True, False, True]


def test_each_is_due_once_at_most() -> None:
    """The last time that it was given counts."""
    slots = Slots()
    slots.put(A, 5)
    slots.put(A, 7)
    slots.put(B, 7)
    assert (set(slots.take(5)), set(slots.take(7)), len(slots._due)) == (set(), {A, B}, 0)


def test_what_is_dropped_is_due_no_more() -> None:
    """To drop what isn't due is well."""
    slots = Slots()
    slots.put(A, 5)
    slots.drop(A)
    slots.drop(B)
    assert (set(slots.take(5)), len(slots._due)) == (set(), 0)


def test_a_thousand_canaries_are_spread_over_the_slots() -> None:
    """Ten slots with about a hundred each; always the same one for the same Canary."""
    keys = [("shop", f"web-{number}") for number in range(1000)]
    found = Counter(jitter(key, timedelta(minutes=1)) for key in keys)
    assert found.keys() == {timedelta(seconds=second) for second in range(int(SPREAD.total_seconds()))}
    assert 50 < min(found.values()) <= max(found.values()) < 150
    assert [share(key) for key in keys] == [share(key) for key in keys]


def test_jitter_is_less_than_the_interval() -> None:
    """Whole seconds, none for an interval of one."""
    keys = [("shop", f"web-{number}") for number in range(100)]
    assert {jitter(key, timedelta(seconds=1)) for key in keys} == {timedelta()}
    assert max(jitter(key, timedelta(seconds=4)) for key in keys) == timedelta(seconds=3)
