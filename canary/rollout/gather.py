"""All reads of one tick: concurrent, with one deadline. What fails or comes too late is Missing in its place."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, wait
from typing import Any, TypeVar

from canary.engine.decide import Needs
from canary.engine.observed import Kind, Missing, Observed
from canary.engine.phases import Need

from .ports import Parts

T = TypeVar("T")
DEADLINE = 8.0
"""Seconds that the reads of a tick may take together; each has a shorter time-out of its own."""


def gather(parts: Parts, needs: Needs, fresh: bool) -> Observed:
    """Reads what `needs` names, and nothing else."""
    answers = _all(parts.pool, _reads(parts, needs))
    samples = answers.pop("samples", {})
    if isinstance(samples, Missing):
        samples = dict.fromkeys(needs.queries, samples)
    actions = answers.pop("actions", ())
    if isinstance(actions, Missing):
        actions = ()
    return Observed(samples=samples, actions=tuple(actions), fresh=fresh, **answers)


def _reads(parts: Parts, needs: Needs) -> Mapping[str, Callable[[], Any]]:
    """By field of `Observed`, the call that fills it."""
    reads: dict[str, Callable[[], Any]] = {}
    stable, canary, at = needs.stable, needs.canary, needs.at
    if Need.WANTED in needs.needs:
        reads["wanted"] = parts.target.wanted
    if Need.ROUTE in needs.needs:
        reads["route"] = lambda: parts.router.read(stable, canary)
    if Need.WORKLOADS in needs.needs and stable is not None:
        reads["stable"] = lambda: parts.workloads.read(stable)
        reads["canary"] = lambda: parts.workloads.read(canary)
    if Need.ACTIONS in needs.needs:
        reads["actions"] = parts.inbox.read
    if at is not None:
        reads["samples"] = lambda: parts.metrics.measure(needs.queries, at)
    return reads


def _all(pool: Executor | None, reads: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    if pool is None:
        return {name: read() for name, read in reads.items()}
    futures = {name: pool.submit(read) for name, read in reads.items()}
    wait(futures.values(), timeout=DEADLINE)
    return {name: _answer(future) for name, future in futures.items()}


def _answer(future: Future[T]) -> T | Missing:
    if not future.done():
        future.cancel()
        return Missing(Kind.TIMED_OUT, f"no answer within {DEADLINE:g}s")
    return future.result()
