"""kill -9 of a real `canary run` in each phase, on a real Envoy; started again, it ends the same."""

import signal

import pytest

from canary.api.status import Phase
from tests.examples import one_now
from tests.parts.processes import wait_for
from tests.run.site import Site
from tests.run.test_one_route_file import copied, run_of

STEPS = [{"weight": 30, "hold": "1s"}, {"weight": 60, "gates": [{"approval": {"count": 1}}]}]


@pytest.mark.parametrize(
    ("phase", "errors", "code"),
    one_now(
        [
            pytest.param(Phase.PROGRESSING, 0.5, 3, id="in a step, and it fails later: rolled back"),
            pytest.param(Phase.PROGRESSING, 0.0, 0, id="in a step: promoted"),
            pytest.param(Phase.WAITING_PROMOTION, 0.0, 0, id="at a gate: promoted"),
            pytest.param(Phase.WAITING_PROMOTION, 0.5, 3, id="at a gate, and it fails later: rolled back"),
            pytest.param(Phase.PROMOTING, 0.0, 0, id="while it promotes: promoted"),
            pytest.param(Phase.FINALISING, 0.5, 0, id="once it is promoted: promoted"),
        ]
    ),
)
def test_killed_in_a_phase_and_started_again(site: Site, phase: Phase, errors: float, code: int) -> None:
    """What was promised before holds after; a canary that fails after the restart is rolled back as well.

    It is started from a copy of the manifest: the state belongs to the route file.
    """
    site.write(steps=STEPS, stepWeightPromotion=20, drain="3s")
    run = site.run()
    if phase in (Phase.PROMOTING, Phase.FINALISING):
        site.until("WaitingForApproval")
        site.ask("approve")
    wait_for(lambda: site.status.phase is phase, f"the phase {phase}")
    run.send(signal.SIGKILL)
    assert run.ends() == -9
    site.world.backends["v2"].error_share = errors
    manifest, _ = copied(site, site.folder / "copy")
    again = run_of(site, manifest)
    if phase in (Phase.PROGRESSING, Phase.WAITING_PROMOTION) and not errors:
        site.until("WaitingForApproval")
        site.ask("approve")
    assert again.ends() == code
