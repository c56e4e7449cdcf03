"""A day without data is not lived through look by look, and ends at the same moment as if it were."""

from datetime import timedelta

import pytest

from canary.api.canary import Canary
from canary.engine.resolved import resolve_spec
from canary.rollout.reconcile import Turn
from canary.sandbox.scenarios import SCENARIOS
from canary.sandbox.simulate import sandbox_of, simulate

LIMITS = {"onNoData": {"after": "5h", "then": "rollback"}, "onUnreachable": {"after": "5h", "then": "rollback"}}
HOLD = {"onNoData": {"then": "hold"}}


@pytest.mark.parametrize(
    ("scenario", "limits", "hours"),
    [
        pytest.param("quiet", {}, 0.25, id="no data, by default"),
        pytest.param("quiet", LIMITS, 5, id="no data, until patience runs out"),
        pytest.param("quiet", HOLD, 24, id="no data, until the deadline"),
        pytest.param(
            "quiet", {"judge": "sequential", "interval": "1m"}, 24, id="no data for the judge sequential, by default"
        ),
        pytest.param("blind", {}, 24, id="never reached: at 0% until the deadline"),
        pytest.param("blind", LIMITS, 24, id="never reached: patience is for weights above 0"),
    ],
)
def test_an_endless_wait_takes_few_reconciles(scenario: str, limits: dict[str, object], hours: float) -> None:
    """One interval late at most; looks after the first hour are left out."""
    analysis = {"interval": "10s", "stepWeight": 50, "metrics": [{"name": "request-success-rate"}], **limits}
    spec = {"targetRef": {"kind": "EnvoyRoute", "name": "shop"}, "version": "v2", "analysis": analysis}
    canary = Canary.model_validate({"metadata": {"name": "shop"}, "spec": spec})
    sandbox = sandbox_of(resolve_spec(canary), SCENARIOS[scenario])
    turns: list[Turn] = []
    simulate(sandbox, turns.append)
    began = turns[0].at
    lowered = next(turn for turn in turns if turn.decision.status.rollout and turn.decision.status.rollout.end)
    late = lowered.at - began - timedelta(hours=hours)
    assert timedelta() <= late <= timedelta(seconds=20)
    assert len(turns) < 1000
