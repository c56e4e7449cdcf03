"""What a rollout meets from outside of its own time and people: unproved names, clocks that were set back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from canary.api.action import Verb
from canary.engine.situation import in_our_time
from tests.engine.situations import MINUTE, NOW, Change, asks, at_20_percent, decided, done


@pytest.mark.parametrize(
    ("said", "approvals"),
    [
        pytest.param(
            [asks(Verb.APPROVE, "ada"), asks(Verb.APPROVE, "bob")], ["ada", "bob"], id="two who are verified"
        ),
        pytest.param(
            [asks(Verb.APPROVE, "ada"), asks(Verb.APPROVE, "bob", verified=False)],
            ["ada"],
            id="one person under two names counts once: the other name is not proved",
        ),
    ],
)
def test_a_gate_of_two_takes_only_people_who_are_verified(said: list[Change], approvals: list[str]) -> None:
    """Promise 5: else anyone who may ask at all could be a crowd."""
    gates = [{"name": "security", "approval": {"count": 2}}]
    steps = [{"weight": 10}, {"weight": 20, "gates": gates}, {"weight": 50}]
    decision = decided(at_20_percent(done, *said, steps=steps))
    rollout = decision.status.rollout
    assert rollout is not None
    moved = len(approvals) == 2
    assert (rollout.desired.weight, [one.author for one in rollout.approvals]) == (
        (50, []) if moved else (20, approvals)
    )
    refused = [one.message for one in decision.messages if one.reason == "ActionRefused"]
    assert [("the author isn't verified" in one) for one in refused] == ([] if moved else [True])


def test_a_clock_that_was_set_back_costs_one_interval() -> None:
    """A state from days ahead would take no evaluation until those days are over."""
    case = at_20_percent()
    assert case.status.rollout is not None
    days = NOW + timedelta(days=4)
    ahead = case.status.rollout.but(next_evaluation=days, in_place_since=days)
    rollout = decided(replace(case, status=case.status.but(rollout=ahead))).status.rollout
    assert rollout is not None
    assert (rollout.next_evaluation, rollout.in_place_since) == (NOW + MINUTE, NOW)
    assert in_our_time(case.status.rollout, NOW) == case.status.rollout
