"""Who can answer, by a real Envoy's health checks."""

from collections.abc import Callable

import pytest

from canary.engine.observed import Cause, Missing, WorkloadSeen
from canary.workloads.envoy import EnvoyWorkloads
from tests.envoy.world import World, route
from tests.parts.processes import wait_for

Start = Callable[..., World]


def test_health_checks_tell_who_is_available(start: Start) -> None:
    """A service that says it isn't healthy, and one that is gone, serve no one; both come back."""
    world = start(route(cluster="v1"), checked=True)
    workloads, backend = EnvoyWorkloads(world.admin), world.backends["v2"]

    def available(count: int) -> None:
        wait_for(lambda: workloads.read("v2") == WorkloadSeen("v2", 1, count), f"{count} available")

    available(1)
    backend.healthy = False
    available(0)
    backend.healthy = True
    available(1)
    backend.stop()
    available(0)
    backend.start()
    available(1)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        pytest.param("v9", Missing(Cause.ABSENT, "Envoy has no cluster v9"), id="a cluster that Envoy hasn't"),
        pytest.param("v", Missing(Cause.ABSENT, "Envoy has no cluster v"), id="part of a name is no name"),
        pytest.param("v.", Missing(Cause.ABSENT, "Envoy has no cluster v."), id="a name is no expression"),
        pytest.param("empty", WorkloadSeen("empty", 0, 0), id="no endpoint"),
        pytest.param("dead", WorkloadSeen("dead", 1, 1), id="without checks an endpoint that is down looks well"),
    ],
)
def test_clusters(start: Start, name: str, seen: WorkloadSeen | Missing) -> None:
    """What Envoy says of each."""
    world = start(route(cluster="v1"))
    assert EnvoyWorkloads(world.admin).read(name) == seen


def test_no_envoy_no_answer(start: Start) -> None:
    """A proxy that is down says nothing about its clusters."""
    world = start(route(cluster="v1"))
    world.envoy.kill()
    missing = EnvoyWorkloads(world.admin).read("v1")
    assert isinstance(missing, Missing)
    assert missing.cause is Cause.REFUSED
