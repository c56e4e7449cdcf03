"""The judge `threshold` on a batch moves each rollout as the real one does, through the whole engine."""

from typing import Any

import pytest

from canary.characteristics.plan import stages_of
from canary.characteristics.requests import Grid, SimulatedRequests
from canary.characteristics.rollouts import weights_of
from canary.characteristics.service import Latency, SimulatedService, SimulatedVersion
from canary.characteristics.threshold import ThresholdRollouts

from .replay import Kept, moves_of, moves_replayed, resolved

RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
TIME = {"name": "request-duration", "interval": "2m", "thresholdRange": {"max": 500}}
UNWELL = SimulatedVersion(errors=0.03, latency=Latency(tail=((0.02, 8.0),)))


@pytest.mark.parametrize(
    ("analysis", "service"),
    [
        pytest.param(
            {"threshold": 4, "metrics": [RATE, TIME]}, SimulatedService(1.5, canary=UNWELL), id="failed checks"
        ),
        pytest.param(
            {"threshold": 9, "metrics": [{**RATE, "failureLimit": 1}, TIME]}, SimulatedService(4, canary=UNWELL)
        ),
        pytest.param(
            {"minRequests": 5, "onNoData": {"after": "4m"}, "metrics": [RATE]}, SimulatedService(0.6, unsteady=1.0)
        ),
        pytest.param({"onNoData": {"after": "1m", "then": "promote"}, "metrics": [RATE]}, SimulatedService(0.1)),
        pytest.param({"interval": "15s", "threshold": 5, "metrics": [RATE]}, SimulatedService(5, canary=UNWELL)),
        pytest.param(
            {"steps": [{"weight": 10, "hold": "90s"}, {"weight": 50, "iterations": 3}], "metrics": [RATE]},
            SimulatedService(5, canary=SimulatedVersion(errors=0.003)),
            id="steps with a minimum time and several evaluations",
        ),
        pytest.param(
            {"stepWeight": 20, "maxWeight": 40, "stepWeightPromotion": 30, "metrics": [RATE]},
            SimulatedService(5),
            id="promotion",
        ),
    ],
)
def test_a_batch_moves_as_the_engine_does(analysis: dict[str, Any], service: SimulatedService) -> None:
    """Same counts, same weights at the same times."""
    steps = {} if "steps" in analysis or "stepWeight" in analysis else {"stepWeights": [10, 30, 50]}
    spec = resolved(**steps, **analysis)
    grid = Grid(weights_of(stages_of(spec.plan)))
    kept = Kept(SimulatedRequests(service, grid, 12, seed=3))
    moves = moves_of(ThresholdRollouts(spec.policy, spec.plan, grid, 12), kept, 4000)
    assert len({tuple(one) for one in moves}) > 1 or "stepWeightPromotion" in analysis  # else it shows little
    assert moves == [moves_replayed(spec, kept, number) for number in range(12)]
