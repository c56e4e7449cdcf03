"""Each scenario ends as its table says, with counts that agree and as little harm as was promised."""

from dataclasses import replace
from pathlib import Path

import pytest

from canary.api.exit_codes import Exit
from canary.cli.demo import Name
from canary.demo.load import Counted
from canary.demo.stage import Pace, stage
from canary.rollout.drive import Interrupts
from canary.rollout.reconcile import Turn
from canary.sandbox.scenarios import HEALTHY, SCENARIOS, Behaviour
from tests.demo.watching import Noted, noted, weights_of
from tests.parts.patience import Busyness

FAST = Pace(interval=1, iterations=1, settle=0.1, drain=1, weights=(10, 50, 100), limit=600)
RATE = 300.0


def quick(behaviour: Behaviour) -> Behaviour:
    """The same, so soon that a fast rollout meets it."""
    return behaviour if behaviour.dies_after is None else replace(behaviour, dies_after=2)


def pace_for(name: str) -> Pace:
    """One failure in fifty needs more than one short look at each step to be seen for sure."""
    return replace(FAST, iterations=3) if name == "flaky" else FAST


OTHERS = [pytest.param(name, marks=pytest.mark.long if name == "good" else ()) for name in Name if name != "bad"]
"""`good` is in each demo that test_output.py plays, and `bad` has a test of its own below."""


@pytest.mark.parametrize("name", OTHERS)
def test_a_scenario_ends_as_its_table_says(name: str, envoy_binary: Path, tmp_path: Path) -> None:
    """Promoted or rolled back, with one request after the other accounted for by all three who count."""
    scenario = SCENARIOS[name]
    versions = {"v1": HEALTHY, "v2": quick(scenario.canary)}
    with stage(tmp_path, versions, RATE, pace_for(name), Interrupts()) as running:
        running.want("v2")
        over = running.roll_out(lambda turn: None)
        counted = running.count()
    assert (over.code is Exit.PROMOTED) == scenario.promoted, over
    assert over.code in (Exit.PROMOTED, Exit.ROLLED_BACK)
    accounted(counted, failing=name in ("flaky", "dead"))


def accounted(counted: Counted, failing: bool) -> None:
    """All three who count agree, and only the new version has failed, if any."""
    assert counted.agree, counted
    assert counted.load["v1"].failed == 0
    assert (counted.load["v2"].failed > 0) == failing


def test_a_bad_version_is_back_at_zero_one_look_after_the_evidence(envoy_binary: Path, tmp_path: Path) -> None:
    """From the first request that makes the deciding evaluation fail, to weight 0 in Envoy: one evaluation and a
    second."""
    turns: list[Turn] = []
    busy = Busyness()
    with stage(tmp_path, {"v1": HEALTHY, "v2": SCENARIOS["bad"].canary}, RATE, FAST, Interrupts()) as running:
        running.want("v2")
        with weights_of(running.proxy) as weights:
            over = running.roll_out(turns.append)
        counted = running.count()
    assert over.code is Exit.ROLLED_BACK
    accounted(counted, failing=True)
    evaluated = [turn for turn in turns if turn.decision.evaluated][-1].decision.status.rollout
    assert evaluated is not None
    assert evaluated.evaluation is not None
    decided = evaluated.evaluation.at.timestamp()
    evidence = [one for one in noted(tmp_path, "v2") if decided - FAST.interval < one.ended <= decided and bad(one)]
    zero = weights.back_at_zero("v2")
    late = 4 * busy.share  # seconds that a busy machine may add
    assert zero - evidence[0].ended <= FAST.interval + 1 + late
    assert zero - decided <= 1 + late
    assert max(one.sent for one in noted(tmp_path, "v2")) <= zero + 0.2


def bad(one: Noted) -> bool:
    return one.status >= 500 or one.milliseconds > FAST.limit
