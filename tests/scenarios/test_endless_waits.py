"""A day without data is not lived through look by look, and ends at the same moment as if it were."""

from datetime import timedelta

import pytest

from canary.api.canary import Canary
from canary.engine.desired import desired
from canary.rollout.tick import Turn
from canary.sandbox.scenarios import SCENARIOS
from canary.sandbox.simulate import sandbox_of, simulate

LIMITS = {"onNoData": {"after": "5h", "then": "rollback"}, "onUnreachable": {"after": "5h", "then": "rollback"}}


@pytest.mark.parametrize("scenario", ["quiet", "blind"])
@pytest.mark.parametrize(
    ("limits", "hours"),
    [pytest.param({}, 24, id="until the deadline"), pytest.param(LIMITS, 5, id="until patience runs out")],
)
def test_an_endless_wait_takes_few_ticks(scenario: str, limits: dict[str, object], hours: int) -> None:
    """One interval late at most; looks after the first hour are left out."""
    analysis = {"interval": "10s", "stepWeight": 50, "metrics": [{"name": "request-success-rate"}], **limits}
    spec = {"targetRef": {"kind": "EnvoyRoute", "name": "shop"}, "version": "v2", "analysis": analysis}
    canary = Canary.model_validate({"metadata": {"name": "shop"}, "spec": spec})
    sandbox = sandbox_of(desired(canary), SCENARIOS[scenario])
    turns: list[Turn] = []
    simulate(sandbox, turns.append)
    began = turns[0].at
    lowered = next(turn for turn in turns if turn.decision.status.rollout and turn.decision.status.rollout.end)
    late = lowered.at - began - timedelta(hours=hours)
    assert timedelta() <= late <= timedelta(seconds=20)
    assert len(turns) < 1000
