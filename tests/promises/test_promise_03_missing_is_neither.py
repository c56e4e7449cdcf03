"""Promise 3: no data, NaN, a partial answer or an unreachable Prometheus is never a failed check, and never a pass
unless the manifest asks for that in words."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pytest

from canary.api.exit_codes import Exit
from canary.engine.observed import Cause, Missing, Query, Sample, Value
from tests.rollout.wired import Driven, driven

MISSING = [*(Missing(kind) for kind in Cause), Value(float("nan"))]


def answering(run: Driven, sample: Sample) -> Driven:
    """Every query is answered so."""

    def measure(queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        return dict.fromkeys(queries, sample)

    run.box.metrics.measure = measure  # type: ignore[method-assign]
    return run


@pytest.mark.parametrize("sample", MISSING, ids=str)
def test_neither_a_failed_check_nor_a_pass(sample: Sample) -> None:
    """Held until the rollout's own deadline, without a failed check: at 0% while metrics can't be read, else at the
    first step."""
    run = answering(driven("good", deadline="3m"), sample)
    assert run.run().code is Exit.ROLLED_BACK
    assert run.turns[-1].decision.status.history[0].reason == "DeadlinePassed"
    unread = isinstance(sample, Missing) and sample.cause.unreachable
    assert {turn.decision.status.canary_weight for turn in run.turns} == ({0} if unread else {0, 20})
    assert all(turn.decision.status.failed_checks == 0 for turn in run.turns)


@pytest.mark.parametrize("field", ["onNoData", "onUnreachable"])
def test_a_pass_on_the_manifests_word(field: str) -> None:
    """Asked for in words, and history says so by the message of its last evaluation."""
    sample = Missing(Cause.EMPTY if field == "onNoData" else Cause.REFUSED)
    patience: dict[str, Any] = {field: {"after": "20s", "then": "promote"}}
    run = driven("good", **patience)

    def begun() -> None:
        """After the start, where metrics must be readable."""
        answering(run, sample)

    run.at(3, begun)
    assert run.run().code is Exit.PROMOTED
    looks = {turn.decision.status.rollout.evaluation.message for turn in run.turns if turn.decision.evaluated
             and turn.decision.status.rollout and turn.decision.status.rollout.evaluation}  # fmt: skip
    assert any("without data" in message for message in looks)
