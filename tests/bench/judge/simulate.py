"""Runs scenarios: all contestants on the same requests, batch by batch, in a few processes."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from canary.characteristics.arrays import Floats, Ints
from canary.characteristics.requests import SimulatedRequests
from canary.characteristics.rollouts import Rollouts, run

from .contestants import CONTESTANTS, grid
from .scenarios import Scenario, scenarios

TUNING, REPORT = "tuning", "report"
"""Seeds of the page are none of those that were used while the judge or this benchmark was changed."""
BATCH = 200
"""Rollouts that are simulated at once."""
HORIZON, LONG = 2400.0, 4800.0
"""Seconds that are simulated, and with less than one request per second; later a rollout is undecided."""


@dataclass(frozen=True)
class Outcomes:
    """What became of the rollouts of one scenario under one contestant; arrays over rollouts."""

    outcome: Ints
    """As `rollouts.RUNNING`, `PROMOTED` or `ROLLED_BACK`."""
    ended: Floats
    """Seconds since the canary's first weight; NaN if undecided."""
    harmed: Floats
    """Requests harmed, an hour after a promotion included."""

    @classmethod
    def of(cls, rollouts: Rollouts) -> "Outcomes":
        """What is kept of a batch."""
        return cls(rollouts.outcome, rollouts.ended, rollouts.harmed)

    @classmethod
    def joined(cls, parts: Sequence["Outcomes"]) -> "Outcomes":
        """Several batches as one."""
        return cls(
            *(np.concatenate([getattr(one, name) for one in parts]) for name in ("outcome", "ended", "harmed"))
        )


Found = Mapping[str, Outcomes]
"""By contestant."""


def seed_of(kind: str, scenario: Scenario, batch: int) -> int:
    """One seed for each batch; kinds have different ones."""
    return crc32(f"{kind} {scenario.name} {batch}".encode())


def simulate(
    scenario: Scenario, seed: int, count: int, makers: Mapping[str, Callable[..., Rollouts]] = CONTESTANTS
) -> Found:
    """One batch."""
    shared = grid()
    batches = {name: make(shared, count) for name, make in makers.items()}
    horizon = LONG if scenario.service.rps < 1 else HORIZON
    run(SimulatedRequests(scenario.service, shared, count, seed), batches.values(), horizon)
    return {name: Outcomes.of(one) for name, one in batches.items()}


def _by_name(name: str, seed: int, count: int) -> Found:
    """In another process, which needs a name only."""
    return simulate(next(one for one in scenarios() if one.name == name), seed, count)


def all_found(
    chosen: Sequence[Scenario], kind: str, batches: Callable[[Scenario], int], tell: Callable[[str], None]
) -> Iterator[tuple[Scenario, Found]]:
    """Each scenario with its rollouts, in the order of the table, once all are done. `tell` gets progress."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = {
            pool.submit(_by_name, one.name, seed_of(kind, one, batch), BATCH): (one.name, batch)
            for one in sorted(chosen, key=lambda one: one.service.rps)  # the longest first
            for batch in range(batches(one))
        }
        done: dict[tuple[str, int], Found] = {}
        for job in as_completed(jobs):
            done[jobs[job]] = job.result()
            tell(f"{len(done)} of {len(jobs)} batches, last {jobs[job][0]}")
    for one in chosen:
        parts = [done[one.name, batch] for batch in range(batches(one))]
        yield one, {name: Outcomes.joined([part[name] for part in parts]) for name in parts[0]}


def chosen(words: Iterable[str]) -> list[Scenario]:
    """The scenarios whose name has one of these words; all without any."""
    asked = tuple(words)
    return [one for one in scenarios() if not asked or any(word in one.name for word in asked)]
