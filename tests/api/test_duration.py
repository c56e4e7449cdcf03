"""Durations are written as Go writes them."""

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from canary.api.duration import Duration, brief, parse

DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
LONGEST = timedelta(hours=2562047)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("90s", 90.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("100ms", 0.1),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("250μs", 0.00025),
        ("1000ns", 0.000001),
        ("1s1h", 3601.0),
        ("1h1h", 7200.0),
        ("2562047h", 2562047 * 3600.0),
    ],
)
def test_gos_forms_are_read(text: str, seconds: float) -> None:
    """What `time.ParseDuration` takes, both signs for micro included; order and repetition don't matter."""
    assert parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 min", "'1 min' is not a duration such as 30s, 5m or 1h30m; did you mean 1m?"),
        ("30sec", "'30sec' is not a duration such as 30s, 5m or 1h30m; did you mean 30s?"),
        ("1.5 Hours", "'1.5 Hours' is not a duration such as 30s, 5m or 1h30m; did you mean 1.5h?"),
        ("250 millis", "'250 millis' is not a duration such as 30s, 5m or 1h30m; did you mean 250ms?"),
        ("2 days", "'2 days' is not a duration such as 30s, 5m or 1h30m; write days in hours"),
        ("5 monkeys", "'5 monkeys' is not a duration such as 30s, 5m or 1h30m"),
        ("", "'' is not a duration such as 30s, 5m or 1h30m"),
        ("-5s", "'-5s' is not a duration such as 30s, 5m or 1h30m"),
        ("5S", "'5S' is not a duration such as 30s, 5m or 1h30m; did you mean 5s?"),
        ("s", "'s' is not a duration such as 30s, 5m or 1h30m"),
        ("30", "'30' is not a duration such as 30s, 5m or 1h30m; did you mean 30s?"),
        ("1d", "'1d' is not a duration such as 30s, 5m or 1h30m; write days in hours"),
        ("٣s", "'٣s' is not a duration such as 30s, 5m or 1h30m"),
        ("2562048h", "'2562048h' is longer than a duration can be, which is 2562047h"),
        ("9" * 400 + "h", f"'{'9' * 400}h' is longer than a duration can be, which is 2562047h"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    """The sentence shows a right one."""
    with pytest.raises(ValueError, match=r"^'") as error:
        parse(text)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(hours=1), "1h"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(milliseconds=250), "250ms"),
        (timedelta(microseconds=1), "1µs"),
        (timedelta(seconds=1.5), "1.5s"),
        (timedelta(minutes=1, milliseconds=250), "1m0.25s"),
        (timedelta(seconds=-90), "-1m30s"),
    ],
)
def test_the_shortest_form_is_written(value: timedelta, text: str) -> None:
    """Units that are zero are left out."""
    assert brief(value) == text


@given(st.timedeltas(min_value=timedelta(), max_value=LONGEST))
def test_what_is_written_is_read_back(value: timedelta) -> None:
    """Exactly, to the microsecond, as far as Go can count."""
    assert parse(brief(value)) == value


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but ValueError comes out; what was read is a duration that is not negative."""
    with contextlib.suppress(ValueError):
        assert parse(text) >= timedelta()


def test_a_number_is_no_duration() -> None:
    """A bare number has no unit; the one that was probably meant is proposed."""
    with pytest.raises(ValidationError, match=r"30 is not a duration .* did you mean 30s"):
        DURATION.validate_python(30)


def test_a_duration_is_written_as_text() -> None:
    """On the wire it is what a person would write."""
    assert DURATION.dump_python(timedelta(minutes=5), mode="json") == "5m"
