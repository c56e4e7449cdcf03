"""kill -9 at random moments of promotion, rollback and deletion: the same end, and no user meets an error of ours.

A seed decides the moments. One of each belongs to `make test-rest`; more of them, at others:

    CANARY_KILLS=50 CANARY_SEED=1 make test-rest TESTS='-s tests/podinfo/test_random_kills.py'
"""

import os
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from random import Random
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from tests.parts.kube import SLOWLY
from tests.parts.processes import Command, wait_for
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import NAME, PRIMARY, PodinfoSite
from tests.podinfo.test_deletion import gone, objects
from tests.podinfo.test_kills import LEASES

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(3600)]

KILLS = int(os.environ.get("CANARY_KILLS", "2"))
SEED = int(os.environ.get("CANARY_SEED", "12"))
ONE_STEP = [{"weight": 50}]


class Killer:
    """Kills what makes a rollout, a random time after a moment, and starts another one."""

    def __init__(self, start: Callable[[], Command], random: Random) -> None:
        self.random, self.start = random, start
        self.alive = start()
        self.moments: list[str] = []

    def strikes(self, what: str, over: Callable[[], bool]) -> None:
        """As often as it isn't over by then. The process needs about a second to start, and more beside others."""
        for life in range(1 if KILLS <= 3 else 3):
            self._waits(self.random.uniform(0, 2.0 if life == 0 else 6.0), over)
            if over():
                return
            self.alive.process.kill()
            self.alive.process.wait()
            self.moments.append(what)
            self.alive = self.start()

    def _waits(self, seconds: float, over: Callable[[], bool]) -> None:
        """The moment is random, so there is no condition to wait for."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not over():
            time.sleep(0.005)


def freed(site: ControlledSite | PodinfoSite) -> None:
    """The dead process's Leases go, so that no process has to wait for their end."""
    site.mesh.kube.request("DELETE", site.mesh.path(LEASES, "Lease"))


def with_image(found: Mapping[str, Any], image: str) -> dict[str, Any]:
    """The same objects where the target has another image."""
    made = deepcopy(dict(found))
    made[f"Deployment {NAME}"]["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return made


def test_a_controller_in_promotion_rollback_and_deletion(bare: ControlledSite) -> None:
    """One life of the Canary after the other, from its first provisioning to its deletion."""
    before = objects(bare)

    def start() -> Command:
        freed(bare)
        return bare.controller()

    killer = Killer(start, Random(SEED))
    while len(killer.moments) < KILLS:
        bare.podinfo.push("1")
        bare.settle(spec={"revertOnDeletion": True}, steps=ONE_STEP)
        good = bare.push()
        bare.when(lambda: bare.status.phase in ("Promoting", "Finalising", "Succeeded"), "the promotion")
        killer.strikes("promotion", lambda: bare.resting)
        bare.when(lambda: bare.resting, "the end of the promotion")
        assert (bare.status.history[0].outcome, bare.image, bare.traffic) == (Outcome.PROMOTED, good, Traffic())
        assert (bare.status.rollouts, bare.podinfo.replicas(PRIMARY), bare.failed) == (1, 2, 0)
        bad = bare.push(errors=1.0)
        bare.when(lambda: bare.status.phase in ("Finalising", "Failed"), "the rollback")
        killer.strikes("rollback", lambda: bare.resting)
        bare.when(lambda: bare.resting, "the end of the rollback")
        assert (bare.status.history[0].outcome, bare.image, bare.traffic) == (Outcome.ROLLED_BACK, good, Traffic())
        measured = bare.mesh.measured(bare.since)
        assert measured.failed == measured.of(image=bad, workload=NAME).failed > 0
        bare.delete()
        killer.strikes("deletion", lambda: gone(bare))
        bare.when(lambda: gone(bare), "the Canary to be gone")
        bare.mesh.ready(NAME)
        assert bare.failed == measured.failed
        assert objects(bare) == with_image(before, good)
    print(f"seed {SEED}: {killer.moments}")


def test_runs_in_promotion_and_rollback(site: PodinfoSite) -> None:
    """The next run takes up what the killed one has left, and ends with its exit code."""
    site.provisioned(drain="1s", steps=ONE_STEP)
    random, moments, tag, good = Random(SEED), list[str](), 1, "1"
    while len(moments) < KILLS:
        for what, errors, code in (("promotion", 0.0, 0), ("rollback", 1.0, 3)):
            tag += 1
            failed = site.failed
            moments += pushed(site, random, (what, str(tag), errors), code)
            good = good if errors else str(tag)
            site.at_rest(good)
            outcome = Outcome.ROLLED_BACK if errors else Outcome.PROMOTED
            assert (site.replicas(PRIMARY), site.status.history[0].outcome) == (2, outcome)
            bad = site.mesh.measured(site.since).of(image=f"podinfo:{tag}", workload=NAME).failed
            assert site.failed - failed == (bad if errors else 0)
    print(f"seed {SEED}: {moments}")


def pushed(site: PodinfoSite, random: Random, build: tuple[str, str, float], code: int) -> list[str]:
    """The moments at which runs died; the last one ends with the code."""
    what, tag, errors = build
    site.behave(tag, errors=errors)
    site.push(tag, None)

    def start() -> Command:
        freed(site)
        return site.run()

    killer = Killer(start, random)

    def over() -> bool:
        return killer.alive.process.poll() is not None

    phases = ("Finalising",) if errors else ("Promoting", "Finalising")
    wait_for(lambda: over() or site.status.phase in phases, what, within=SLOWLY)
    killer.strikes(what, over)
    assert killer.alive.ends() == code, killer.alive.text
    return killer.moments
