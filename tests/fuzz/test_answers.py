"""10,000 mutated answers of Prometheus: a sample or a reason each, soon, and in little memory."""

import pytest

from tests.fuzz.child import tried

INPUTS = 10_000


def test_some_answers() -> None:
    """As many as a change can wait for."""
    found = tried("tests.fuzz.answers", 100, seed=10**6)
    assert (found.inputs, found.bad) == (100, [])


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_mutated_answers() -> None:
    """None ends in a traceback, takes two seconds, or 200 MiB."""
    found = tried("tests.fuzz.answers", INPUTS)
    assert (found.inputs, found.bad) == (INPUTS, [])
    print(f"{found.inputs} answers: slowest {found.slowest:.2f}s, largest {found.largest / 2**20:.0f} MiB")
