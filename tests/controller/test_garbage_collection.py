"""CanaryActions for Canaries that aren't there: who removes them, and when."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from canary.api.action import CanaryAction
from canary.controller.garbage_collection import GarbageCollector
from canary.controller.process import repeated
from canary.engine.errors import CanaryError, Conflict
from canary.stores.canary import asked
from tests.stores.test_canary_inbox import created

from .objects import NOW, Wire, canary, client, later, watching

OLD, YOUNG = "2026-03-02T09:00:00Z", "2026-03-02T09:00:01Z"


class Lying:
    """In place of a reflector of CanaryActions."""

    def __init__(self, **made: tuple[str, str]) -> None:
        """By name, the Canary and the time."""
        self.made = {name: asked(created(name, at, canary=target)) for name, (target, at) in made.items()}

    def items(self, namespace: str | None = None) -> Sequence[tuple[tuple[str, str], CanaryAction]]:
        return [(("shop", name), action) for name, action in self.made.items() if action is not None]


def test_what_will_never_be_taken_is_removed_after_a_while() -> None:
    """The server is asked once for each Canary that isn't seen, and only where something lies there for so long."""
    wire = Wire([404, {}, 404])  # the second one was removed by someone else
    lying = Lying(a=("misspelt", OLD), b=("misspelt", OLD), c=("misspelt", YOUNG), d=("reviews", OLD))
    garbage = GarbageCollector(client(wire), watching(canary()), lying)
    assert garbage.remove(later(seconds=-1)) == 0
    assert wire.sent == []
    assert garbage.remove(NOW) == 2
    assert [(one.method, one.resource.kind, one.name) for one in wire.sent] == [
        ("GET", "Canary", "misspelt"),
        ("DELETE", "CanaryAction", "a"),
        ("DELETE", "CanaryAction", "b"),
    ]


def test_what_another_shard_may_still_take_is_left_to_it() -> None:
    """Its Canary isn't seen here, but the server has it."""
    wire = Wire([canary()])
    assert GarbageCollector(client(wire), watching(), Lying(a=("reviews", OLD))).remove(NOW) == 0
    assert wire.asked == ["get Canary"]


@pytest.mark.parametrize("name", ["reviews/status", "..", "Reviews"])
def test_what_no_canary_can_be_called_is_not_asked_for(name: str) -> None:
    """The server would be asked for something else."""
    wire = Wire([{}])
    assert GarbageCollector(client(wire), watching(canary()), Lying(a=(name, OLD))).remove(NOW) == 1
    assert wire.asked == ["delete CanaryAction"]


def test_one_that_may_not_be_removed_stops_no_other() -> None:
    """A permission is missing in one namespace, or a webhook says no."""
    wire = Wire([404, 403, 404, {}])
    lying = Lying(a=("gone", OLD), b=("misspelt", OLD))
    assert GarbageCollector(client(wire), watching(), lying).remove(NOW) == 1
    assert [one.name for one in wire.sent] == ["gone", "a", "misspelt", "b"]


@pytest.mark.parametrize("answer", [503, Conflict("this replica doesn't lead")], ids=["away", "not the leader"])
def test_what_the_next_one_would_meet_as_well_is_left_to_the_next_time(answer: int | CanaryError) -> None:
    """One request that fails is enough."""
    wire = Wire([answer])
    assert GarbageCollector(client(wire), watching(), Lying(a=("gone", OLD), b=("misspelt", OLD))).remove(NOW) == 0
    assert len(wire.sent) == 1


def test_it_is_done_again_and_again() -> None:
    """What it raises ends nothing."""
    slots: list[datetime] = []
    calls = []

    def call(now: datetime) -> None:
        calls.append(now)
        if len(calls) == 2:
            raise ValueError("unforeseen")

    def timetable(at: datetime, again: object) -> None:
        slots.append(at)
        pending.append(again)

    pending: list[object] = []
    repeated(timetable, lambda: NOW, timedelta(minutes=10), call)
    for again in iter(lambda: pending.pop() if len(calls) < 3 else None, None):
        assert callable(again)
        try:
            again()
        except ValueError:
            assert len(calls) == 2
    assert calls == [NOW] * 3
    assert slots == [NOW, *[later(minutes=10)] * 3]
