"""What the commands of a rollout say when they are called wrongly or too early."""

import json
from pathlib import Path
from typing import Any

import pytest

from canary.api.action_resource import ActionSpec
from canary.cli.app import run
from canary.engine.people import LONGEST

CANARY: dict[str, Any] = {
    "apiVersion": "canary-controller.dev/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "shop"},
    "spec": {
        "targetRef": {"kind": "EnvoyRoute", "name": "shop"},
        "envoy": {"admin": "http://127.0.0.1:9", "routes": "routes.yaml"},
        "version": "v2",
        "analysis": {
            "stepWeights": [50],
            "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 9}}],
        },
    },
}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A good one."""
    path = tmp_path / "shop.yaml"
    path.write_text(json.dumps(CANARY))
    return path


@pytest.mark.parametrize("verb", ["approve", "pause"])
def test_a_comment_that_would_be_cut(verb: str, manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is refused by the command as by the API server; what is kept is what was said."""
    assert run([verb, "-f", str(manifest), "--comment", "é" * 301]) == 2
    assert "--comment: is 301 characters long; up to 300 are kept" in capsys.readouterr().err
    assert run([verb, "-f", str(manifest), "--comment", "é" * 300]) == 1
    assert ActionSpec.model_json_schema()["properties"]["comment"]["maxLength"] == LONGEST


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        pytest.param(("run", "--timeout", "0s"), "--timeout: 0s leaves no time for anything", id="no time at all"),
        pytest.param(("run", "--timeout", "5"), "did you mean 5s?", id="a time without its unit"),
        pytest.param(("simulate", "--scenario", "godo"), "'godo' is unknown; did you mean good?", id="a scenario"),
        pytest.param(("start", "--version", ""), "--version is empty", id="no version to start"),
        pytest.param(("wait", "--for-version", " "), "--for-version is empty", id="no version to wait for"),
        pytest.param(("run", "-o", "jsn"), "'jsn' is not one of 'text', 'json'", id="an output"),
    ],
)
def test_wrong_options(argv: tuple[str, ...], told: str, manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They end with 2 and say what was probably meant; nothing is written."""
    assert run([*argv, "-f", str(manifest)]) == 2
    assert told in capsys.readouterr().err
    assert [one.name for one in manifest.parent.iterdir()] == ["shop.yaml"]


def test_status_before_any_run(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing has run yet, which is said, and nothing is written."""
    assert run(["status", "-f", str(manifest)]) == 1
    assert "nothing has run yet" in capsys.readouterr().err
    assert [one.name for one in manifest.parent.iterdir()] == ["shop.yaml"]
