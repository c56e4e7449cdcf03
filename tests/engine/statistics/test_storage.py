"""A state that is kept after each evaluation and read again decides the same as one that stays in memory."""

import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from canary.engine.statistics import decision, storage
from canary.engine.statistics.state import design_of, fresh, look_of

SEED = 20_260_103
SUMS = {"bad": [3.0], "total": [300.0], "step_bad": [1.0], "step_total": [100.0]}
STORED = {
    "relative": [[-1.0 + ratio / 4 for ratio in range(30)]],
    "looks": [2.0],
    "spread": [[3.25], [2.8525], [2.5], [0.5]],
    "own": [[1.5], [1.95], [1.0], [0.5]],
    "last": [[1.0], [100.0], [2.0], [900.0]],
    "before": [[2.0], [200.0], [7.0], [901.0]],
    "counts": {**SUMS, "stable_bad": [9.0], "stable_total": [1801.0]},
    "past": [-9999.0],
    "step": 2,
    "proof": [[0.31], [0.12]],
    "errors": [[2.0], [1.0]],
}
"""The form in which statuses of clusters have it, written out."""
AGAIN = {
    "counts": {**SUMS, "stable_bad": [5.0], "stable_total": [900.0]},
    "past": [-2.5],
    "spread": [[1.5], [1.9], [1.0], [0.5]],
}


def test_a_restart_changes_nothing() -> None:
    random = np.random.default_rng(SEED)
    design = design_of(0.01, 1.5, [(1, 0.01, True), (0.5, float("nan"), False)], steps=3, skew=0.25)
    stays = read = fresh(2)
    for turn in range(30):
        lanes = [(int(random.poisson(2)), 100, int(random.poisson(3)), 900) for _ in range(2)]
        step = 1 + turn // 10
        stays = storage.rounded(decision.fold(stays, look_of(lanes), step, design))
        text = json.dumps(storage.dumped(storage.rounded(decision.fold(read, look_of(lanes), step, design))))
        read = storage.loaded(json.loads(text))
        assert len(text) < 2 * 1000
    before, after = decision.weigh(stays, design), decision.weigh(read, design)
    for one in fields(before):
        assert np.array_equal(getattr(before, one.name), getattr(after, one.name)), one.name


OLD = {**STORED, "spread": [[8.85], [2565.0], [0.0306], [2.8525]]}
del OLD["own"]
"""As it was before the canary's own dispersion was known, and stable's was of other sums."""


@pytest.mark.parametrize("recount", [{}, {"recount": AGAIN}], ids=["usual", "after a shared outage"])
def test_of_an_older_form_all_but_the_dispersion_is_read(recount: dict[str, Any]) -> None:
    """Which is as in a rollout that begins."""
    state = storage.loaded(OLD | recount)
    assert not np.concatenate((*state.spread, *state.own, *state.recount.spread)).any()
    learned = ("spread", "own", "recount")
    assert {k: v for k, v in storage.dumped(state).items() if k not in learned} == {
        k: v for k, v in STORED.items() if k not in learned
    }
    assert state.recount.left_out.total == (300 if recount else 0)


@pytest.mark.parametrize("stored", [STORED, {**STORED, "recount": AGAIN}], ids=["usual", "after a shared outage"])
def test_what_is_stored_already_is_read(stored: dict[str, Any]) -> None:
    """A change of this form needs another number in `sequential_memory.py`, as the evidence of a rollout is lost."""
    state = storage.loaded(stored)
    assert storage.dumped(state) == stored
    assert state.sums.step_total == [100]
    assert state.last.n_b == [900]
    assert state.going.stable_total == 1801 - (900 if "recount" in stored else 0)
