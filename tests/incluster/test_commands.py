"""What people and CI jobs ask of a Canary object: they have nothing but a kubeconfig and its name."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from tests.bookinfo.site import CANARY, GATED, NAME
from tests.incluster.site import Site
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane
from tests.parts.processes import Command, command

SCRIPT = Path(__file__).parents[2] / "examples" / "ci" / "start.sh"
LONG = [{"weight": 30, "hold": "1h"}]
ONE = [{"weight": 50}]
SEVERAL = [{"weight": 30, "gates": [{"approval": {"count": 2}, "timeout": "1h"}]}]
Done = subprocess.CompletedProcess[str]


class Commands:
    """`canary` in bookinfo's namespace, by one user."""

    def __init__(self, site: Site, kubeconfig: Path) -> None:
        self.site = site
        self.environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self.started: list[Command] = []

    def __call__(self, *argv: str) -> Done:
        """Until it ends."""
        return command(*argv, "-n", self.site.mesh.namespace, environment=self.environment, within=120)

    def well(self, *argv: str) -> str:
        """What one prints that ends with 0."""
        done = self(*argv)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *argv: str) -> Command:
        """In the background."""
        log = self.site.folder / f"command-{len(self.started)}.log"
        self.started.append(Command((*CANARY, *argv, "-n", self.site.mesh.namespace), log, self.environment))
        return self.started[-1]

    def close(self) -> None:
        for each in self.started:
            each.process.kill()
            each.process.wait()


@pytest.fixture
def canary(site: Site, control_plane: ControlPlane) -> Iterator[Commands]:
    """The administrator's."""
    made = Commands(site, control_plane.kubeconfig("admin"))
    yield made
    made.close()


def resting(site: Site, **analysis: Any) -> None:
    """A controller, and a Canary that wants what serves."""
    site.controller()
    site.apply("v1", **analysis)
    site.until("AlreadyServing")


def test_a_version_is_started_waited_for_seen_and_approved(site: Site, canary: Commands) -> None:
    """Each command says the same of it, and the wait ends with 0 once it serves everything."""
    resting(site, steps=GATED)
    start = canary.start("start", NAME, "--version", "v2", "--wait")
    site.until("WaitingForApproval")
    watch = canary.start("watch", NAME, "-o", "json")
    site.when(lambda: watch.text != "", "the watch to see the rollout before it is over")
    seen = canary.well("status", NAME)
    [approve] = [line[line.index("canary approve") :] for line in seen.splitlines() if "canary approve" in line]
    [row] = [line for line in canary.well("list").splitlines() if line.startswith(NAME)]
    assert (row.split()[1], "30%" in row) == ("controller", True)
    listed = json.loads(canary.well("list", "-A", "-o", "json"))  # others' as well, until their namespaces are gone
    assert site.mesh.namespace in {one["namespace"] for one in listed}
    described = canary.well("describe", NAME)
    for words in (
        "VirtualService reviews",
        "its own",
        "Promoted",
        "success rate",
        "no approval yet",
        "Started",
    ):
        assert words in described
    program, verb, name, option, namespace = shlex.split(approve)
    assert (program, option, namespace) == ("canary", "-n", site.mesh.namespace)
    assert canary.well(verb, name, "-m", "fine").strip().endswith("taken")
    assert start.ends() == 0, start.text
    assert watch.ends() == 0, watch.text
    assert start.text.startswith("reviews: desired version v2, instead of v1\n")
    assert "was promoted" in start.text
    assert json.loads(watch.text.splitlines()[-1])["outcome"] == "Promoted"
    assert site.traffic == Traffic(weight=100)
    [ended] = json.loads(canary.well("history", NAME, "-o", "json"))
    assert (ended["canary"]["name"], ended["outcome"], ended["weight"]) == ("v2", "Promoted", 100)
    assert canary.well("wait", NAME, "--for-version", "v2").strip().endswith("(exit code 0)")


def test_a_promotion_is_undone_at_once(site: Site, canary: Commands) -> None:
    """The controller goes back without the steps; the version before is found in the object's history."""
    resting(site, steps=ONE)
    assert "isn't known" in canary("undo", NAME).stderr
    canary.well("start", NAME, "--version", "v2", "--wait")
    reported = canary.well("undo", NAME, "--now", "--wait")
    assert re.match(r"reviews goes back from v2 \(\w+\) to v1 \(\w+\)\n", reported), reported
    assert "was promoted" in reported.splitlines()[-1]
    assert site.traffic == Traffic()
    [back, there] = json.loads(canary.well("history", NAME, "-o", "json"))
    assert [(one["stable"]["name"], one["canary"]["name"]) for one in (there, back)] == [
        ("v1", "v2"),
        ("v2", "v1"),
    ]


def test_a_wait_answers_for_the_build_that_is_wanted_now(site: Site, canary: Commands) -> None:
    """An earlier success is no answer to a push; the push ends a wait for the build before with 7."""
    resting(site, steps=LONG)
    site.change(version="v2")
    site.until_weight(30)
    first = canary.start("wait", NAME)
    site.when(lambda: "30%" in first.text, "the wait to tell of it")
    site.mesh.apply(bookinfo.deployment("reviews-v2", {"app": NAME, "version": "v2"}, 2, image="reviews:pushed"))
    assert first.ends() == Exit.SUPERSEDED, first.text
    second = canary.start("wait", NAME)
    site.when(lambda: (rollout := site.status.rollout) is not None and rollout.number == 2, "the second rollout")
    site.until_weight(30)
    assert canary.well("rollback", NAME, "-m", "no").strip().endswith("taken")
    assert second.ends() == Exit.REJECTED, second.text
    assert canary("wait", NAME).returncode == Exit.REJECTED
    assert "nothing to roll back" in canary("rollback", NAME).stderr


def test_what_failed_is_started_again(site: Site, canary: Commands) -> None:
    """With --retry; in between a wait says 3, and an earlier failure is no answer to the retry."""
    resting(site, steps=ONE)
    site.mesh.behave("reviews-v2", errors=0.5)
    failed = canary("start", NAME, "--version", "v2", "--wait")
    assert failed.returncode == Exit.ROLLED_BACK, failed.stdout + failed.stderr
    assert canary("wait", NAME).returncode == Exit.ROLLED_BACK
    site.mesh.behave("reviews-v2")
    again = canary("start", NAME, "--retry", "--wait")
    assert again.returncode == 0, again.stdout + again.stderr
    assert [one.outcome for one in site.status.history] == ["Promoted", "RolledBack"]


def test_an_interrupted_wait_leaves_traffic_alone(site: Site, canary: Commands) -> None:
    """130; a pause is taken meanwhile, and a wait that is too short ends with 4."""
    resting(site, steps=LONG)
    site.change(version="v2")
    site.until_weight(30)
    wait = canary.start("wait", NAME)
    site.when(lambda: "30%" in wait.text, "the wait to tell of it")
    wait.process.send_signal(signal.SIGINT)
    assert wait.ends() == Exit.INTERRUPTED, wait.text
    assert canary.well("pause", NAME, "-m", "lunch").strip().endswith("taken")
    late = canary("wait", NAME, "--timeout", "1s")
    assert late.returncode == Exit.TIMED_OUT, late.stdout
    assert site.traffic == Traffic(weight=30)
    assert "lunch" in canary.well("status", NAME)


def test_the_controller_refuses_or_is_away(site: Site, canary: Commands) -> None:
    """Nothing proves who asks here, so a gate for two people stays closed; without a controller that is said."""
    resting(site, steps=SEVERAL)
    site.change(version="v2")
    site.until("WaitingForApproval")
    refused = canary("approve", NAME)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert ": refused, " in refused.stderr
    assert "isn't verified" in refused.stderr
    site.stop()
    away = canary("rollback", NAME)
    assert away.returncode == 0
    assert away.stdout.strip().endswith("the controller hasn't taken it yet, is it running?")


def test_what_can_not_be_done_is_one_sentence(site: Site, canary: Commands, control_plane: ControlPlane) -> None:
    """No such Canary, a missing permission, nothing to do."""
    site.apply("v1", steps=ONE)
    alice = Commands(site, control_plane.kubeconfig("alice"))
    sentences = {
        "there is no Canary review; did you mean reviews?": canary("status", "review"),
        "alice may not get canaries.canary-controller.dev in namespace": alice("wait", NAME),
        "give --version or --retry": canary("start", NAME),
        "--timeout: ": canary("wait", NAME, "--timeout", "0s"),
    }
    for sentence, done in sentences.items():
        assert sentence in done.stderr
        assert done.stderr.startswith("canary: ")
        assert done.returncode in (1, 2)
    refused = canary("start", NAME, "--version", "v22")
    assert (refused.returncode, "Nothing was changed." in refused.stderr) == (1, True)
    assert site.found()["spec"]["version"] != "v22"
    started = canary("start", NAME, "--version", "v22", "--force")
    assert "v22; did you mean v2?" in started.stderr
    assert site.found()["spec"]["version"] == "v22"


def test_the_pipeline_acts_on_how_it_ended(site: Site, control_plane: ControlPlane, canary: Commands) -> None:
    """examples/ci/start.sh: a good version passes; what wasn't deployed isn't asked for."""
    resting(site, steps=ONE)
    undeployed = release(site, canary, "false")
    assert (undeployed.returncode, undeployed.stdout) == (
        1,
        "reported: reviews: not deployed, no traffic was moved\n",
    )
    assert site.found()["spec"]["version"] == "v1"
    good = release(site, canary, "true")
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.splitlines()[-1] == "reported: reviews: v2 serves everything"


def release(site: Site, canary: Commands, deploy: str) -> Done:
    """The script, with a stand-in for what deploys."""
    folder = site.folder / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "canary").write_text(f'#!/bin/sh\nexec {sys.executable} -m canary "$@"\n')
    (folder / "canary").chmod(0o755)
    environment = {
        **canary.environment,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "NAMESPACE": site.mesh.namespace,
        "DEPLOY": deploy,
        "NOTIFY": "echo reported:",
    }
    return subprocess.run(
        (SCRIPT, NAME, "v2"), capture_output=True, text=True, timeout=120, check=False, env=environment
    )


def test_the_pipeline_knows_every_exit_code() -> None:
    """A code that is added to canary is missed here."""
    reported = re.findall(r"^ +(\d+)\)", SCRIPT.read_text(), re.MULTILINE)
    assert {int(code) for code in reported} == {code.value for code in Exit}
