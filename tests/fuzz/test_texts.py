"""10,000 queries, guards, regular expressions and manifests each: an answer for each, soon, and in little memory."""

from collections.abc import Callable

import pytest

from tests.fuzz.child import SOME, tried

INPUTS = 10_000
Property = Callable[[str, object], None]
MODULES = ("queries", "expressions", "regexes", "manifests")


@pytest.mark.parametrize("module", MODULES)
def test_some_texts(module: str) -> None:
    """As many as a change can wait for."""
    found = tried(f"tests.fuzz.{module}", SOME, seed=10**6)
    assert (found.inputs, found.bad) == (SOME, [])


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("module", MODULES)
def test_texts(module: str, record_property: Property) -> None:
    """None ends the process or in a traceback, takes two seconds, or 200 MiB."""
    found = tried(f"tests.fuzz.{module}", INPUTS)
    assert (found.inputs, found.bad) == (INPUTS, [])
    largest = f"{found.largest / 2**20:.0f} MiB"
    record_property(f"fuzz: {module}", f"{found.inputs:,} inputs, slowest {found.slowest:.2f} s, largest {largest}")
