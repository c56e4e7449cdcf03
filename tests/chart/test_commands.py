"""People with no more than a role of the chart use `canary`: what they may do works, all else is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from canary.api.exit_codes import Exit
from tests.chart.helm import Data
from tests.chart.team import SHOP, Team
from tests.mesh import bookinfo
from tests.parts.kube import SLOWLY
from tests.parts.processes import command, wait_for

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).parents[2] / "examples" / "ci" / "start.sh"
Done = subprocess.CompletedProcess[str]
# The tests know no revision of what runs, and this reason needs none: exit code 11.
SERVED: Data = {"phase": "Succeeded", "reason": "UnanalysedRevision", "message": "v2 serves", "observedGeneration": 1}
VERSIONS = {"v2": "deployments", "v3": "statefulsets", "v4": "daemonsets"}


def canary(team: Team, who: str, *argv: str) -> Done:
    """One command, by someone."""
    environment = {**os.environ, "KUBECONFIG": str(team.plane.kubeconfig(team.user(who)))}
    return command(*argv, "-n", team.namespace, environment=environment, within=120)


@pytest.fixture(scope="module")
def followed(team: Team) -> Team:
    """Three Canaries more, for versions of three kinds of workload; each version serves everything."""
    make(team, "virtualservices", bookinfo.virtual_service("shop", {"route": bookinfo.to("shop", v2=100)}))
    make(team, "destinationrules", bookinfo.destination_rule("shop", tuple(VERSIONS)))
    make(team, "services", bookinfo.service("shop"))
    for version, plural in VERSIONS.items():
        name, labels = f"shop-{version}", {"app": "shop", "version": version}
        body = bookinfo.deployment(name, labels, 1)
        body["kind"] = {"statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}.get(plural, "Deployment")
        body["spec"] |= {"serviceName": "shop"} if plural == "statefulsets" else {}
        body["spec"] = {key: one for key, one in body["spec"].items() if (plural, key) != ("daemonsets", "replicas")}
        make(team, plural, body)
        make(team, "canaries", {**SHOP, "metadata": {"name": name}, "spec": {**SHOP["spec"], "version": version}})
        status = {**SERVED, "stable": {"name": version}}
        team.plane.kube.merge(team.path("canaries", f"{name}/status"), {"status": status})
        wait_for(lambda: looked_after(team, plural, name), f"{name} to be looked after", within=SLOWLY)  # noqa: B023
    return team


def make(team: Team, plural: str, body: Data) -> None:
    """An object in the team's namespace."""
    team.plane.kube.create(team.path(plural), body)


def looked_after(team: Team, plural: str, name: str) -> bool:
    """Whether its controller has seen a workload."""
    found = team.plane.kube.read(team.path(plural, name))
    return bool(found["metadata"]["generation"] == found["status"].get("observedGeneration"))


@pytest.mark.parametrize("who", ["viewer", "approver", "operator", "view", "edit"])
@pytest.mark.parametrize(
    "argv", [("wait", "shop-v2"), ("watch", "shop-v2"), ("wait", "shop-v3"), ("wait", "shop-v4")]
)
def test_everybody_waits(followed: Team, who: str, argv: tuple[str, ...]) -> None:
    """What runs behind the version may be read, whichever kind of workload it is."""
    done = canary(followed, who, *argv)
    assert (done.returncode, "v2 serves" in done.stdout) == (Exit.UNANALYSED, True), done.stdout + done.stderr


@pytest.mark.parametrize("who", ["operator", "edit"])
def test_a_pipeline_with_the_operators_role_starts_and_waits(followed: Team, who: str) -> None:
    """examples/ci/start.sh, as it stands."""
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"PATH": here, "DEPLOY": "true", "NOTIFY": "echo reported:", "NAMESPACE": followed.namespace}
    kubeconfig = str(followed.plane.kubeconfig(followed.user(who)))
    environment = {**os.environ, **settings, "KUBECONFIG": kubeconfig}
    line = (SCRIPT, "shop-v2", "v2")
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == Exit.UNANALYSED, done.stdout + done.stderr
    assert "reported: shop-v2: v2 serves everything, but this build was never judged" in done.stdout


def test_a_misspelt_version_is_reported_to_an_operator(followed: Team) -> None:
    """Routes may be read, so what there is is known."""
    done = canary(followed, "operator", "start", "shop", "--version", "v22")
    assert (done.returncode, "did you mean v2?" in done.stderr) == (1, True), done.stdout + done.stderr


@pytest.mark.parametrize("who", ["viewer", "approver", "operator", "view"])
@pytest.mark.parametrize("argv", [("status", "shop"), ("describe", "shop"), ("history", "shop"), ("list",)])
def test_everybody_looks(team: Team, who: str, argv: tuple[str, ...]) -> None:
    """Though no one of these may read ConfigMaps, in which runs without a controller keep their state."""
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


def test_no_user_acts_on_behalf_of_another(team: Team) -> None:
    """The policy's sentence reaches who asked."""
    done = canary(team, "approver", "retry", "shop", "--as", "ada")
    assert done.returncode == 1
    assert f"spec.author: must be your own name, {team.name('approver')}" in done.stderr


def test_a_viewer_learns_what_is_missing(team: Team) -> None:
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
