"""A state that is kept after each evaluation and read again decides the same as one that stays in memory."""

import json
from dataclasses import fields

import numpy as np

from canary.engine.statistics import decision, storage
from canary.engine.statistics.state import design_of, fresh, look_of

SEED = 20_260_103


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
