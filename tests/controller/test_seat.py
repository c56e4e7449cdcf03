"""One Canary between its ticks: who must tick it, with what, and how long after it raised."""

from canary.controller.looking import Measured
from canary.controller.seat import LONGEST, SHORTEST, Seat

KEY = ("shop", "web")
MEASURED = Measured()


def test_who_asks_first_must_see_to_it() -> None:
    """Others don't."""
    seat = Seat(KEY)
    assert [seat.ask(), seat.ask(), seat.ask()] == [True, False, False]


def test_who_ticks_goes_on_as_long_as_somebody_asks() -> None:
    """However many asked meanwhile, once more is enough; afterwards the next one must see to it."""
    seat = Seat(KEY)
    seat.ask()
    seat.begin()
    seat.ask()
    seat.ask()
    assert not seat.done()
    seat.begin()
    assert seat.done()
    assert seat.ask()


def test_what_was_measured_is_for_one_tick() -> None:
    """Also where it came while another tick was under way."""
    seat = Seat(KEY)
    seat.ask()
    assert seat.begin() is None
    seat.ask(MEASURED)
    seat.ask()
    assert seat.begin() is MEASURED
    assert seat.begin() is None


def test_pauses_double_up_to_a_limit() -> None:
    """After so many ticks in a row that raised."""
    pauses = [Seat(KEY, failures=failures).pause for failures in (1, 2, 3, 30)]
    assert pauses == [SHORTEST, 2 * SHORTEST, 4 * SHORTEST, LONGEST]
