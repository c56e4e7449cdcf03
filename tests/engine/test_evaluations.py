"""A decision that may not evaluate: an evaluation that is due stays due, and all else is acted on at once."""

import pytest

from canary.api.action import Verb
from canary.engine.decide import Decision, decide, needs
from tests.engine.situations import Case, asks, at_20_percent, failing
from tests.engine.test_first_answer import at_start


def between_slots(case: Case) -> Decision:
    """What the engine decides where it may not evaluate."""
    return decide(case.resolved, case.status, case.observed, case.now, may_evaluate=False)


DUE = [pytest.param(at_start(), id="at the start"), pytest.param(at_20_percent(failing), id="at a step")]


@pytest.mark.parametrize("case", DUE)
def test_an_evaluation_that_is_due_stays_due(case: Case) -> None:
    """Neither its time nor its evidence changes, with any measurement."""
    decision, before = between_slots(case), case.rollout
    rollout = decision.status.rollout
    assert rollout is not None
    assert case.rollout.next_evaluation <= case.now
    assert rollout.next_evaluation == before.next_evaluation
    assert (rollout.evaluation, rollout.evidence) == (before.evaluation, before.evidence)
    assert (decision.reason, decision.evaluated, decision.status.failed_checks) == ("Analysing", False, 0)


@pytest.mark.parametrize("case", DUE)
def test_it_asks_no_metrics(case: Case) -> None:
    """Everything else is read."""
    whole, without = (needs(case.resolved, case.status, case.now, may) for may in (True, False))
    assert (len(whole.queries), without.queries, without.at) == (4, (), None)
    assert (without.needs, without.stable, without.canary) == (whole.needs, whole.stable, whole.canary)


def test_what_else_is_seen_is_acted_on() -> None:
    """A person who asks for a rollback doesn't wait for the next slot."""
    decision = between_slots(at_20_percent(asks(Verb.ROLLBACK)))
    assert (decision.reason, decision.status.canary_weight, decision.evaluated) == ("RejectedByPerson", 0, False)
