"""What a rollout costs the outside: calls for each step, look and reconcile, and the size of its status."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from canary.rollout.reconcile import Turn, reconcile
from canary.rollout.record import load
from tests.rollout.wired import Driven, Recorded, sandbox

from .row import Row

AT = 50
"""The step that is counted: 50%, the second of two."""


def counts() -> Iterator[Row]:
    """All of them."""
    box = sandbox()
    recorded = Recorded(box)
    run = Driven(box, parts=recorded.parts)
    calls: Counter[tuple[int, str]] = Counter()
    asked: list[int] = []

    def count(turn: Turn) -> None:
        calls.update((turn.decision.status.canary_weight, call) for call in recorded.calls)
        recorded.calls.clear()
        asked.extend([len(turn.observed.samples)] if turn.observed.samples else [])

    run.drive.report = count
    run.run()
    yield Row("saves of status in a step", calls[AT, "store.save"], "", 1)
    yield Row("writes to the route in a step", calls[AT, "router.write"], "", 1)
    yield Row("queries in an evaluation of two metrics, stable's included", max(asked), "", 4)
    yield Row("requests for metrics in an evaluation", calls[AT, "metrics.measure"], "", 1)
    recorded.calls.clear()
    list(reconcile(recorded.parts, load(box.store)))
    yield Row(
        "reads in an idle reconcile",
        sum(call.endswith(("read", "desired_version")) for call in recorded.calls),
        "",
        3,
    )
    assert box.store.stored is not None
    largest = max(len(turn.record.status.model_dump_json(by_alias=True)) for turn in _turns())
    yield Row("largest status of a rollout", largest, "bytes", 16 * 1024)
    yield from _sequential()


def _sequential() -> Iterator[Row]:
    """Of a judge that keeps numbers for each metric."""
    turns = _turns(judge="sequential", steps=[{"weight": 20, "iterations": 9}, {"weight": 50}])
    kept = [turn.record.status.rollout for turn in turns if turn.record.status.rollout]
    largest = max(len(one.evidence.model_dump_json(by_alias=True)) for one in kept if one.evidence)
    yield Row("largest evidence of the judge sequential, two metrics", largest, "bytes", 4 * 1024)
    asked = max(len(turn.observed.samples) for turn in turns)
    yield Row("queries in an evaluation by the judge sequential", asked, "", 4)


def _turns(**analysis: Any) -> list[Turn]:
    run = Driven(sandbox("bad", **analysis))
    run.run()
    return run.turns
