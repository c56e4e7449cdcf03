"""No replica of stable is left in mid-rollout: no one is sent there, nothing waits for ever, and a fix gets out."""

from collections.abc import Callable
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome
from tests.bookinfo.site import GATED, Run, Site, says
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

pytestmark = pytest.mark.long

GATE = GATED[0]["gates"]
Gone = Callable[[Site], None]


def stopped(site: Site, version: str = "v1") -> None:
    """No pod is left of it."""
    site.mesh.scale(f"reviews-{version}", 0)
    without_pods(site, version)


def deleted(site: Site, version: str = "v1") -> None:
    site.mesh.delete("Deployment", f"reviews-{version}")
    without_pods(site, version)


def without_pods(site: Site, version: str) -> None:
    workload = f"reviews-{version}"
    wait_for(
        lambda: not [one for one in site.mesh.pilot.pods() if one.workload == workload],
        f"no pod of {workload}",
        within=SLOWLY,
    )


def all_to(site: Site, version: str) -> bool:
    """Every request goes there, by the VirtualService."""
    return site.state("v3", version).traffic == Traffic(weight=100)


def promoted(site: Site, run: Run) -> None:
    """With everything at v2, and nothing given back on the way."""
    assert run.ends() == 0, run.text
    assert all_to(site, "v2")
    assert [one.outcome for one in site.status.history] == [Outcome.PROMOTED]


def at_100_percent(site: Site, **step: Any) -> Run:
    site.write(steps=[{"weight": 50}, {"weight": 100, **step}])
    run = site.run()
    site.until_weight(100)
    return run


@pytest.mark.parametrize("gone", [stopped, deleted])
def test_the_last_step_is_done(site: Site, gone: Gone) -> None:
    """It held for ever."""
    run = at_100_percent(site, hold="4s")
    gone(site)
    promoted(site, run)


@pytest.mark.parametrize("gone", [stopped, deleted])
@pytest.mark.parametrize("verb", ["approve", "promote", "skip"])
def test_a_person_gets_out_of_a_gate(site: Site, verb: str, gone: Gone) -> None:
    """All of these were refused; a rollback still is."""
    run = at_100_percent(site, gates=GATE)
    site.until("WaitingForApproval")
    gone(site)
    refused = site.ask("rollback")
    assert (refused.returncode, site.traffic) == (1, Traffic(weight=100))
    assert "no replica of v1" in refused.stderr
    assert site.ask(verb).returncode == 0
    promoted(site, run)


def test_a_failing_canary_stays_at_100_percent_until_stable_is_back(site: Site) -> None:
    """There is nothing to go back to before."""
    run = at_100_percent(site, hold="1h")
    stopped(site)
    site.mesh.behave("reviews-v2", errors=1.0)
    site.until("NothingToGoBackTo")
    assert site.traffic == Traffic(weight=100)
    site.mesh.scale("reviews-v1", 2)
    assert run.ends() == 3, run.text
    assert site.traffic == Traffic()


def test_a_newer_version_starts_at_100_percent_from_what_serves(site: Site) -> None:
    """Nothing is given back on the way: v2 is stable for v3."""
    run = at_100_percent(site, hold="1h")
    stopped(site)
    says(run, "v1 has 0 of the 2 replicas")
    site.write("v3", steps=[{"weight": 50}])
    superseded(site, run, Traffic(weight=100))
    promoted_v3(site)
    assert [one.outcome for one in site.status.history] == [Outcome.PROMOTED, Outcome.SUPERSEDED]
    assert str(site.status.history[0].stable).startswith("v2")


def all_to_v3(site: Site) -> bool:
    return site.state("v1", "v3").traffic == Traffic(weight=100)


def superseded(site: Site, run: Run, traffic: Traffic) -> None:
    """The run of v2 ends, with v2 at this weight."""
    assert run.ends() == 7, run.text
    assert site.traffic == traffic


def promoted_v3(site: Site) -> None:
    """By another run."""
    run = site.run()
    assert run.ends() == 0, run.text
    assert all_to_v3(site)


@pytest.mark.parametrize("gone", [stopped, deleted])
def test_promoted_below_100_percent_by_a_person(site: Site, gone: Gone) -> None:
    """The share of v1 meets no one until then."""
    site.write(steps=GATED, capacity="ignore")
    run = site.run()
    site.until("WaitingForApproval")
    gone(site)
    assert site.traffic == Traffic(weight=30)
    assert site.ask("promote").returncode == 0
    promoted(site, run)


@pytest.mark.parametrize("gone", [stopped, deleted])
def test_a_fix_gets_out_below_100_percent(site: Site, gone: Gone) -> None:
    """The sentence says how: without v2 nothing is left that a rollback could take away, and v3 is promoted."""
    site.write(steps=GATED)
    run = site.run()
    site.until("WaitingForApproval")
    gone(site)
    site.mesh.behave("reviews-v2", errors=1.0)
    site.write("v3", steps=GATED)
    says(run, "start v1, or stop v2")
    assert site.traffic == Traffic(weight=30)
    stopped(site, "v2")
    superseded(site, run, Traffic())
    run = site.run()
    says(run, "until a person promotes")
    assert site.ask("promote").returncode == 0
    assert run.ends() == 0, run.text
    assert all_to_v3(site)


def test_a_fix_gets_out_below_100_percent_when_stable_is_back(site: Site) -> None:
    """The other way."""
    site.write(steps=GATED)
    run = site.run()
    site.until("WaitingForApproval")
    stopped(site)
    site.write("v3", steps=[{"weight": 50}])
    says(run, "no replica of v1 is available to go back to")
    assert site.traffic == Traffic(weight=30)
    site.mesh.scale("reviews-v1", 2)
    superseded(site, run, Traffic())
    promoted_v3(site)
