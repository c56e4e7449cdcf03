"""How runs end: the exit code, the route that Envoy has loaded, and the state that is left."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from canary.api.plan import Traffic
from canary.api.status import Outcome, Phase
from tests.examples import one_now
from tests.parts.processes import bound, exit_code, wait_for
from tests.run.site import CANARY, GATED, Run, Site

STEPS = [{"weight": 20}, {"weight": 60}]


def test_a_healthy_canary_is_promoted_and_the_route_has_its_old_shape(site: Site) -> None:
    """Code 0; the route names the new cluster, and nothing of ours is left in it.

    As JSON there is one object a decision, and a last one with the code.
    """
    before = json.loads(site.world.file.read_text())
    site.write(steps=STEPS)
    run = site.run("-o", "json")
    assert run.ends() == 0
    lines = [json.loads(line) for line in run.text.splitlines()]
    assert (lines[-1]["code"], lines[-1]["outcome"]) == (0, "Promoted")
    assert {line["phase"] for line in lines[:-1]} >= {"Waiting", "Progressing", "Finalising", "Succeeded"}
    after = json.loads(site.world.file.read_text())
    before["resources"][0]["virtual_hosts"][0]["routes"][0]["route"]["cluster"] = "v2"
    assert after == before
    assert (site.status.phase, site.status.stable and site.status.stable.name) == (Phase.SUCCEEDED, "v2")


@pytest.mark.long
def test_a_route_that_stays_on_stable_is_named_from_the_start_to_the_last_sentence(site: Site) -> None:
    """Who stops v1 after exit 0 would break the testers: a warning says so before the first step, and each output."""
    config = json.loads(site.world.file.read_text())
    routes = config["resources"][0]["virtual_hosts"][0]["routes"]
    match = {"prefix": "/", "headers": [{"name": "x-tester", "present_match": True}]}
    routes.insert(0, {"name": "testers", "match": match, "route": {"cluster": "v1"}})
    site.world.put(json.dumps(config))
    site.write(steps=STEPS)
    run = site.run()
    site.until_weight(20)
    assert re.search(r"^not moved +testers \(sends requests to v1\)$", site.ask("status").stdout, re.MULTILINE)
    assert run.ends() == 0
    lines = run.text.splitlines()
    warned = next(number for number, line in enumerate(lines) if "if v1 is stopped after the rollout" in line)
    assert warned < next(number for number, line in enumerate(lines) if " 20% " in line)
    assert lines[-1].endswith("v2 (1) serves everything but testers (sends requests to v1)")
    assert site.world.share("v1", 20, x_tester="1") == 1
    assert site.run().ends() == 0
    assert run.text.splitlines()[-1].endswith("v2 (1) serves everything but testers (sends requests to v1)")


def test_a_failing_canary_is_rolled_back_and_not_tried_again_by_itself(site: Site) -> None:
    """Code 3 twice: the second run doesn't touch the route; `--retry` tries, and promotes once it is mended."""
    site.world.backends["v2"].error_share = 0.5
    before = site.world.file.read_bytes()
    site.write(steps=STEPS)
    assert site.run().ends() == 3
    assert site.world.file.read_bytes() == before
    assert (site.status.phase, site.status.history[0].outcome) == (Phase.FAILED, Outcome.ROLLED_BACK)
    again = site.run()
    assert again.ends() == 3
    assert re.search(r"v2 \(1\) was rolled back at .*; retry, or bring another revision", again.text)
    site.world.backends["v2"].error_share = 0.0
    assert site.run("--retry").ends() == 0


def test_a_canary_that_dies_loses_its_traffic_at_once(site: Site) -> None:
    """Code 3 without waiting for an evaluation: its health check says so."""
    site.write(steps=[{"weight": 50, "hold": "1h"}])
    run = site.run()
    site.until_weight(50)
    site.world.backends["v2"].stop()
    assert run.ends() == 3
    assert site.status.history[0].reason == "CanaryUnavailable"
    assert site.traffic == Traffic()


@pytest.mark.long
def test_a_run_is_watched_from_another_terminal(site: Site) -> None:
    """It ends with the run's code and last sentence; who stops watching leaves the run alone."""
    site.write(steps=GATED)
    run = site.run()
    site.until("WaitingForApproval")
    argv = (*CANARY, "watch", "-f", str(site.manifest))
    stopped, whole = (Run(argv, site.folder / f"{name}.log") for name in ("stopped", "whole"))
    for one in (stopped, whole):
        wait_for(lambda one=one: "WaitingFor" in one.text or "waits for" in one.text, "the first line")  # type: ignore[misc]
    stopped.send(signal.SIGINT)
    assert (stopped.ends(), "stopped watching; the rollout is at 50%" in stopped.text) == (130, True)
    assert site.ask("approve").returncode == 0
    assert (run.ends(), whole.ends()) == (0, 0)
    assert "v2 (1) serves everything" in whole.text.splitlines()[-1]


@pytest.mark.parametrize(
    "now", one_now([pytest.param(("--now",), id="at once"), pytest.param((), id="as a rollout")])
)
def test_an_undo_goes_back_to_the_version_before(site: Site, now: tuple[str, ...]) -> None:
    """The manifest needs no edit; undone again it is as before. Without --now the steps are taken."""
    site.write(steps=STEPS)
    nothing = site.ask("undo")
    assert (nothing.returncode, site.traffic) == (1, Traffic())
    assert site.run().ends() == 0
    back = site.ask("undo", *now)
    assert (back.returncode, site.world.seen("v2", "v1").traffic) == (0, Traffic(weight=100)), (
        back.stdout + back.stderr
    )
    assert (" 20% " in back.stdout, "v1 serves everything" in back.stdout) == (not now, True)
    assert "goes back from v2 (1) to v1" in back.stderr
    assert "the next canary run goes on from v1 to what its manifest says" in back.stderr
    again = site.ask("undo", *now)
    assert (again.returncode, site.traffic) == (0, Traffic(weight=100)), again.stdout + again.stderr


@pytest.mark.long
def test_a_gate_is_rejected_from_another_terminal(site: Site) -> None:
    """Code 6, and the history says who and why."""
    site.write(steps=GATED)
    run = site.run()
    site.until("WaitingForApproval")
    assert site.ask("reject", "-m", "checkout errors").returncode == 0
    assert run.ends() == 6
    assert "checkout errors" in site.status.history[0].message
    assert site.traffic == Traffic()


def test_a_gate_that_times_out_rolls_back(site: Site) -> None:
    """Code 3: the gate's own answer to its time-out."""
    site.write(steps=[{"weight": 50, "gates": [{"approval": {"count": 1}, "timeout": "1s"}]}])
    assert site.run().ends() == 3
    assert site.status.history[0].reason == "GateTimedOut"


@pytest.mark.long
def test_a_pipeline_that_cannot_wait_leaves_at_the_gate_and_comes_back(site: Site) -> None:
    """Code 5 with traffic in place; approved meanwhile, the next run ends with 0."""
    site.write(steps=GATED)
    assert site.run("--no-wait-approval").ends() == 5
    assert site.traffic == Traffic(weight=50)
    assert "the next one will take it" in site.ask("approve").stdout
    assert site.run("--no-wait-approval").ends() == 0


def test_nothing_can_be_approved_where_nothing_waits(site: Site) -> None:
    """What serves already is no rollout: code 0 at once, and no write. To approve is code 1 and a sentence then."""
    site.write(version="v1", steps=STEPS)
    before = site.world.file.stat().st_mtime_ns
    run = site.run()
    assert run.ends() == 0
    assert "serves everything" in run.text
    assert site.world.file.stat().st_mtime_ns == before
    refused = site.ask("approve")
    assert (refused.returncode, refused.stderr.startswith("canary: nothing to approve")) == (1, True)
    assert not site.state.with_name(f"{site.state.name}.actions").exists()


@pytest.mark.long
def test_a_run_that_takes_too_long_leaves_traffic_as_it_is(site: Site) -> None:
    """Code 4; the next run goes on from there."""
    site.write(steps=GATED)
    assert site.run("--timeout", "3s").ends() == 4
    assert site.traffic == Traffic(weight=50)


def test_a_run_that_takes_too_long_may_roll_back(site: Site) -> None:
    """Code 4 as well, with everything back on stable."""
    site.write(steps=GATED)
    assert site.run("--timeout", "3s", "--on-timeout", "rollback").ends() == 4
    assert (site.traffic, site.status.phase) == (Traffic(), Phase.FAILED)


def test_ctrl_c_rolls_back_before_the_run_exits(site: Site) -> None:
    """Code 6, everything back on stable."""
    site.write(steps=GATED)
    run = site.run()
    site.until_weight(50)
    run.send(signal.SIGINT)
    assert run.ends() == 6
    assert (site.traffic, site.status.history[0].outcome) == (Traffic(), Outcome.REJECTED)


@pytest.mark.long
def test_one_signal_that_arrives_twice_still_rolls_back(site: Site) -> None:
    """Code 6, not 130: `timeout` and some CI systems send one and the same signal to the process and to its group."""
    site.write(steps=GATED)
    run = site.run()
    site.until_weight(50)
    for _ in range(3):
        run.send(signal.SIGTERM)
        time.sleep(0.05)
    assert run.ends() == 6
    assert (site.traffic, site.status.history[0].outcome) == (Traffic(), Outcome.REJECTED)


@pytest.mark.long
def test_sigterm_may_leave_traffic_where_it_is(site: Site) -> None:
    """Code 130 with `--on-interrupt hold`."""
    site.write(steps=GATED)
    run = site.run("--on-interrupt", "hold")
    site.until_weight(50)
    run.send(signal.SIGTERM)
    assert run.ends() == 130
    assert site.traffic == Traffic(weight=50)


@pytest.mark.long
def test_a_second_run_is_refused_with_the_holder_of_the_target(site: Site) -> None:
    """Code 10 with process and time; the first one is not disturbed."""
    site.write(steps=GATED)
    first = site.run()
    site.until("WaitingForApproval")
    second = site.run()
    assert second.ends() == 10
    assert f"process {first.process.pid}" in second.text
    site.ask("approve")
    assert first.ends() == 0


@pytest.mark.long
def test_a_new_revision_in_mid_rollout_takes_traffic_to_zero(site: Site) -> None:
    """Code 7: what was analysed is no longer the desired version. The next run begins again with the new one."""
    site.write(steps=GATED, revision="1")
    run = site.run()
    site.until("WaitingForApproval")
    site.write(steps=STEPS, revision="2")
    assert run.ends() == 7
    assert site.traffic == Traffic()
    assert site.run().ends() == 0
    assert site.status.stable is not None
    assert site.status.stable.revision == "2"


@pytest.mark.long
def test_a_manifest_that_breaks_in_mid_rollout_raises_nothing(site: Site) -> None:
    """The revision can't be read: hold, and go on once it can."""
    site.write(steps=GATED)
    run = site.run()
    site.until("WaitingForApproval")
    good = site.manifest.read_text()
    site.manifest.write_text("spec: [")
    site.ask("approve", "--state", str(site.state))
    site.until("RevisionUnknown")
    assert site.traffic == Traffic(weight=50)
    site.manifest.write_text(good)
    assert run.ends() == 0


def test_a_foreign_edit_is_seen_and_held(site: Site) -> None:
    """No one's weights are overwritten blindly; put back, the run goes on.

    `status` says what the run waits for, and `approve` lets it go on.
    """
    site.write(steps=GATED)
    run = site.run()
    site.until("WaitingForApproval")
    ours = site.world.file.read_text()
    theirs = json.loads(ours)
    route = theirs["resources"][0]["virtual_hosts"][0]["routes"][0]["route"]
    route["weighted_clusters"]["clusters"][0]["weight"] += 20
    site.world.put(theirs)
    site.until("TrafficDrift")
    assert json.loads(site.world.file.read_text()) == theirs
    site.world.put(ours)
    site.until("WaitingForApproval")
    status, approved = site.ask("status"), site.ask("approve", "-m", "fine")
    assert (status.returncode, "approve" in status.stdout) == (0, True)
    assert (approved.returncode, approved.stdout.rstrip().endswith("taken")) == (0, True)
    assert run.ends() == 0


@pytest.mark.long
def test_an_envoy_that_is_killed_and_started_again_in_mid_rollout(site: Site) -> None:
    """The run waits for it, counts on from zero, and promotes."""
    site.write(steps=[{"weight": 30}, {"weight": 60, "iterations": 2}])
    run = site.run()
    site.until_weight(30)
    site.world.envoy.kill()
    wait_for(lambda: "can't be read" in run.text, "the run to miss Envoy")
    site.world.envoy.start()
    assert run.ends() == 0


def test_without_an_envoy_nothing_begins(site: Site) -> None:
    """Code 1 after ten seconds without an answer, and a sentence that says what can't be read."""
    site.write(steps=STEPS)
    site.world.envoy.kill()
    run = site.run()
    assert run.ends() == 1
    assert "route can't be read" in run.text


@pytest.mark.long
def test_a_run_whose_terminal_is_closed_rolls_back_first(site: Site) -> None:
    """Code 6: a live view that no one sees any more doesn't leave traffic half way."""
    site.write(steps=GATED)
    mine, theirs = os.openpty()
    run = subprocess.Popen(
        bound([*CANARY, "run", "-f", str(site.manifest)]),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    site.until_weight(50)
    os.close(mine)
    run.send_signal(signal.SIGHUP)
    assert exit_code(run) == 6
    assert site.traffic == Traffic()


@pytest.mark.long
def test_a_run_whose_output_is_not_read_goes_on(site: Site) -> None:
    """Code 0: `canary run | head -1` is no reason to stop in the middle."""
    site.write(steps=STEPS)
    run = subprocess.Popen(bound([*CANARY, "run", "-f", str(site.manifest)]), stdout=subprocess.PIPE)
    assert run.stdout is not None
    run.stdout.readline()
    run.stdout.close()
    assert exit_code(run) == 0


def test_an_invalid_manifest_is_reported_and_moves_nothing(site: Site) -> None:
    """Promise 11: code 2, the field, what is wrong, what was probably meant."""
    site.write(stepWeigth=10)
    run = site.run()
    assert run.ends() == 2
    assert "did you mean stepWeight?" in run.text
    assert not site.state.exists()
