"""Promise 11: an invalid spec moves no traffic, and gets a sentence that names the field and what is wrong."""

from dataclasses import replace

from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from tests.rollout.wired import driven

WRONG = ("spec.analysis.steps[0].weight: 500 is more than 100",)


def test_at_rest_nothing_starts() -> None:
    run = driven("good")
    run.box.target.value = replace(run.box.target.value, problems=WRONG)
    ending = run.run()
    assert (ending.code, ending.sentence, run.box.router.writes) == (Exit.INVALID, WRONG[0], [])


def test_in_mid_rollout_nothing_is_raised_until_it_is_right_again() -> None:
    """And the condition says Stalled, with the sentence."""
    run = driven("good")
    right = run.box.target.value
    run.at(5, lambda: setattr(run.box.target, "value", replace(right, problems=WRONG)))
    run.at(90, lambda: setattr(run.box.target, "value", right))
    assert run.run().code is Exit.PROMOTED
    held = [turn for turn in run.turns if turn.decision.reason == "InvalidSpec"]
    assert {turn.decision.status.canary_weight for turn in held} == {20}
    stalled = {one.type: one for one in held[-1].decision.status.conditions}["Stalled"]
    assert (stalled.status, stalled.message) == ("True", WRONG[0])


def test_in_mid_rollout_what_protects_still_acts() -> None:
    run = driven("bad")
    wrong = replace(run.box.target.value, problems=WRONG)
    run.at(5, lambda: setattr(run.box.target, "value", wrong))
    run.run()
    assert run.box.world.traffic == Traffic()


def test_what_only_a_start_must_not_meet_leaves_a_rollout_alone() -> None:
    """At rest nothing starts; what runs already is promoted by what it has pinned."""
    waits = driven("good")
    waits.box.target.value = replace(waits.box.target.value, obstacles=WRONG)
    ending = waits.run()
    assert (ending.code, ending.sentence, waits.box.router.writes) == (Exit.INVALID, WRONG[0], [])
    run = driven("good")
    run.at(5, lambda: setattr(run.box.target, "value", replace(run.box.target.value, obstacles=WRONG)))
    assert run.run().code is Exit.PROMOTED
    assert "InvalidSpec" not in [turn.decision.reason for turn in run.turns[:-1]]
