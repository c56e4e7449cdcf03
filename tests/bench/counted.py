"""What a rollout costs the outside: calls for each step, look and tick, and the size of its status."""

from collections import Counter
from collections.abc import Iterator

from canary.rollout.record import load
from canary.rollout.tick import Turn, tick
from tests.rollout.wired import Driven, Watched, sandbox

from .row import Row

AT = 50
"""The step that is counted: 50%, the second of two."""


def counts() -> Iterator[Row]:
    """All of them."""
    box = sandbox()
    watched = Watched(box)
    run = Driven(box, parts=watched.parts)
    calls: Counter[tuple[int, str]] = Counter()
    asked: list[int] = []

    def count(turn: Turn) -> None:
        calls.update((turn.decision.status.canary_weight, call) for call in watched.calls)
        watched.calls.clear()
        asked.extend([len(turn.observed.samples)] if turn.observed.samples else [])

    run.drive.report = count
    run.run()
    yield Row("saves of status in a step", calls[AT, "store.save"], "", 1)
    yield Row("writes to the route in a step", calls[AT, "router.write"], "", 1)
    yield Row("queries in a look of two metrics, stable's included", max(asked), "", 4)
    yield Row("requests for metrics in a look", calls[AT, "metrics.measure"], "", 1)
    watched.calls.clear()
    list(tick(watched.parts, load(box.store)))
    yield Row("reads in an idle tick", sum(call.endswith(("read", "wanted")) for call in watched.calls), "", 3)
    assert box.store.stored is not None
    largest = max(len(turn.record.status.model_dump_json(by_alias=True)) for turn in _turns())
    yield Row("largest status of a rollout", largest, "bytes", 16 * 1024)


def _turns() -> list[Turn]:
    run = Driven(sandbox("bad"))
    run.run()
    return run.turns
