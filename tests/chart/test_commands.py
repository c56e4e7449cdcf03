"""People with no more than a role of the chart use `canary`: what they may do works, else they are told."""

import os
import subprocess
import sys

import pytest

from tests.chart.team import Team

pytestmark = pytest.mark.long

Done = subprocess.CompletedProcess[str]


def canary(team: Team, who: str, *argv: str) -> Done:
    """One command, by somebody."""
    environment = {**os.environ, "KUBECONFIG": str(team.plane.kubeconfig(team.user(who)))}
    line = (sys.executable, "-m", "canary", *argv, "-n", team.namespace)
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, env=environment)


@pytest.mark.parametrize("who", ["viewer", "approver", "operator", "view"])
@pytest.mark.parametrize("argv", [("status", "shop"), ("describe", "shop"), ("history", "shop"), ("list",)])
def test_everybody_looks(team: Team, who: str, argv: tuple[str, ...]) -> None:
    """Though nobody of these may read ConfigMaps, in which runs without a controller keep their state."""
    done = canary(team, who, *argv)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "may not" not in done.stderr


@pytest.mark.parametrize("who", ["approver", "operator", "edit"])
def test_they_act_in_their_own_names(team: Team, who: str) -> None:
    """The command asks the server who they are, so the policy has nothing against it."""
    done = canary(team, who, "retry", "shop")
    assert done.returncode == 0, done.stdout + done.stderr
    found = team.plane.kube.read(team.path("canaryactions"))["items"]
    assert team.name(who) in {one["spec"]["author"] for one in found}


def test_nobody_acts_on_behalf_of_another(team: Team) -> None:
    """The policy's sentence reaches who asked."""
    done = canary(team, "approver", "retry", "shop", "--as", "ada")
    assert done.returncode == 1
    assert f"spec.author: must be your own name, {team.name('approver')}" in done.stderr


def test_a_viewer_is_told_what_is_missing(team: Team) -> None:
    """By verb and kind."""
    done = canary(team, "viewer", "retry", "shop")
    assert done.returncode == 1
    assert f"{team.name('viewer')} may not create canaryactions.canary-controller.dev" in done.stderr


def test_an_approver_starts_nothing(team: Team) -> None:
    """What shall serve is the operator's to say."""
    done = canary(team, "approver", "start", "shop", "--version", "v3")
    assert done.returncode == 1
    assert "may not patch canaries.canary-controller.dev" in done.stderr


def test_an_operator_starts(team: Team) -> None:
    """With that role alone."""
    done = canary(team, "operator", "start", "shop", "--version", "v3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert team.plane.kube.read(team.path("canaries", "shop"))["spec"]["version"] == "v3"
