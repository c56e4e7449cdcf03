"""Promise 9: a restart or an upgrade starts no rollout; status remembers what was promoted and what failed."""

import pytest

from canary.api.exit_codes import Exit
from canary.api.status import Status
from canary.engine.observed import Stored
from canary.rollout.drive import Options, Then
from tests.rollout.wired import Driven, driven


@pytest.mark.parametrize(("scenario", "code"), [("good", Exit.PROMOTED), ("bad", Exit.ROLLED_BACK)])
def test_started_again_nothing_moves(scenario: str, code: Exit) -> None:
    run = driven(scenario)
    assert run.run().code is code
    writes = len(run.box.router.writes)
    again = Driven(run.box)
    assert again.run().code is code
    assert (len(run.box.router.writes), again.turns[-1].decision.status.rollouts) == (writes, 1)


def test_an_upgrade_with_other_defaults_changes_no_running_rollout() -> None:
    """Plan and policy are pinned; what status doesn't know yet gets its default."""
    first = driven("good", Options(on_interrupt=Then.HOLD))
    first.at(2, first.drive.interrupts)
    assert first.run().code is Exit.INTERRUPTED
    assert first.box.store.stored is not None
    wire = first.box.store.stored.status.wire() | {"fieldOfTomorrow": 1}
    first.box.store.stored = Stored(Status.model_validate(wire), first.box.store.stored.version)
    second = Driven(first.box)
    second.run()
    assert second.turns[-1].decision.status.rollouts == 1
