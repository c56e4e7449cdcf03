"""Promise 3: no data, NaN, a partial answer or an unreachable Prometheus is never a failed check, and never a pass
unless the manifest asks for that in words."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pytest

from canary.engine.observed import Kind, Missing, Query, Sample, Value
from canary.rollout.ending import Exit
from tests.rollout.wired import Driven, driven

MISSING = [*(Missing(kind) for kind in Kind), Value(float("nan"))]


def answering(run: Driven, sample: Sample) -> Driven:
    """Every query is answered so."""

    def measure(queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        return dict.fromkeys(queries, sample)

    run.box.metrics.measure = measure  # type: ignore[method-assign]
    return run


@pytest.mark.parametrize("sample", MISSING, ids=str)
def test_neither_a_failed_check_nor_a_pass(sample: Sample) -> None:
    """Held at the first step until the rollout's own deadline, without a failed check."""
    run = answering(driven("good", deadline="3m"), sample)
    assert run.run().code is Exit.ROLLED_BACK
    assert run.turns[-1].decision.status.history[0].reason == "DeadlinePassed"
    assert {turn.decision.status.canary_weight for turn in run.turns} == {0, 20}
    assert all(turn.decision.status.failed_checks == 0 for turn in run.turns)


@pytest.mark.parametrize("field", ["onNoData", "onUnreachable"])
def test_a_pass_on_the_manifests_word(field: str) -> None:
    """Asked for in words, and history says so by the message of its last look."""
    sample = Missing(Kind.EMPTY if field == "onNoData" else Kind.REFUSED)
    patience: dict[str, Any] = {field: {"after": "20s", "then": "promote"}}
    run = answering(driven("good", **patience), sample)
    assert run.run().code is Exit.PROMOTED
    looks = {turn.decision.status.rollout.look.message for turn in run.turns if turn.decision.looked
             and turn.decision.status.rollout and turn.decision.status.rollout.look}  # fmt: skip
    assert "passed without data, as the manifest asks" in looks
