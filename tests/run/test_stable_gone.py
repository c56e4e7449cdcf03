"""At 100% there may be no stable replica any more: what is in place and available is promoted, on a real Envoy."""

from typing import Any

import pytest

from canary.api.plan import Traffic
from tests.parts.processes import wait_for
from tests.run.site import GATED, Run, Site

GATE = GATED[0]["gates"]


def at_100_percent(site: Site, **step: Any) -> Run:
    """A run whose stable version has lost its pods at the last step."""
    site.write(steps=[{"weight": 50}, {"weight": 100, **step}])
    run = site.run()
    site.until_weight(100)
    site.world.backends["v1"].stop()
    return run


def test_the_last_step_is_done(site: Site) -> None:
    """It held for ever."""
    run = at_100_percent(site, hold="4s")
    assert run.ends() == 0
    assert site.traffic == Traffic(weight=100)


@pytest.mark.long
@pytest.mark.parametrize("verb", ["promote", "skip"])
def test_a_person_gets_out_of_a_gate(site: Site, verb: str) -> None:
    """These were refused; so was the approval, which the next test shows."""
    run = at_100_percent(site, gates=GATE)
    site.until("WaitingForApproval")
    assert site.ask(verb).returncode == 0
    assert run.ends() == 0
    assert site.traffic == Traffic(weight=100)


def test_a_rollback_onto_no_pod_is_refused(site: Site) -> None:
    """It sent all requests to no pod. The run goes on, and a person can still approve."""
    run = at_100_percent(site, gates=GATE)
    site.until("WaitingForApproval")
    wait_for(lambda: "v1 has 0 of the 1 replicas" in run.text, "the run to notice")
    refused = site.ask("rollback")
    assert (refused.returncode, site.traffic) == (1, Traffic(weight=100))
    assert "no replica of v1" in refused.stderr
    assert site.ask("approve").returncode == 0
    assert run.ends() == 0
    assert site.traffic == Traffic(weight=100)


def test_a_failing_canary_stays_while_there_is_nothing_to_go_back_to(site: Site) -> None:
    """It goes back as soon as stable answers again."""
    run = at_100_percent(site, hold="1h")
    site.world.backends["v2"].error_share = 1.0
    site.until("NothingToGoBackTo")
    assert site.traffic == Traffic(weight=100)
    site.world.backends["v1"].start()
    assert run.ends() == 3
    assert site.traffic == Traffic()
