"""`canary simulate`: what it says beside the rollout itself."""

from pathlib import Path

import pytest

from canary.cli.app import run
from canary.manifests.linting import NAMED

MANIFEST = """\
apiVersion: canary-controller.dev/v1beta1
kind: Canary
metadata: {name: web}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80}
  analysis:
    interval: 1m
    stepWeights: [50]
    metrics:
    - {name: request-success-rate, thresholdRange: {min: 99}}
"""
OWN = "    - {name: errors, thresholdRange: {max: 1}, query: sum(errors)}\n"
JUDGED_BY_OWN = MANIFEST.replace("    - {name: request-success-rate, thresholdRange: {min: 99}}\n", OWN)


NOTE = "note: your own queries aren't run; they fail while the canary fails more than 5% of its requests: errors\n"


@pytest.mark.parametrize(
    ("text", "scenario", "code", "said"),
    [
        (MANIFEST + OWN, "bad", 3, NOTE),
        (JUDGED_BY_OWN, "bad", 3, NOTE),
        (JUDGED_BY_OWN.replace("max: 1", "min: 99"), "dead", 3, NOTE),
        (JUDGED_BY_OWN, "flaky", 0, NOTE),
        (JUDGED_BY_OWN, "good", 0, ""),
        (MANIFEST, "bad", 3, ""),
    ],
)
def test_own_queries_are_not_run(
    text: str, scenario: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They notice a canary that fails many requests, so a rollout that only they judge is rolled back."""
    (tmp_path / "web.yaml").write_text(text)
    assert run(["simulate", "-f", str(tmp_path / "web.yaml"), "--scenario", scenario]) == code
    assert capsys.readouterr().err == said


TEMPLATE = """\
apiVersion: canary-controller.dev/v1beta1
kind: MetricTemplate
metadata: {name: errors}
spec: {provider: {address: "http://prometheus:9090"}, query: sum(errors)}
"""


def test_a_directory_with_several_canaries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the templates of other files in it; --name says which Canary."""
    used = "    - {name: errors, thresholdRange: {max: 1}, templateRef: {name: errors}}\n"
    (tmp_path / "web.yaml").write_text(MANIFEST + used)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "all.yaml").write_text(TEMPLATE + "---\n" + MANIFEST.replace("name: web", "name: shop"))
    assert run(["simulate", "-f", str(tmp_path), "--name", "web"]) == 0
    assert "web-primary serves" in capsys.readouterr().out
    assert run(["simulate", "-f", str(tmp_path)]) == 2
    assert f"2 Canaries were found (shop, web); name a file that holds one, or its --name for {NAMED}" in (
        capsys.readouterr().err
    )
    assert NAMED == "canary simulate, backtest or policy report"


@pytest.mark.parametrize("command", [["simulate"], ["policy", "report"], ["backtest", "--samples", "none.csv"]])
def test_a_name_that_no_canary_has(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command that takes one of several says which there are, and finds one that there is."""
    (tmp_path / "all.yaml").write_text(MANIFEST + "---\n" + MANIFEST.replace("name: web", "name: shop"))
    assert run([*command, "-f", str(tmp_path / "all.yaml"), "--name", "cart"]) == 2
    assert "no Canary is called cart; there are web, shop" in capsys.readouterr().err


def test_little_traffic_is_simulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A request in five seconds is no reason to end for want of data, nor to be judged on nothing."""
    (tmp_path / "web.yaml").write_text(MANIFEST.replace("interval: 1m", "interval: 1m\n    judge: sequential"))
    assert run(["simulate", "-f", str(tmp_path / "web.yaml"), "--rps", "0.2"]) == 0
    assert "requests needed to rule out" in capsys.readouterr().out
