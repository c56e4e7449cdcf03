"""One Canary between its reconciles: who must reconcile it, with what, and how long after it raised."""

from canary.controller.slots import Measured
from canary.controller.work_item import LONGEST, SHORTEST, WorkItem

KEY = ("shop", "web")
MEASURED = Measured()


def test_who_asks_first_must_see_to_it() -> None:
    """Others don't."""
    item = WorkItem(KEY)
    assert [item.ask(), item.ask(), item.ask()] == [True, False, False]


def test_who_reconciles_goes_on_as_long_as_someone_asks() -> None:
    """However many asked meanwhile, once more is enough; afterwards the next one must see to it."""
    item = WorkItem(KEY)
    item.ask()
    item.begin()
    item.ask()
    item.ask()
    assert not item.done()
    item.begin()
    assert item.done()
    assert item.ask()


def test_what_was_measured_is_for_one_reconcile() -> None:
    """Also where it came while another reconcile was under way."""
    item = WorkItem(KEY)
    item.ask()
    assert item.begin() is None
    item.ask(MEASURED)
    item.ask()
    assert item.begin() is MEASURED
    assert item.begin() is None


def test_pauses_double_up_to_a_limit() -> None:
    """After so many reconciles in a row that raised."""
    pauses = [WorkItem(KEY, failures=failures).pause for failures in (1, 2, 3, 30)]
    assert pauses == [SHORTEST, 2 * SHORTEST, 4 * SHORTEST, LONGEST]
