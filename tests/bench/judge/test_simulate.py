"""The benchmark is the same for the same seed, and each scenario is what its name says."""

import numpy as np
import pytest

from canary.characteristics.requests import SimulatedRequests
from canary.characteristics.rollouts import PROMOTED, ROLLED_BACK, run

from .contestants import OURS, grid, sequential
from .scenarios import scenarios
from .simulate import BATCH, REPORT, TUNING, chosen, seed_of, simulate


def test_seeds_of_the_report_are_its_own() -> None:
    """No batch has the seed of another, or of one while tuning."""
    seeds = [seed_of(kind, one, batch) for kind in (TUNING, REPORT) for one in scenarios() for batch in range(8)]
    assert len(set(seeds)) == len(seeds)
    assert BATCH >= 100


def test_names_are_unique() -> None:
    """They are the keys of the results."""
    names = [one.name for one in scenarios()]
    assert len(set(names)) == len(names)


def test_a_batch_is_reproducible_and_each_contestant_sees_the_same_requests() -> None:
    """A contestant's rollouts don't depend on which others there are."""
    scenario = chosen(["all fail"])[0]
    seed = seed_of(TUNING, scenario, 0)
    together = simulate(scenario, seed, 20)[OURS]
    alone = simulate(scenario, seed, 20, {OURS: sequential})[OURS]
    assert together.ended.tolist() == alone.ended.tolist()
    assert together.harmed.tolist() == alone.harmed.tolist()


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("as stable, 50 rps", PROMOTED), ("50% errors, 50 rps", ROLLED_BACK), ("cold start", PROMOTED)],
)
def test_what_is_plain(name: str, outcome: int) -> None:
    """Nearly all rollouts of a plain case end as they should."""
    scenario = chosen([name])[0]
    rollouts = sequential(grid(), 40)
    run(SimulatedRequests(scenario.service, grid(), 40, seed_of(TUNING, scenario, 1)), [rollouts], 3600)
    assert np.mean(rollouts.outcome == outcome) > 0.9


def test_words_choose_scenarios() -> None:
    """All without a word."""
    assert len(chosen([])) == len(list(scenarios()))
    assert {one.bad for one in chosen(["shared outage, 6%"])} == {False}
