"""10,000 mutated answers of Prometheus: a sample or a reason each, soon, and in little memory."""

from collections.abc import Callable

import pytest

from tests.fuzz.child import SOME, tried

INPUTS = 10_000
Property = Callable[[str, object], None]


def test_some_answers() -> None:
    """As many as a change can wait for."""
    found = tried("tests.fuzz.answers", SOME, seed=10**6)
    assert (found.inputs, found.bad) == (SOME, [])


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_mutated_answers(record_property: Property) -> None:
    """None ends in a traceback, takes two seconds, or 200 MiB."""
    found = tried("tests.fuzz.answers", INPUTS)
    assert (found.inputs, found.bad) == (INPUTS, [])
    largest = f"{found.largest / 2**20:.0f} MiB"
    record_property("fuzz: answers", f"{found.inputs:,} inputs, slowest {found.slowest:.2f} s, largest {largest}")
