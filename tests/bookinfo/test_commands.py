"""What people ask of a rollout from elsewhere: they have nothing but a kubeconfig and the target's name."""

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.api.status import Phase
from tests.bookinfo.site import GATED, NAME, Site
from tests.mesh import bookinfo
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import command, free_port, wait_for

LONG = [{"weight": 30, "hold": "1h"}, {"weight": 50, "hold": "1h"}]
Ask = Callable[..., str]


def canary(kubeconfig: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """One command as a process."""
    return command(*argv, environment={**os.environ, "KUBECONFIG": str(kubeconfig)})


@pytest.fixture
def ask(site: Site, control_plane: ControlPlane) -> Ask:
    """What a command that ends well says, in bookinfo's namespace."""

    def asked(*argv: str) -> str:
        found = canary(control_plane.kubeconfig("admin"), *argv, "-n", site.mesh.namespace)
        assert found.returncode == 0, found.stderr
        return found.stdout

    return asked


def until_weight(site: Site, weight: int) -> None:
    """Waits until the run has seen this weight in place, and so takes it for its own."""

    def there() -> bool:
        rollout = site.status.rollout
        return rollout is not None and rollout.desired.weight == weight and site.state().traffic == rollout.desired

    wait_for(there, f"weight {weight}", within=SLOWLY)


def test_a_gate_is_seen_and_opened_from_elsewhere(site: Site, ask: Ask) -> None:
    """Status says in every form where it stands, and the very command that opens the gate."""
    site.write(steps=GATED)
    run = site.run()
    site.until("WaitingForApproval")
    text = ask("status", NAME)
    [command] = [line[line.index("canary approve") :] for line in text.splitlines() if "canary approve" in line]
    assert "30%" in text
    assert len(ask("status", NAME, "-o", "wide").splitlines()) > len(text.splitlines())
    read: list[dict[str, Any]] = [
        json.loads(ask("status", NAME, "-o", "json")),
        YAML(typ="safe").load(ask("status", NAME, "-o", "yaml")),
    ]
    assert [one["rollout"]["desired"]["weight"] for one in read] == [30, 30]
    said = canary_of(command, ask)
    assert said.strip().endswith("taken")
    assert run.ends() == 0, run.text


def canary_of(command: str, ask: Ask) -> str:
    """Runs a command as it was shown; its namespace is checked and left to `ask`."""
    program, verb, target, option, _ = shlex.split(command)
    assert (program, option) == ("canary", "-n")
    return ask(verb, target)


def test_a_rollout_is_paused_resumed_skipped_and_promoted(site: Site, ask: Ask) -> None:
    """Each is taken by the live run, which says whose it was."""
    site.write(steps=LONG)
    run = site.run()
    until_weight(site, 30)
    assert ask("pause", NAME, "-m", "lunch").strip().endswith("taken")
    site.until("Paused")
    assert "lunch" in ask("status", NAME)
    assert ask("resume", NAME).strip().endswith("taken")
    assert ask("skip", NAME).strip().endswith("taken")
    until_weight(site, 50)
    assert ask("promote", NAME).strip().endswith("taken")
    assert run.ends() == 0, run.text
    assert run.text.count("admin (unverified) asked to") == 4


def test_a_rejected_rollout_is_tried_again_and_rolled_back(site: Site, ask: Ask) -> None:
    """6 each time: in between the next run says that this was rejected, until someone asks to retry."""
    before = site.object()
    site.write(steps=GATED)
    rejected = site.run()
    site.until("WaitingForApproval")
    ask("reject", NAME)
    assert rejected.ends() == 6, rejected.text
    assert site.object() == before
    assert site.run().ends() == 6
    assert ask("retry", NAME).strip().endswith("the next one will take it")
    again = site.run()
    wait_for(lambda: site.status.rollouts == 2 and site.status.rollout is not None, "the retry", within=SLOWLY)
    until_weight(site, 30)
    ask("rollback", NAME)
    assert again.ends() == 6, again.text
    assert site.object() == before
    assert site.status.phase is Phase.FAILED


def test_an_undo_of_a_run_goes_back_from_the_state_in_the_cluster(site: Site, ask: Ask) -> None:
    """From any machine that has the manifest, which needs no edit; without it the command says what it needs."""
    before = site.object()
    site.write(steps=[{"weight": 50}])
    run = site.run()
    assert run.ends() == 0, run.text
    refused = site.ask("undo")
    assert (refused.returncode, "name its manifest with -f" in refused.stderr) == (2, True)
    back = ask("undo", NAME, "-f", str(site.manifest), "--now")
    assert "v1" in back.splitlines()[-1]
    assert " 50% " not in back
    assert site.object() == before
    assert site.status.stable is not None
    assert (site.status.stable.name, site.status.history[0].canary.name) == ("v1", "v1")


def test_two_rollouts_are_listed(site: Site, ask: Ask) -> None:
    """Each by its name, with phase and weight, in every form."""
    mesh = site.mesh
    mesh.apply(bookinfo.virtual_service("ratings", {"route": bookinfo.to("ratings", v1=100)}))
    mesh.apply(bookinfo.destination_rule("ratings", ("v1",)))
    site.write(steps=GATED)
    run = site.run()
    until_weight(site, 30)
    manifest = json.loads(site.manifest.read_text())
    manifest["metadata"]["name"], manifest["spec"]["targetRef"]["name"] = "stars", "ratings"
    manifest["spec"]["version"] = "v1"
    other = site.folder / "ratings.yaml"
    other.write_text(json.dumps(manifest))
    ask("run", "-f", str(other))
    rows = {line.split()[0]: line for line in ask("list").splitlines()}
    assert rows.keys() == {"name", "stars", "reviews"}
    assert "30%" in rows["reviews"]
    assert "serves everything" in ask("list", "-o", "wide")
    site.until("WaitingForApproval")
    found = wait_for(lambda: listed(ask), "JSON and YAML to say the same, of a run that goes on", within=SLOWLY)
    assert {one["name"] for one in found} == {"reviews", "stars"}
    ask("promote", NAME)
    assert run.ends() == 0, run.text


def listed(ask: Ask) -> list[dict[str, Any]]:
    """The same list in both forms; empty where the two differ."""
    found: list[dict[str, Any]] = json.loads(ask("list", "-o", "json"))
    return found if found == YAML(typ="safe").load(ask("list", "-o", "yaml")) else []


SENTENCES = {
    "nothing has run": (
        "status {name} -n {namespace}",
        1,
        "nothing has run for the VirtualService, Deployment, DaemonSet or Service {name} in namespace",
    ),
    "a verb where nothing has run": ("approve {name} -n {namespace}", 1, "nothing has run for the VirtualService"),
    "no such context": ("status {name} --context nowhere", 1, "no credentials for a cluster: "),
    "list in no such context": ("list --context nowhere", 1, "no credentials for a cluster: "),
    "run in no such context": ("run -f {manifest} --context nowhere", 2, "no credentials for a cluster: "),
    "no such kubeconfig": ("status {name} --kubeconfig {missing}", 1, "no credentials for a cluster: "),
    "unreachable": ("status {name} --kubeconfig {away}", 1, "no connection to https://127.0.0.1:"),
    "list, unreachable": ("list --kubeconfig {away}", 1, "no connection to https://127.0.0.1:"),
    "run, unreachable": ("run -f {manifest} --kubeconfig {away}", 1, "no connection to https://127.0.0.1:"),
    "nothing named": ("status", 2, "give a manifest with -f, a state file with --state, or the name of a target"),
}


@pytest.mark.parametrize(("command", "code", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_what_can_not_be_done_is_one_sentence(
    site: Site, control_plane: ControlPlane, command: str, code: int, sentence: str
) -> None:
    """With its exit code: 2 for what was written wrongly, 1 for what isn't there."""
    site.write(steps=GATED)
    admin = control_plane.kubeconfig("admin")
    away = site.folder / "away.kubeconfig"
    away.write_text(admin.read_text().replace(control_plane.url, f"https://127.0.0.1:{free_port()}"))
    words = {
        "name": NAME,
        "namespace": site.mesh.namespace,
        "manifest": site.manifest,
        "missing": site.folder / "missing",
        "away": away,
    }
    found = canary(admin, *shlex.split(command.format(**words)))
    assert (found.returncode, found.stdout) == (code, ""), found.stderr
    assert found.stderr.startswith(f"canary: {sentence.format(**words)}")
    assert len(found.stderr.splitlines()) == 1
