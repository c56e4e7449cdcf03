"""What the commands of a rollout say when they are called wrongly or too early."""

import json
from pathlib import Path
from typing import Any

import pytest

from canary.api.action import ActionSpec
from canary.cli.app import run
from canary.engine.outcome import LONGEST

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
    assert "--comment: is 301 characters long; the limit is 300" in capsys.readouterr().err
    assert run([verb, "-f", str(manifest), "--comment", "é" * 300]) == 1
    assert ActionSpec.model_json_schema()["properties"]["comment"]["maxLength"] == LONGEST


@pytest.mark.parametrize(
    ("argv", "reported"),
    [
        pytest.param(("run", "--timeout", "0s"), "--timeout: 0s is too short", id="no time at all"),
        pytest.param(
            ("run", "--prometheus", "foo"),
            "--prometheus: 'foo' is no URL such as http://127.0.0.1:9090, without a query; did you mean http://foo?",
            id="no URL of a server",
        ),
        pytest.param(("metrics", "check", "--prometheus", "foo"), "--prometheus: 'foo' is no URL", id="nor here"),
        pytest.param(
            ("backtest", "--from", "2026-01-01T00:00Z", "--prometheus", "foo"),
            "--prometheus: 'foo' is",
            id="in a past",
        ),
        pytest.param(("run", "--timeout", "5"), "did you mean 5s?", id="a time without its unit"),
        pytest.param(("simulate", "--scenario", "godo"), "'godo' is unknown; did you mean good?", id="a scenario"),
        pytest.param(("lint", "--version", ""), "--version is empty", id="no version to check"),
        pytest.param(("simulate", "--version", ""), "--version is empty", id="none to simulate"),
        pytest.param(("run", "--revision", " "), "--revision is empty: give a revision", id="no revision to run"),
        pytest.param(("start", "--version", ""), "--version is empty", id="no version to start"),
        pytest.param(("wait", "--for-version", " "), "--for-version is empty", id="no version to wait for"),
        pytest.param(("run", "-o", "jsn"), "'jsn' is not one of 'text', 'json'", id="an output"),
    ],
)
def test_wrong_options(
    argv: tuple[str, ...], reported: str, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They end with 2 and say what was probably meant; nothing is written."""
    assert run([*argv, "-f", str(manifest)]) == 2
    assert reported in capsys.readouterr().err
    assert [one.name for one in manifest.parent.iterdir()] == ["shop.yaml"]


def test_status_before_any_run(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing has run yet, which is said, and nothing is written."""
    assert run(["status", "-f", str(manifest)]) == 1
    assert "nothing has run yet" in capsys.readouterr().err
    assert [one.name for one in manifest.parent.iterdir()] == ["shop.yaml"]


@pytest.mark.parametrize(
    ("argv", "verb"),
    [(("wait",), "waited for"), (("start", "--version", "v3"), "started"), (("start", "--retry"), "started")],
)
def test_a_standalone_target_has_no_canary_object(
    argv: tuple[str, ...], verb: str, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands of a Canary object say so, and what to do; not that a state file is missing."""
    assert run([*argv, "-f", str(manifest)]) == 1
    reported = capsys.readouterr().err
    assert f"there is no Canary object for a target of kind EnvoyRoute, so nothing can be {verb}" in reported
    assert f"Try 'canary run -f {manifest}'." in reported
