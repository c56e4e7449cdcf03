"""What lives long is no longer gone through by the garbage collector, and garbage still goes."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from canary.controller.process import settled


class Ring:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """As it was before."""
    yield
    gc.unfreeze()


def test_what_is_there_is_left_out_of_the_rounds_of_the_collector() -> None:
    settled()
    frozen = gc.get_freeze_count()
    assert frozen > 10_000
    assert len(gc.get_objects()) < frozen / 10


def test_what_became_garbage_since_goes_with_the_next_call() -> None:
    """Else what a term once froze would be kept for ever."""
    ring = Ring()
    settled()
    kept = weakref.ref(ring)
    del ring
    gc.collect()
    assert kept() is not None
    settled()
    assert kept() is None
