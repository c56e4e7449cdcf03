"""Promise 5: a person's action counts once, for the revision and step that it was made for, and says whose it is."""

from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.exit_codes import Exit
from tests.rollout.wired import GATED, Driven, ask, driven

GATE = {"approval": {"count": 1}, "timeout": "5m"}
TWO_GATES = [{"weight": 20, "gates": [GATE]}, {"weight": 50, "gates": [GATE]}]


def test_an_approval_opens_one_gate_and_not_the_next() -> None:
    """It lies in the inbox all the time, also for the next process."""
    run = driven("good", steps=TWO_GATES)
    run.at(20, lambda: ask(run.box, Verb.APPROVE))
    assert run.run().code is Exit.ROLLED_BACK
    assert run.turns[-1].decision.status.history[0].reason == "GateTimedOut"
    assert run.turns[-1].decision.status.history[0].weight == 50


def test_a_retry_retries_once() -> None:
    """The same file lies there when the second attempt has failed."""
    first = driven("bad")
    first.run()
    ask(first.box, Verb.RETRY)
    codes = [Driven(first.box).run().code for _ in range(3)]
    assert codes == [Exit.ROLLED_BACK] * 3
    assert first.box.store.stored is not None
    assert first.box.store.stored.status.rollouts == 2


@pytest.mark.parametrize(
    "stale", [{"rollout": 9}, {"version": "v1"}, {"revision": "z"}, {"step": 9}], ids=lambda one: next(iter(one))
)
def test_what_was_made_for_something_else_is_refused_and_reported(stale: dict[str, Any]) -> None:
    run = driven("good", steps=GATED)
    run.at(20, lambda: ask(run.box, Verb.APPROVE, **stale))
    assert run.run().code is Exit.ROLLED_BACK
    reported = [message.message for message in run.box.notifier.delivered if message.reason == "ActionRefused"]
    assert len(reported) == 1
    assert reported[0].startswith("ada asked to approve: refused, that was for ")


@pytest.mark.parametrize(("verified", "name"), [(True, "ada asked"), (False, "ada (unverified) asked")])
def test_it_says_whose_it_is(verified: bool, name: str) -> None:
    run = driven("good")
    run.at(5, lambda: ask(run.box, Verb.ROLLBACK, verified=verified))
    assert run.run().sentence.startswith(f"rejected: {name} to roll back")
