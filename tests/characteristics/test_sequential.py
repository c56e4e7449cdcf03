"""The judge `sequential` on a batch moves each rollout as the real one does, through the whole engine."""

from typing import Any

import pytest

from canary.characteristics.plan import stages_of
from canary.characteristics.requests import AT_ONCE, Grid, SimulatedRequests
from canary.characteristics.rollouts import weights_of
from canary.characteristics.sequential import SequentialRollouts
from canary.characteristics.service import Latency, SimulatedChange, SimulatedService, SimulatedVersion
from canary.engine.resolved import ResolvedSpec

from .replay import Kept, moves_of, moves_replayed, resolved

RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
TIME = {"name": "request-duration", "thresholdRange": {"max": 500}}
OURS = {"judge": "sequential", "metrics": [RATE, TIME]}
WORSE = SimulatedVersion(errors=0.03, latency=Latency(tail=((0.02, 8.0),)))
OUTAGE = SimulatedVersion(changes=(SimulatedChange(after=0, until=90, spread=300, errors=0.5),))
"""Of both, if both have it."""
COUNT, HORIZON = 5, 1500
EDGES = (50.0, 100.0, 250.0, 500.0, 1000.0)


@pytest.mark.parametrize(
    ("analysis", "service"),
    [
        pytest.param(OURS, SimulatedService(5, canary=WORSE), id="errors"),
        pytest.param(
            OURS, SimulatedService(30, canary=SimulatedVersion(latency=Latency(tail=((0.05, 8.0),)))), id="only slow"
        ),
        pytest.param({**OURS, "interval": "30s"}, SimulatedService(30, OUTAGE, OUTAGE), id="a shared outage"),
        pytest.param({**OURS, "interval": "15s"}, SimulatedService(5, canary=SimulatedVersion(0.01)), id="often"),
        pytest.param(
            {
                "metrics": [],
                "judge": {
                    "type": "sequential",
                    "falseRollbackRate": "5%",
                    "minEffect": 2,
                    "warmup": "4m",
                    "objective": {"successRate": 98, "latency": {"quantile": 95, "max": "500ms"}},
                },
            },
            SimulatedService(20, SimulatedVersion(0.03), WORSE, burst=3),
            id="settings of its own",
        ),
        pytest.param(
            {**OURS, "judge": {"type": "sequential", "onInconclusive": {"after": "5m", "then": "rollback"}}},
            SimulatedService(0.5),
            id="inconclusive",
        ),
        pytest.param(
            {**OURS, "judge": {"type": "sequential", "onInconclusive": {"after": "6m", "then": "promote"}}},
            SimulatedService(0.5),
            id="inconclusive, but passed",
        ),
        pytest.param(
            {**OURS, "judge": {"type": "sequential", "onInconclusive": {"after": "5m", "then": "rollback"}}},
            SimulatedService(0.2, unsteady=1.0),
            id="inconclusive, and often without requests",
        ),
        pytest.param({**OURS, "onNoData": {"after": "2m"}}, SimulatedService(0.2, unsteady=1.0), id="no data"),
        pytest.param({**OURS, "onNoData": {"after": "1m", "then": "promote"}}, SimulatedService(0.1)),
        pytest.param(
            {**OURS, "steps": [{"weight": 10, "hold": "90s"}, {"weight": 50, "iterations": 3}]},
            SimulatedService(20, canary=SimulatedVersion(0.01)),
            id="steps with a minimum time and several evaluations",
        ),
        pytest.param(
            {**OURS, "stepWeight": 20, "maxWeight": 40, "stepWeightPromotion": 30},
            SimulatedService(50),
            id="promotion",
        ),
    ],
)
def test_a_batch_moves_as_the_engine_does(analysis: dict[str, Any], service: SimulatedService) -> None:
    """Same counts, same weights at the same times."""
    steps = {} if "steps" in analysis or "stepWeight" in analysis else {"stepWeights": [10, 30, 50]}
    moves = compared(resolved(**steps, deadline="27m", **analysis), service)
    assert len({tuple(one) for one in moves}) > 1 or "stepWeightPromotion" in analysis  # else it shows little


def test_counters_that_are_read_at_once_roll_back_sooner() -> None:
    """A batch leaves nothing out of the last evaluation then, as the engine doesn't."""
    spec = resolved(stepWeights=[10, 30, 50], deadline="27m", **{**OURS, "interval": "15s"})
    service = SimulatedService(30, canary=SimulatedVersion(errors=0.5))
    scraped, at_once = (compared(spec, service, at_once=one) for one in (False, True))
    assert max(one[-1] for one in at_once) == (15.0, 0) < min(one[-1] for one in scraped)


def compared(
    spec: ResolvedSpec, service: SimulatedService, *, at_once: bool = False
) -> list[list[tuple[float, int]]]:
    """The moves of a batch, once it is sure that the engine makes the same."""
    grid = Grid(weights_of(stages_of(spec.plan)), edges=EDGES, at_once=at_once)
    kept = Kept(SimulatedRequests(service, grid, COUNT, seed=3, scrapes=AT_ONCE if at_once else None))
    moves = moves_of(SequentialRollouts(spec.policy, spec.plan, grid, COUNT), kept, HORIZON)
    replayed = [moves_replayed(spec, kept, number) for number in range(COUNT)]
    assert moves == [[move for move in one if move[0] <= HORIZON] for one in replayed]
    return moves
