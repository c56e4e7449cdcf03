"""A leader takes over a rollout whose target someone else has by now: no traffic moves until it is free."""

from datetime import UTC, datetime

import pytest

from canary.api.plan import Traffic
from canary.api.reason import Reason, Trait
from canary.api.status import Status
from canary.controller.ownership import BELIEVED
from canary.engine.errors import Conflict, Unreachable
from canary.kube.resources import LEASES

from .leading import Leading, taken

ENDS = [pytest.param(0, id="a lowering"), pytest.param(100, id="a raise")]


@pytest.mark.parametrize("weight", ENDS)
def test_a_target_that_a_run_has_is_not_moved(weight: int) -> None:
    """The first write asks whose it is, though nothing had to be saved; further ones ask now and then."""
    here = Leading()
    here.server.put(taken())
    router = here.wired().parts.router
    with pytest.raises(Conflict, match="process 4711 on ci"):
        router.write("v1", "v2", Traffic(weight=weight), None)
    for _ in range(20):
        with pytest.raises(Unreachable, match="process 4711 on ci"):
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


def test_exposure_is_lowered_where_the_owner_of_the_target_is_unknown() -> None:
    """Leases get no answer, VirtualServices do: a rollback doesn't wait for that, a raise does."""
    here = Leading()
    router = here.wired().parts.router
    here.server.lost = lambda request: request.resource == LEASES
    with pytest.raises(Unreachable, match="no answer"):
        router.write("v1", "v2", Traffic(weight=100), None)
    assert here.weight == 50
    router.write("v1", "v2", Traffic(), None)
    assert here.weight == 0


@pytest.mark.parametrize("reason", [Reason.STABLE_IS_WANTED, Reason.STABLE_UNKNOWN])
def test_a_canary_at_rest_names_the_run_that_moves_its_target(reason: Reason) -> None:
    """Not a fault of its manifest. The Lease is read once in a while, and the Canary goes on after the run."""
    here = Leading()
    here.server.put(taken())
    reconciler = here.wired()
    reconciler.tidy(Status(), datetime.now(UTC))
    assert reconciler.target.resolved().conflict == ""
    assert Trait.TRANSIENT in reason.traits  # the end of a run wakes no Canary
    reconciler.tidy(Status(reason=reason), datetime.now(UTC))
    for _ in range(20):
        assert "process 4711 on ci" in reconciler.target.resolved().conflict
    assert here.server.asked() == ["get"]
    here.wait(BELIEVED)
    reconciler.tidy(Status(reason=Reason.CONFLICT), datetime.now(UTC))
    assert "process 4711 on ci" in reconciler.target.resolved().conflict
    here.server.put(taken(""))
    here.wait(BELIEVED)
    assert reconciler.target.resolved().conflict == ""


def test_the_owner_of_the_target_of_a_canary_at_rest_is_unknown() -> None:
    """No run is known then, and what the route says stands."""
    here = Leading()
    here.server.lost = lambda request: request.resource == LEASES
    reconciler = here.wired()
    reconciler.tidy(Status(reason=Reason.STABLE_IS_WANTED), datetime.now(UTC))
    assert reconciler.target.resolved().conflict == ""
