"""A number has the same digits in a sentence and in a table."""

import pytest

from canary.api.analysis import Range
from canary.api.evidence import CheckResult
from canary.engine.formats import shown
from canary.engine.judges.threshold import _say
from canary.show.metric_checks import columns
from canary.show.terminal import Screen


@pytest.mark.parametrize(
    ("metric", "number", "bounds", "text"),
    [
        ("request-success-rate", 99.999, (), "99.99%"),
        ("request-success-rate", 98.996, (99.0,), "98.99%"),
        ("request-success-rate", 100.0, (99.0,), "100%"),
        ("request-duration", 41.4, (500.0,), "41ms"),
        ("request-duration", 500.4, (500.0,), "500.4ms"),
        ("errors", 0.3333, (), "0.33"),
        ("errors", 1e15, (1.0,), "infinite"),
    ],
)
def test_a_number(metric: str, number: float, bounds: tuple[float, ...], text: str) -> None:
    """A rate is rounded down, and nothing fails that looks like its bound."""
    assert shown(metric, number, bounds) == text


@pytest.mark.parametrize(
    ("metric", "number", "allowed"),
    [
        ("request-success-rate", 98.996, Range(min=99)),
        ("request-duration", 850.25, Range(max=500)),
        ("request-duration", 500.4, Range(max=500)),
    ],
)
def test_one_screen_has_one_rounding(metric: str, number: float, allowed: Range) -> None:
    check = CheckResult(metric=metric, result="failed", canary=number, range=allowed)
    measured = _say(check)[1].split()[1]
    row = "".join(span.text for span in columns([check], Screen())[1])
    assert f" {measured} " in row
