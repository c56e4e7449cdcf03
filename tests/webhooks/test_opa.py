"""Gates that a real Open Policy Agent decides."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from canary.api.exit_codes import Exit
from canary.api.webhooks import HookRequest
from canary.webhooks.exchange import HookExchange, Response
from tests.parts import modules
from tests.parts.opa import OpenPolicyAgent
from tests.run.conftest import site, start
from tests.run.site import Site

__all__ = ["site", "start"]
pytestmark = pytest.mark.long

POLICY = """\
package rollouts

default allow := false

allow if {
    data.freeze.over
    input.type == "gate"
    input.weight <= 50
}

decision := {"allow": allow, "reason": sprintf("%s may not have %d%%", [input.name, input.weight])}

small if input.weight < 50

whole := input
"""


@pytest.fixture
def opa(tmp_path: Path) -> Iterator[OpenPolicyAgent]:
    """One with the policy; the freeze is on."""
    made = OpenPolicyAgent(modules.program("opa", "Open Policy Agent"), tmp_path / "opa", POLICY)
    made.start()
    made.set("freeze", {"over": False})
    yield made
    made.stop()


def decided(opa: OpenPolicyAgent, rule: str, **posted: Any) -> Response:
    """What the gate learns from a rule."""
    request = HookRequest(url=f"{opa.url}/v1/data/rollouts/{rule}", timeout=timedelta(seconds=10))
    payload = {"input": {"name": "web", "type": "gate", "weight": 50, **posted}}
    return HookExchange(request, payload, "1/x", decides=True, quoted=True).call()


def test_what_its_answers_mean(opa: OpenPolicyAgent) -> None:
    """Rules that are true, false, undefined, objects or something else; and what can't be read."""
    assert decided(opa, "allow") == Response(passed=False, detail="the policy says no")
    assert decided(opa, "decision") == Response(passed=False, detail="the policy says no: web may not have 50%")
    opa.set("freeze", {"over": True})
    assert decided(opa, "allow") == Response(passed=True, detail="the policy allows it")
    assert decided(opa, "decision") == Response(passed=True, detail="the policy allows it")
    assert not decided(opa, "decision", weight=60).passed
    assert decided(opa, "small") == Response(passed=False, detail="the policy is undefined")
    assert decided(opa, "small", weight=20).passed
    assert decided(opa, "nothing") == Response(passed=False, detail="the policy is undefined")
    assert decided(opa, "whole") == Response(passed=False, detail="the policy says no")


def test_a_rollout_waits_for_its_policy(site: Site, opa: OpenPolicyAgent) -> None:
    """The gate is asked again until the policy allows the step; then the rollout goes on."""
    gate = {"name": "freeze", "opa": {"url": f"{opa.url}/v1/data/rollouts/decision"}, "timeout": "1h"}
    site.write(steps=[{"weight": 50, "gates": [gate]}])
    run = site.run()
    site.until("GateClosed")
    assert "freeze is closed: the policy says no: shop may not have 50%" in site.status.message
    opa.set("freeze", {"over": True})
    assert run.ends() == Exit.PROMOTED


def test_a_policy_that_says_no_until_the_time_is_over(site: Site, opa: OpenPolicyAgent) -> None:
    """The rollout is rolled back."""
    gate = {"name": "freeze", "opa": {"url": f"{opa.url}/v1/data/rollouts/allow"}, "timeout": "2s"}
    site.write(steps=[{"weight": 50, "gates": [gate]}])
    assert site.run().ends() == Exit.ROLLED_BACK
    assert site.status.history[0].reason == "GateTimedOut"
