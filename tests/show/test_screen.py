"""What a stream can do, numbers with units, and lengths of time."""

from datetime import timedelta
from io import StringIO

import pytest

from canary.show.metric_checks import value
from canary.show.terminal import PLAIN, Screen, Signs, Span, screen_of
from canary.show.times import lasting


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    encoding = "UTF-8"

    def isatty(self) -> bool:
        return True


class Latin(Terminal):
    """One in another encoding."""

    encoding = "iso-8859-1"


@pytest.mark.parametrize(
    ("stream", "environ", "colour", "unicode"),
    [
        pytest.param(Terminal(), {}, True, True, id="a terminal has colours"),
        pytest.param(Terminal(), {"NO_COLOR": "1"}, False, True, id="NO_COLOR is obeyed"),
        pytest.param(Terminal(), {"NO_COLOR": ""}, True, True, id="an empty NO_COLOR is none"),
        pytest.param(Terminal(), {"TERM": "dumb"}, False, True, id="a dumb terminal has no colours"),
        pytest.param(Latin(), {}, True, False, id="another encoding gets ASCII"),
        pytest.param(StringIO(), {}, False, False, id="what isn't a terminal has neither"),
    ],
)
def test_what_a_stream_can_do(stream: StringIO, environ: dict[str, str], colour: bool, unicode: bool) -> None:
    """Colours only where a person looks on, signs only where they can be written."""
    found = screen_of(stream, environ)
    assert (found.colour, found.unicode) == (colour, unicode)


@pytest.mark.parametrize(
    ("metric", "number", "text"),
    [
        pytest.param("request-success-rate", 100.0, "100%", id="all is 100%"),
        pytest.param("request-success-rate", 99.998, "99.99%", id="nearly all is not"),
        pytest.param("request-success-rate", 99.8, "99.8%", id="no digits that say nothing"),
        pytest.param("request-duration", 41.26, "41ms", id="milliseconds are whole"),
        pytest.param("request-duration", 0.456, "0.46ms", id="unless they are few"),
        pytest.param("errors", 1234567.0, "1234567", id="a metric of one's own has no unit"),
        pytest.param("errors", None, "–", id="what is missing is no zero"),
    ],
)
def test_numbers(metric: str, number: float | None, text: str) -> None:
    """With their units."""
    assert value(metric, number, Signs()) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0.4, "0s"), (59.6, "1m"), (72, "1m12s"), (3600, "1h"), (11_100, "3h05m"), (187_200, "2d04h")],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    """The two largest units."""
    assert lasting(timedelta(seconds=seconds)) == text


def test_clipping() -> None:
    """A sign stands where something was cut off; what fits stays as it is."""
    line = (Span("one "), Span("two three", "bad"))
    assert PLAIN.paint(Screen(width=13).clip(line)) == "one two three"
    assert PLAIN.paint(Screen(width=9).clip(line)) == "one two …"
    assert PLAIN.paint(Screen(width=9, unicode=False).clip(line)) == "one tw..."
