"""How long things take: a decision, a command's help, a simulated rollout."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from statistics import median, quantiles
from time import perf_counter

from canary.api.status import Outcome
from canary.engine.decide import decide
from tests.engine.situations import Case, at_20_percent, at_rest, between_evaluations, ended
from tests.rollout.wired import driven

from .row import Row
from .sequential import sequential

DECISIONS = 3000
CASES: tuple[tuple[str, Case], ...] = (
    ("at rest", at_rest()),
    ("between evaluations", at_20_percent(between_evaluations)),
    ("with an evaluation of two metrics", at_20_percent()),
    ("with an evaluation by the judge sequential", at_20_percent(judge="sequential")),
    ("draining", at_20_percent(ended(Outcome.ROLLED_BACK))),
)


def timings() -> Iterator[Row]:
    """All of them."""
    for name, case in CASES:
        times = [micro * 1e6 for micro in _times(_decision(case), DECISIONS)]
        yield Row(f"decide, {name}: median", median(times), "µs", None if "sequential" in name else 1000)
        yield Row(f"decide, {name}: p99", quantiles(times, n=100)[98], "µs")
    yield from sequential()
    for argv, limit in (("--help", 150), ("status --help", None)):
        helps = [second * 1000 for second in _times(_command(argv), 21)][1:]
        yield Row(f"canary {argv}: median of 20, warm", median(helps), "ms", limit)
    yield Row("a simulated rollout of 3 steps", median(_times(lambda: driven("good").run(), 5)) * 1000, "ms")


def _decision(case: Case) -> Callable[[], object]:
    observed = case.observed
    return lambda: decide(case.resolved, case.status, observed, case.now)


def _command(argv: str) -> Callable[[], object]:
    process = [sys.executable, "-m", "canary", *argv.split()]
    return lambda: subprocess.run(process, check=True, capture_output=True)


def _times(what: Callable[[], object], count: int) -> list[float]:
    taken = []
    for _ in range(count):
        start = perf_counter()
        what()
        taken.append(perf_counter() - start)
    return taken
