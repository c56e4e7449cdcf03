"""What the judge `sequential` takes: one evaluation beside one by `threshold`, and many Canaries on a batch axis."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import timedelta
from time import process_time
from typing import Any

import numpy as np

from canary.engine.judges import JUDGES
from canary.engine.judges.sequential_lanes import lanes_of
from canary.engine.judges.sequential_memory import remembered
from canary.engine.observed import Value
from canary.engine.statistics import decision, storage
from canary.engine.statistics.state import design_of
from tests.engine.test_sequential import MINUTE, Play, counts, policy

from .row import Row

CANARIES = 1000
USUAL, SLOW = (0, 3), (3, 20)
"""Requests that are slower than the objective, of 100 of the canary and 900 of stable; 1% may be."""
ROUNDS, EACH = 40, 5


def sequential() -> Iterator[Row]:
    """CPU time. The least of many rounds, as other work on the machine only adds."""
    mine, other = _least(_evaluation(USUAL)), _least(_by_threshold())
    yield Row("an evaluation by the judge sequential, two metrics", mine * 1000, "ms of CPU")
    yield Row("the same, where both versions are slow", _least(_evaluation(SLOW)) * 1000, "ms of CPU")
    yield Row("the first, in units of an evaluation by threshold", mine / other, "times")
    yield Row(
        f"evidence and verdicts of {CANARIES:,} Canaries on a batch axis", _least(_batch(), 1) * 1000, "ms of CPU"
    )


def _least(what: Callable[[], object], each: int = EACH) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = process_time()
        for _ in range(each):
            what()
        taken.append((process_time() - start) / each)
    return min(taken)


def _begun(slow: tuple[int, int] = SLOW) -> Play:
    play = Play()
    play.sees(5, counts(100, 0, slow[0]), counts(900, 1, slow[1]))
    play.standing = replace(play.standing, at=play.standing.at + MINUTE)
    return play


def _evaluation(slow: tuple[int, int]) -> Callable[[], object]:
    play, judge = _begun(slow), JUDGES["sequential"]
    of = {"v1": counts(900, 1, slow[1]), "v2": counts(100, 1, slow[0])}
    asked = judge.asks(play.policy, play.evidence, play.standing)
    answers = {query: of[query.subject.workload](query) for query in asked}
    return lambda: judge.fold(play.policy, play.evidence, answers, play.standing)


def _by_threshold() -> Callable[[], object]:
    rules, standing, judge = policy("threshold"), _begun().standing, JUDGES["threshold"]
    values = {"request-success-rate": 99.9, "request-duration": 120.0}
    answers = {query: Value(values.get(query.metric, 900.0)) for query in judge.asks(rules, None, standing)}
    evidence = judge.fold(rules, None, answers, standing).evidence
    later = replace(standing, at=standing.at + timedelta(minutes=1))
    return lambda: judge.fold(rules, evidence, answers, later)


def _batch() -> Callable[[], object]:
    play = _begun()
    chosen = lanes_of(play.policy)
    state = remembered(play.evidence, [one.key for one in chosen])[1]
    design = design_of(0.01, 1.5, [(one.weight, one.allowed, one.gates) for one in chosen], 3, 0.25)
    states, look = _repeated(state), _repeated(state.last)
    steps = np.ones(CANARIES, np.int64)
    return lambda: decision.weigh(storage.rounded(decision.fold(states, look, steps, design)), design)


def _repeated(found: Any) -> Any:
    """With an axis of Canaries in front."""
    if isinstance(found, np.ndarray):
        return np.repeat(found[None], CANARIES, axis=0)
    parts = found if isinstance(found, tuple) else [getattr(found, one.name) for one in fields(found)]
    return type(found)(*map(_repeated, parts))
