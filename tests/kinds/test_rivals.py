"""A leader takes over a rollout whose target somebody else has by now: no traffic moves until it is free."""

import pytest

from canary.api.plan import Traffic
from canary.engine.errors import Conflict, Unreachable
from canary.kinds.tenancy import BELIEVED
from canary.kube.resources import LEASES

from .leading import Leading, taken

ENDS = [pytest.param(0, id="a lowering"), pytest.param(100, id="a raise")]


@pytest.mark.parametrize("weight", ENDS)
def test_a_target_that_a_run_has_is_not_moved(weight: int) -> None:
    """The first write asks whose it is, though nothing had to be saved; further ones ask now and then."""
    here = Leading()
    here.server.put(taken())
    router = here.wired().parts.router
    with pytest.raises(Conflict, match="another run holds the target: process 4711 on ci"):
        router.write("v1", "v2", Traffic(weight=weight), None)
    for _ in range(20):
        with pytest.raises(Unreachable, match="nothing is written: another run holds the target"):
            router.write("v1", "v2", Traffic(weight=weight), None)
    assert (here.weight, here.server.asked()) == (50, ["get"] * 2)
    here.wait(BELIEVED)
    with pytest.raises(Conflict):
        router.write("v1", "v2", Traffic(weight=weight), None)
    assert (here.weight, here.server.asked()) == (50, ["get"] * 4)


@pytest.mark.parametrize("weight", ENDS)
def test_once_the_run_is_over_the_write_that_is_outstanding_is_sent(weight: int) -> None:
    """In the name of the leader."""
    here = Leading()
    here.server.put(taken())
    router = here.wired().parts.router
    with pytest.raises(Conflict):
        router.write("v1", "v2", Traffic(weight=weight), None)
    here.server.put(taken(""))
    here.wait(BELIEVED)
    router.write("v1", "v2", Traffic(weight=weight), None)
    assert here.weight == weight
    assert here.server.holder.endswith("@canary-system/canary")


def test_exposure_is_lowered_where_nobody_can_tell_whose_the_target_is() -> None:
    """Leases get no answer, VirtualServices do: a rollback doesn't wait for that, a raise does."""
    here = Leading()
    router = here.wired().parts.router
    here.server.lost = lambda request: request.resource == LEASES
    with pytest.raises(Unreachable, match="no answer"):
        router.write("v1", "v2", Traffic(weight=100), None)
    assert here.weight == 50
    router.write("v1", "v2", Traffic(), None)
    assert here.weight == 0
