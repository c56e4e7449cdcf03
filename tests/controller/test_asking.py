"""What a slot asks, and what becomes of it where the answer takes a while."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from canary.controller.seat import Seat
from canary.engine.errors import Unreachable
from canary.engine.observed import Query, Sample, Value
from canary.rollout.ports import Parts
from canary.sandbox.fleet import SandboxRig
from tests.controller.later import Later, until_asked, waiting
from tests.controller.virtual import HELD, Virtual


@dataclass
class Gone(SandboxRig):
    """Was deleted."""

    @property
    def parts(self) -> Parts:
        """See Rig."""
        raise Unreachable("the Canary isn't there any more")


class Failing:
    """A server where each request fails."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """See Metrics."""
        return dict.fromkeys(queries, Value(0.0))


@dataclass
class Edited(SandboxRig):
    """Names another server by now."""

    @property
    def parts(self) -> Parts:
        """See Rig."""
        return replace(self.sandbox.parts, metrics=Failing())


def asked_together() -> tuple[Virtual, Later, Seat]:
    """Five Canaries whose looks are one question, which isn't asked yet, and the first one of them."""
    many = Virtual()
    keys = [many.add(f"web-{number}", source="one", **HELD) for number in range(5)]
    for key in keys:
        many.box(key).metrics = many.box(keys[0]).metrics
    later = waiting(many)
    until_asked(many, later, keys)
    assert len(later.seats()) == 5
    return many, later, later.seats()[0]


@pytest.mark.parametrize("rig", [Gone, Edited], ids=["deleted", "given another server"])
def test_what_becomes_of_one_canary_changes_nothing_for_others_of_its_slot(rig: type[SandboxRig]) -> None:
    """They are told what their own server says, as it was named when the slot came."""
    many, later, first = asked_together()
    others = [seat.key for seat in later.seats() if seat is not first]
    looks = {key: len(many.looks(key)) for key in others}
    first.rig = rig(many.box(first.key), "another")
    later.answer()
    assert {key: len(many.looks(key)) for key in others} == {key: number + 1 for key, number in looks.items()}
    for key in others:
        rollout = many.watcher.turns[key][-1].record.status.rollout
        assert rollout is not None
        assert rollout.look is not None
        assert (rollout.look.verdict, rollout.look.message) == ("pass", "all checks passed")
    assert {key for key, _ in many.watcher.crashes} <= {first.key}
