"""How a rollout ended is one message."""

import pytest

from tests.engine.situations import Change, after, at_20_percent, decided, deleted, wanted


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param((deleted,), "Deleted", id="deleted"),
        pytest.param((wanted("v3"),), "Superseded", id="superseded"),
        pytest.param((wanted("v1"),), "Returned", id="returned"),
    ],
)
def test_how_a_rollout_ended_is_reported_once(changes: tuple[Change, ...], reason: str) -> None:
    """When it is over: not also when that was decided, in nearly the same words."""
    case = at_20_percent(*changes)
    decision = decided(case)
    reported, first = [message.reason for message in decision.messages], decision.reason
    while case.status.rollout is not None:
        case = after(case, decision, seconds=60)
        decision = decided(case)
        reported += [message.reason for message in decision.messages]
    assert (first, [str(one) for one in reported].count(reason)) == (reason, 1)
