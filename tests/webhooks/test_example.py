"""The folder examples/hooks, and the manifests of the two tutorials: their parts fit together."""

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.cli.app import run
from canary.loadtester.commands import AllowedCommands, allowed
from canary.manifests import load
from canary.metrics.sources import Allowed

FOLDER = Path(__file__).parents[2] / "examples" / "hooks"
PODINFO = FOLDER.parent / "podinfo"
INSTALLED = "http://canary-loadtester.canary-system/"
"""The load tester of the chart; the controller may call it without a setting."""


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    """Of the chart."""
    read: dict[str, Any] = YAML(typ="safe").load(FOLDER / "values.yaml")
    return read


def test_nothing_is_wrong_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A good version is promoted, a bad one rolled back."""
    assert run(["lint", "--strict", "-f", str(FOLDER)]) == 0, capsys.readouterr().out
    assert run(["simulate", "-f", str(FOLDER)]) == 0
    assert run(["simulate", "-f", str(FOLDER), "--scenario", "bad"]) == 3


def test_each_command_and_each_address_is_allowed(values: dict[str, Any]) -> None:
    """By the values of the chart that stand beside the manifest."""
    analysis = load([str(FOLDER)]).canary.spec.analysis
    assert analysis is not None
    tester = allowed(values["loadtester"]["allow"], [])
    places = Allowed((*values["allowedMetricsServers"], INSTALLED))
    commands = 0
    for hook in analysis.webhooks or ():
        assert places.hook_refusal(hook.url) == ""
        if command := hook.metadata.get("cmd"):
            commands += 1
            assert tester.command(hook.metadata.get("type", "cmd"), command)
    assert commands == 2
    urls = [gate.request.url for step in analysis.steps or () for gate in step.gates if gate.request]
    assert [places.hook_refusal(url) for url in urls] == [""]


def started(file: Path, tester: AllowedCommands) -> list[str]:
    """The programs that a manifest's webhooks start; the load tester refuses what it wasn't allowed."""
    analysis = load([str(file)]).canary.spec.analysis
    assert analysis is not None
    hooks = [hook for hook in analysis.webhooks or () if "cmd" in hook.metadata]
    return [tester.command(hook.metadata.get("type", "cmd"), hook.metadata["cmd"])[0] for hook in hooks]


def test_the_tutorial_allows_the_commands_of_its_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    """With the options that stand on the page."""
    root = FOLDER.parents[1]
    (line,) = re.findall("^canary loadtester .*", (root / "docs" / "tutorial.md").read_text(), re.MULTILINE)
    words = shlex.split(line)
    tester = allowed([after for word, after in pairwise(words) if word == "--allow"], [])
    file = root / "examples" / "envoy" / "loaded.yaml"
    assert run(["lint", "--strict", "-f", str(file)]) == 0, capsys.readouterr().out
    assert started(file, tester) == ["curl", "hey"]


@pytest.mark.parametrize("name", ["gated.yaml", "backend-run.yaml"])
def test_the_tutorial_of_podinfo_allows_the_commands_of_its_manifests(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the values of the chart beside them; a good version is promoted, a bad one rolled back."""
    file = PODINFO / name
    assert run(["lint", "--strict", "-f", str(file)]) == 0, capsys.readouterr().out
    assert run(["simulate", "-f", str(file)]) == 0
    assert run(["simulate", "-f", str(file), "--scenario", "bad"]) == 3
    tester = allowed(YAML(typ="safe").load(PODINFO / "values.yaml")["loadtester"]["allow"], [])
    assert started(file, tester) == ["curl", "hey"]


def test_the_webhooks_on_the_page_are_those_of_the_file() -> None:
    """Comments differ."""
    page = (PODINFO.parents[1] / "docs" / "tutorial-podinfo.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    yaml = YAML(typ="safe")
    assert yaml.load(block)["webhooks"] == yaml.load(PODINFO / "gated.yaml")["spec"]["analysis"]["webhooks"]
