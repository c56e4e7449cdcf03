"""A primary that another process has promoted to: a `canary run` beside a controller, with a status of its own."""

import pytest

from canary.api.exit_codes import Exit
from canary.api.status import Status, Version
from canary.engine.observed import Stored
from canary.sandbox.parts import Sandbox
from tests.rollout.wired import Driven

from .test_primary import ONE_STEP, box, primary


@pytest.mark.parametrize(
    ("promoted", "failed", "writes"),
    [
        pytest.param("b", None, [], id="the revision that the target has"),
        pytest.param("b", "b", [], id="one that had failed"),
        pytest.param("c", None, ["scale 3", "copy b", "scale 0"], id="an older one"),
        pytest.param("c", "b", [], id="an older one, and the target's has failed"),
    ],
)
def test_what_another_process_has_promoted_serves(promoted: str, failed: str | None, writes: list[str]) -> None:
    """The status of this one still has a as stable: the primary itself says more, and a never comes back."""
    run = Driven(made := behind("good", promoted, failed))
    assert run.run().code is (Exit.ROLLED_BACK if promoted != failed == "b" else Exit.PROMOTED)
    assert primary(made).writes == writes
    serves = "b" if writes else promoted
    assert run.turns[-1].decision.status.stable == Version(name="web-primary", revision=serves)


def test_a_rollback_leads_to_what_another_process_has_promoted() -> None:
    run = Driven(made := behind("bad", "c"))
    assert run.run().code is Exit.ROLLED_BACK
    assert (primary(made).revision, primary(made).writes) == ("c", ["scale 3", "scale 0"])


@pytest.mark.parametrize(
    ("scenario", "code", "serves"), [("good", Exit.PROMOTED, "b"), ("bad", Exit.ROLLED_BACK, "a")]
)
def test_a_run_without_a_status_rolls_out_what_the_target_has(scenario: str, code: Exit, serves: str) -> None:
    """It doesn't end with the primary of another process as if the target's own revision served."""
    made = box(scenario, steps=ONE_STEP)
    made.store.stored = None
    run = Driven(made)
    assert run.run().code is code
    assert primary(made).revision == serves
    assert run.turns[-1].decision.status.stable == Version(name="web-primary", revision=serves)


def behind(scenario: str, promoted: str, failed: str | None = None) -> Sandbox:
    """The target has b, another process has promoted a revision, and the status has a as stable."""
    made = box(scenario, steps=ONE_STEP)
    known = Status(
        stable=Version(name="web-primary", revision="a"),
        failed=Version(name="web-canary", revision=failed) if failed else None,
    )
    made.store.stored, primary(made).revision = Stored(known, "0"), promoted
    return made
