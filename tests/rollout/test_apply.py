"""Actions are carried out in the order of safety: decreases first, and nothing else where status was not saved."""

from dataclasses import dataclass, field, replace

import pytest

from canary.api.plan import Traffic
from canary.engine.actions import SetTraffic
from canary.engine.errors import CanaryError, Conflict, Rejected, Unreachable
from canary.engine.observed import Cause, Missing, RouteSeen
from canary.ports import Router
from canary.rollout.reconcile import Applied, apply
from tests.rollout.wired import sandbox


def set_traffic(weight: int, decreases: bool) -> SetTraffic:
    """To a weight."""
    return SetTraffic("v1", "v2", Traffic(weight=weight), "token", decreases)


ACTIONS = (set_traffic(50, False), set_traffic(0, True), set_traffic(100, False), set_traffic(20, True))


@dataclass
class Written(Router):
    """A router that keeps what it is asked for, and raises where it should."""

    raises: dict[int, CanaryError] = field(default_factory=dict)
    weights: list[int] = field(default_factory=list)

    def read(self, stable: str | None, canary: str) -> RouteSeen | Missing:
        """See the port."""
        return Missing(Cause.NOT_YET)

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        """See the port."""
        self.weights.append(traffic.weight)
        if traffic.weight in self.raises:
            raise self.raises[traffic.weight]


def carried_out(router: Written, decreases_only: bool = False) -> Applied:
    """All of them."""
    return apply(replace(sandbox().parts, router=router), ACTIONS, decreases_only)


@pytest.mark.parametrize(("decreases_only", "weights"), [(False, [0, 20, 50, 100]), (True, [0, 20])])
def test_what_decreases_exposure_goes_first(decreases_only: bool, weights: list[int]) -> None:
    """And is all that is done while status can't be saved."""
    router = Written()
    assert carried_out(router, decreases_only) == Applied()
    assert router.weights == weights


def test_what_fails_keeps_no_other_from_being_tried() -> None:
    """A conflict is distinguished: then the reconcile decides again."""
    router = Written({0: Unreachable("away"), 20: Rejected("no"), 50: Conflict("changed")})
    assert carried_out(router) == Applied(conflict=True, trouble=("away", "no", "changed"))
    assert router.weights == [0, 20, 50, 100]
