"""`canary run --notify`: alerts without a cluster, on a real Envoy."""

import os
import signal

import pytest

from tests.alerts.endpoint import endpoint, field_of
from tests.parts.processes import wait_for
from tests.run.site import Site


def test_a_run_tells_its_start_and_its_end(site: Site) -> None:
    """With the command that names its rollout."""
    site.write(steps=[{"weight": 50}])
    with endpoint() as at:
        assert site.run("--notify", f"slack:{at.url}/T0").ends() == 0
    assert at.reasons == ["Started", "Promoted"]
    assert field_of(at.posted[-1].body, "Command") == f"canary undo -f {site.manifest}"


@pytest.mark.long
def test_what_a_killed_run_could_not_send_the_next_one_sends(site: Site) -> None:
    """The address comes from the environment, and is in no file."""
    site.write(steps=[{"weight": 50, "hold": "1h"}])
    answers = [(503, "")]
    with endpoint(lambda _: answers[0]) as at:
        os.environ["CANARY_NOTIFY"] = f"slack:{at.url}/T0"
        try:
            run = site.run()
            site.until_weight(50)
            wait_for(lambda: at.posted, "a first try")
            run.send(signal.SIGKILL)
            run.ends()
            assert [one.reason for one in site.status.outbox if one.alerts] == ["Started"]
            tried, answers[0] = len(at.posted), (200, "ok")
            run = site.run()
            wait_for(lambda: len(at.posted) > tried, "the alert")
            assert site.ask("rollback").returncode == 0
            assert run.ends() == 6
        finally:
            del os.environ["CANARY_NOTIFY"]
    assert at.reasons[tried:][0] == "Started"
    assert at.reasons[-1] == "Rejected"
    assert len(at.reasons[tried:]) == len(set(at.reasons[tried:]))
    assert "/T0" not in site.state.read_text()
