"""A run that dies around each write to a primary, its routes and their cookies, and one that takes it up."""

from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from canary.sandbox.parts import Sandbox
from tests.rollout.wired import Driven, Killed, Recorded

from .test_primary import box, primary

WRITES = ("router.write", "store.save", "primary.provision", "primary.copy", "primary.scale")
COOKIES = {"cookieName": "seen", "primaryCookieName": "old"}
IN_STEPS: dict[str, Any] = {
    "steps": None, "stepWeights": [20, 50], "stepWeightPromotion": 30, "sessionAffinity": COOKIES,
}  # fmt: skip
SERVICE = {"targetRef": {"apiVersion": "v1", "kind": "Service", "name": "web"}}


def end(made: Sandbox) -> tuple[Any, ...]:
    """What is left: the outcomes, what serves, and the replicas of the target."""
    assert made.store.stored is not None
    status, there = made.store.stored.status, primary(made)
    outcomes = [one.outcome for one in status.history]
    return outcomes, status.stable, status.failed, made.world.traffic, there.revision, there.replicas


@pytest.mark.parametrize("spec", [{}, SERVICE], ids=["a Deployment", "a Service"])
@pytest.mark.parametrize(
    ("scenario", "outcome"), [("good", Outcome.PROMOTED), ("bad", Outcome.ROLLED_BACK)], ids=["promoted", "failing"]
)
def test_killed_around_any_write_the_end_is_the_same(scenario: str, outcome: Outcome, spec: dict[str, Any]) -> None:
    """All traffic is at the primary without a cookie; a rollout has one value of its cookies in all of its lives."""

    def begun() -> Sandbox:
        return box(scenario, spec=spec, **IN_STEPS)

    whole = Recorded(begun())
    Driven(whole.box, parts=whole.parts).run()
    outcomes, _, _, traffic, served, _ = end(whole.box)
    assert (outcomes, traffic, served) == ([outcome], Traffic(), "b" if scenario == "good" else "a")
    fatal = [index for index, call in enumerate(whole.calls) if call in WRITES]
    assert {call for call in whole.calls if call in WRITES} >= {"router.write", "store.save"}
    for index in fatal:
        for after in (False, True):
            made = begun()
            with pytest.raises(Killed):
                Driven(made, parts=Recorded(made, die_at=index, after=after).parts).run()
            Driven(made).run()
            where = f"killed {'after' if after else 'before'} call {index}, {whole.calls[index]}"
            assert end(made) == end(whole.box), where
            values = {one.affinity.canary.value for one in made.router.writes if one.affinity}
            assert len(values) == 1, where
            weights = [one.weight for one in made.router.writes]
            highest = max(range(len(weights)), key=weights.__getitem__)
            assert weights[: highest + 1] == sorted(weights[: highest + 1]), where
            assert weights[highest:] == sorted(weights[highest:], reverse=True), where
