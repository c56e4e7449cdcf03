"""`canary run` in a pipeline: its version is an option, and a cancelled job leaves no weight behind."""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from tests.examples import one_now
from tests.run.site import GATED, Run, Site

CI = Path(__file__).parents[2] / "examples" / "ci"


def without_version(site: Site, **analysis: Any) -> None:
    """A manifest that needs no templating: it names neither version nor revision."""
    site.write(**analysis)
    yaml = YAML(typ="safe")
    manifest = yaml.load(site.manifest.read_text())
    del manifest["spec"]["version"], manifest["spec"]["revision"]
    yaml.dump(manifest, site.manifest)


def test_the_version_and_its_revision_come_from_the_command_line(site: Site) -> None:
    """The other commands need neither; another revision of the same version is another rollout's."""
    without_version(site, steps=GATED)
    assert site.ask("run").returncode == Exit.INVALID
    assert "spec.version" in site.ask("lint").stdout
    assert site.ask("lint", "--version", "v2").returncode == 0
    assert site.ask("simulate", "--version", "v2").returncode == 0
    run = site.run("--version", "v2", "--revision", "abc")
    site.until("WaitingForApproval")
    assert "v2 (abc)" in site.ask("status").stdout
    assert site.ask("approve").returncode == 0
    assert run.ends() == Exit.PROMOTED
    assert str(site.status.stable) == "v2 (abc)"


def test_a_variable_that_was_never_set_is_refused(site: Site) -> None:
    """`--version "$TAG"` without a TAG would else roll out what the manifest says."""
    site.write()
    refused = site.ask("run", "--version", "")
    assert refused.returncode == Exit.INVALID
    assert "--version is empty" in refused.stderr


def step(name: str, job: str) -> str:
    """The shell of a step of the workflow for GitHub Actions."""
    jobs = YAML(typ="safe").load((CI / "github-actions.yaml").read_text())["jobs"]
    [found] = [one["run"] for one in jobs[job]["steps"] if one.get("name") == name]
    return str(found)


def started(site: Site, *argv: str, **variables: str) -> Run:
    """A job's command in the folder of the site, with `canary` on its path and nothing to deploy."""
    (site.folder / "bin").mkdir(exist_ok=True)
    command = site.folder / "bin" / "canary"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m canary "$@"\n')
    command.chmod(0o755)
    shutil.copy(CI / "release.sh", site.folder)
    shutil.copy(site.manifest, site.folder / "reviews.yaml")
    given = {"PATH": f"{command.parent}:{os.environ['PATH']}", "DEPLOY": "true", **variables}
    settings = [f"{name}={value}" for name, value in given.items()]
    return Run(("env", "-C", str(site.folder), *settings, *argv), site.folder / "job.log")


@pytest.mark.parametrize("number", one_now([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))
def test_a_cancelled_job_leaves_no_weight_behind(site: Site, number: signal.Signals) -> None:
    """GitHub's runner starts bash for the step's script, and signals that process alone."""
    without_version(site, steps=[{"weight": 30, "hold": "10m"}])
    (site.folder / "step.sh").write_text(step("canary", "release"))
    summary, output = site.folder / "summary", site.folder / "output"
    job = started(
        site, "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "step.sh",
        GITHUB_REF_NAME="v2", GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(output),
    )  # fmt: skip
    site.until_weight(30)
    job.send(number)
    assert job.ends() == Exit.REJECTED, job.text
    assert site.traffic == Traffic()
    assert output.read_text() == "code=6\n"
    assert summary.read_text() == "v2: rejected or rolled back by a person, or this job was cancelled\n"


@pytest.mark.parametrize("shell", one_now(["sh", "bash"]))
def test_the_script_hands_signals_on_by_itself(site: Site, shell: str) -> None:
    """A runner that signals the script, twice within half a second, as `timeout` does."""
    without_version(site, steps=[{"weight": 30, "hold": "10m"}])
    job = started(site, shell, "release.sh", "reviews.yaml", "v2", "abc")
    site.until_weight(30)
    job.send(signal.SIGTERM)
    job.send(signal.SIGTERM)
    assert job.ends() == Exit.REJECTED, job.text
    assert site.traffic == Traffic()
    assert str(site.status.history[0].canary) == "v2 (abc)"


@pytest.mark.long
def test_a_gate_keeps_no_job_waiting(site: Site) -> None:
    """The first job ends with 5; the job behind the reviewers approves, and goes on from there."""
    without_version(site, steps=GATED)
    (site.folder / "step.sh").write_text(step("canary", "release"))
    first = started(site, "bash", "-e", "step.sh", GITHUB_REF_NAME="v2", OPTIONS="--no-wait-approval")
    assert first.ends() == Exit.NEEDS_APPROVAL, first.text
    assert site.traffic == Traffic(weight=50)
    (site.folder / "approve.sh").write_text(step("approve", "approved"))
    assert started(site, "bash", "-e", "approve.sh").ends() == 0
    (site.folder / "step.sh").write_text(step("canary", "approved"))
    assert started(site, "bash", "-e", "step.sh", GITHUB_REF_NAME="v2").ends() == Exit.PROMOTED
    assert site.traffic == Traffic(weight=100)
