"""A whole `canary run` with Flagger's hooks, which the load tester answers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from canary.api.exit_codes import Exit
from tests.parts.processes import wait_for
from tests.run.conftest import site, start
from tests.run.site import Site

from .test_server import Server

__all__ = ["site", "start"]
SHOP = {"name": "shop", "namespace": "default"}
Tester = Callable[..., Server]


@pytest.fixture
def tester(tmp_path: Path) -> Iterator[Server]:
    """A load tester for the shop."""
    server = Server(tmp_path / "loadtester.log", "--allow=sleep *", "--allow=true", "--allow=false")
    yield server
    server.process.terminate()
    server.process.wait(30)


def hooks(tester: Server, **tests: str) -> list[dict[str, Any]]:
    """As in a manifest of Flagger's; `tests` are commands of the type bash, by name."""
    url = f"http://127.0.0.1:{tester.port}"
    return [
        {"name": "may-start", "type": "confirm-rollout", "url": f"{url}/gate/check"},
        {"name": "stop", "type": "rollback", "url": f"{url}/rollback/check"},
        {"name": "load", "url": f"{url}/", "metadata": {"cmd": "sleep 1005"}},
        *(
            {"name": name, "type": "pre-rollout", "url": f"{url}/", "metadata": {"type": "bash", "cmd": command}}
            for name, command in tests.items()
        ),
    ]


def test_a_rollout_waits_for_its_gate_is_tested_and_promoted(site: Site, tester: Server) -> None:
    """Load runs from the first step on."""
    site.write(stepWeights=[20, 60], webhooks=hooks(tester, smoke="true"))
    run = site.run()
    site.until("GateClosed")
    assert tester.post("/gate/open", SHOP) == (202, "")
    assert run.ends() == Exit.PROMOTED
    assert tester.running() == 1
    assert "canary=shop.default" in tester.log.read_text()


def test_a_test_that_fails_rolls_back_before_any_request(site: Site, tester: Server) -> None:
    """Nothing is increased meanwhile."""
    site.write(stepWeights=[20, 60], webhooks=hooks(tester, smoke="false"))
    assert tester.post("/gate/open", SHOP) == (202, "")
    assert site.run().ends() == Exit.ROLLED_BACK
    assert site.status.history[-1].weight == 0


def test_a_person_rolls_back_through_the_load_tester(site: Site, tester: Server) -> None:
    """While a gate of a step holds."""
    gated = [{"weight": 50, "gates": [{"approval": {"count": 1}}]}]
    site.write(steps=gated, webhooks=hooks(tester))
    assert tester.post("/gate/open", SHOP) == (202, "")
    run = site.run()
    site.until("WaitingForApproval")
    assert tester.post("/rollback/open", SHOP) == (202, "")
    assert run.ends() == Exit.ROLLED_BACK
    wait_for(lambda: site.traffic is not None and site.traffic.weight == 0, "no weight")
