"""Saves that meet someone else's version again and again: a rollback doesn't wait for them, all else does."""

from canary.api.status import Outcome, Phase, Status
from canary.engine.errors import Conflict
from canary.sandbox.parts import MemoryStore
from tests.controller.virtual import Virtual


class Contested(MemoryStore):
    """Each save finds a newer version than it names, while `rivals` write."""

    rivals = True

    def save(self, status: Status, version: str | None) -> str:
        if not self.rivals:
            return super().save(status, version)
        raise Conflict("patch Canary web: the object has been modified")


def under_way(scenario: str) -> tuple[Virtual, Contested]:
    """One Canary at its first step, whose state can't be saved from now on."""
    here = Virtual()
    key = here.add("web", scenario, steps=[{"weight": 50, "hold": "20s"}, {"weight": 80}], deadline="2h")
    here.controller.start()
    while not here.box(key).router.writes:
        here.fleet.advance(0.5)
    store = here.box(key).store
    contested = here.box(key).store = Contested(stored=store.stored)
    return here, contested


def test_a_rollback_is_carried_out_though_it_is_never_saved() -> None:
    """It goes on from memory, and is saved as what it is once someone else lets it."""
    here, store = under_way("bad")
    [key] = here.fleet.all()
    here.fleet.advance(60)
    assert [one.weight for one in here.box(key).router.writes] == [50, 0]
    assert store.stored is not None
    assert store.stored.status.phase is Phase.PROGRESSING
    store.rivals = False
    here.fleet.advance(60)
    assert here.status(key).phase is Phase.FAILED
    assert here.status(key).history[0].outcome is Outcome.ROLLED_BACK


def test_nothing_is_raised_that_is_not_saved() -> None:
    """It goes on once someone else lets it."""
    here, store = under_way("good")
    [key] = here.fleet.all()
    here.fleet.advance(60)
    assert [one.weight for one in here.box(key).router.writes] == [50]
    store.rivals = False
    here.fleet.advance(120)
    assert [one.weight for one in here.box(key).router.writes] == [50, 80, 100]
