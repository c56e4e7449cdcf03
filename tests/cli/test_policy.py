"""`canary policy report`: what it says of an analysis, and of input that it can't use."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from canary.characteristics import report
from canary.characteristics.report import Simulation, UsualTraffic
from canary.characteristics.requests import AT_ONCE
from canary.cli import policy
from canary.cli.app import run
from canary.engine.resolved import resolve_spec
from canary.manifests import load
from canary.show.terminal import Screen

MANIFEST = """\
apiVersion: canary-controller.dev/v1beta1
kind: Canary
metadata: {name: web}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80}
  analysis:
    interval: 1m
    threshold: 2
    stepWeights: [20, 50]
    metrics:
    - {name: request-success-rate, thresholdRange: {min: 99}}
"""
ANALYSIS = MANIFEST.partition("  analysis:")[2]
OWN = "    - {name: errors, thresholdRange: {max: 1}, query: sum(errors)}\n"
COUNTED = """\
    - {name: orders, thresholdRange: {min: 99}, templateRef: {name: orders}}
---
apiVersion: canary-controller.dev/v1beta1
kind: MetricTemplate
metadata: {name: orders}
spec: {counts: {total: orders_total, bad: failures_total}}
"""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rollouts enough to see the difference."""
    monkeypatch.setattr(report, "BATCH", 40)
    monkeypatch.setattr(report, "BATCHES", 1)


def written(folder: Path, text: str = MANIFEST) -> list[str]:
    """The command line of a report about this manifest."""
    (folder / "web.yaml").write_text(text)
    return ["policy", "report", "-f", str(folder / "web.yaml")]


def test_worse_canaries_are_rolled_back_more_often_and_sooner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The operating characteristic: with the true error rate, the chance of a rollback grows."""
    assert run([*written(tmp_path), "--rps", "20", "-o", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    rows = found["rows"]
    assert (found["judge"], found["rps"], found["errorRate"]) == ("threshold", 20, 0.002)
    rates = [row["errorRate"] for row in rows]
    assert rates == sorted(rates)
    chances = [row["rolledBack"] for row in rows]
    assert chances[0] < 0.2
    assert chances[-1] == 1.0
    assert rows[-1]["rollbackSeconds"] == 120  # two failed checks
    assert rows[0]["promotionSeconds"] == 120  # two steps
    assert all(row["rolledBack"] + row["promoted"] + row["undecided"] == pytest.approx(1) for row in rows)


def test_the_same_seed_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another seed doesn't."""
    line, said = written(tmp_path), []
    for seed in ("1", "1", "2"):
        run([*line, "--rps", "2", "--seed", seed])
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert said[0].splitlines()[4:] != said[2].splitlines()[4:]


def test_another_seed_shares_no_rollouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nine tenths of a second report would be the first one again."""
    monkeypatch.setattr(report, "BATCHES", 10)
    written(tmp_path)
    given = load([str(tmp_path / "web.yaml")])
    resolved = resolve_spec(given.canary, given.policy, given.templates)
    seeds = [set(Simulation(resolved, UsualTraffic(5, 0.01), seed).seeds) for seed in (1, 2, 3)]
    assert min(seeds[0]) >= 0
    assert len(set[int]().union(*seeds)) == sum(len(one) for one in seeds)


@pytest.mark.parametrize(("server", "at_once"), [("", True), ("  metricsServer: http://prometheus:9090\n", False)])
def test_counters_are_read_as_in_a_rollout(tmp_path: Path, server: str, at_once: bool) -> None:
    """Envoy's own are those of both versions at one moment; Prometheus scrapes one version after the other."""
    target = "  targetRef: {kind: EnvoyRoute, name: web}\n  version: v2\n"
    target += "  envoy: {admin: http://envoy, routes: web.yaml}\n"
    written(tmp_path, f"{MANIFEST.partition('  targetRef')[0]}{target}{server}  analysis:{ANALYSIS}")
    given = load([str(tmp_path / "web.yaml")])
    found = Simulation(resolve_spec(given.canary, given.policy, given.templates), UsualTraffic(5, 0.01))
    assert (found.grid.at_once, found.scrapes == AT_ONCE) == (at_once, at_once)


def test_it_says_what_it_takes_for_granted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Own queries pass, and latency isn't judged unless the analysis does."""
    run(written(tmp_path, MANIFEST + OWN + COUNTED))
    said = capsys.readouterr().out
    assert "Your own metrics pass in each evaluation, here errors, orders." in said
    assert "The analysis doesn't judge latency" in said
    assert "slower" not in said
    run(written(tmp_path, MANIFEST + "    - {name: request-duration, thresholdRange: {max: 500}}\n"))
    assert "20% are 10× slower" in capsys.readouterr().out


def test_a_judge_that_weighs_evidence_has_its_own_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar that is higher takes longer; the objective's limit for latency is the one that is simulated."""
    monkeypatch.setattr(report, "BATCH", 10)
    objective = "{successRate: 99, latency: {max: 200ms}}"
    found: list[dict[str, Any]] = []
    for rate in (10, 0.001):
        text = f"judge: {{type: sequential, falseRollbackRate: {rate}, objective: {objective}}}\n    interval: 1m"
        assert run([*written(tmp_path, MANIFEST.replace("interval: 1m", text)), "--rps", "20", "-o", "json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["judge"] == "sequential"
    quick, slow = ([row["rollbackSeconds"] for row in one["rows"] if row["errorRate"] == 0.05] for one in found)
    assert quick[0] < slow[0]
    assert {row["canary"] for row in found[0]["rows"]} >= {"20% of requests 10× slower"}
    assert all(one["rows"][0]["rolledBack"] == 0 for one in found[1:])


def test_what_a_judge_of_events_leaves_out_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query of values, and a policy in which nothing else could be simulated."""
    monkeypatch.setattr(report, "BATCH", 2)
    assert run([*written(tmp_path, MANIFEST + OWN), "--judge", "sequential"]) == 0
    said = capsys.readouterr().out
    assert "The judge sequential doesn't judge queries that count no events, here errors." in said
    assert "pass in each evaluation" not in said
    alone = MANIFEST.replace("    - {name: request-success-rate, thresholdRange: {min: 99}}\n", OWN)
    assert run([*written(tmp_path, alone), "--judge", "sequential"]) == 2
    assert "the judge 'sequential' needs request-success-rate, or request-duration with" in capsys.readouterr().err


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    """SVG that parses, with a point for each row in the first panel."""
    drawn = tmp_path / "plot.svg"
    assert run([*written(tmp_path), "--plot", str(drawn)]) == 0
    root = ElementTree.fromstring(drawn.read_text())
    places = [(one.get("x"), one.get("y")) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert len(set(places)) == len(places)
    titles = [one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("as stable: ") for title in titles)


def test_a_terminal_without_unicode_has_every_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No question mark stands for a dash or a times sign."""
    monkeypatch.setattr(policy, "screen_of", lambda stream: Screen(unicode=False))
    run(written(tmp_path, MANIFEST + "    - {name: request-duration, thresholdRange: {max: 500}}\n"))
    said = capsys.readouterr().out
    assert "20% are 10x slower" in said
    assert "?" not in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rps", "0"], "'--rps': '0' must be"),
        (["--rps", "nan"], "'--rps': 'nan' must be"),
        (["--error-rate", "0.2"], "--error-rate: '0.2' is not a percentage from 0% to below 100%, such as 0.2%"),
        (["--error-rate", "nan%"], "--error-rate: 'nan%' is not a percentage"),
        (["--error-rate", "100%"], "--error-rate: '100%' is not a percentage"),
        (["--judge", "oracle"], "the judge 'oracle' can't be simulated; there are threshold, sequential"),
        (["--seed", "0"], "'--seed': '0' must be"),
        (["--plot", "."], "--plot: . can't be written: Is a directory"),
        (["--judge", ""], "--judge is empty: give a judge, or omit the option"),
        (["--plot", "/nowhere/plot.png"], "--plot: /nowhere/plot.png is written as SVG; write /nowhere/plot.svg"),
        (["--plot", "/nowhere/plot.svg"], "--plot: /nowhere/plot.svg can't be written: No such file or directory"),
    ],
)
def test_bad_options_are_explained(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, and nothing is printed."""
    assert run([*written(tmp_path), *options]) in (1, 2)
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_a_table_fits_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 80 columns, with all rows and rollouts that take an hour."""
    monkeypatch.setattr(report, "BATCH", 4)
    run(written(tmp_path, MANIFEST + "    - {name: request-duration, thresholdRange: {max: 500}}\n"))
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert table[0].split() == ["canary", "rollback", "after", "promoted", "after", "open", "harmed", "+1h"]
    assert max(map(len, table)) <= 80


BLUE_GREEN = MANIFEST.replace("stepWeights: [20, 50]", "iterations: 3")
LOAD = "    webhooks:\n    - {name: load, type: rollout, url: http://loadtester.test/}\n"


def test_blue_green_is_judged_by_the_load_of_its_webhooks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At 0% nothing else reaches the canary: a healthy one isn't rolled back for that."""
    assert run([*written(tmp_path, BLUE_GREEN + LOAD), "--rps", "50", "-o", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert (rows[0]["promoted"], rows[-1]["rolledBack"]) == (1.0, 1.0)
    run([*written(tmp_path, BLUE_GREEN + LOAD), "--rps", "50"])
    assert "Webhooks are taken to send 10% of all requests to the canary" in capsys.readouterr().out


def test_blue_green_without_load_is_not_simulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says why, instead of rolling every healthy version back."""
    assert run(written(tmp_path, BLUE_GREEN)) == 2
    assert "at 0% no request reaches the canary, and no webhook of the type rollout sends any" in (
        capsys.readouterr().err
    )


def test_without_a_step_there_is_nothing_to_simulate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rollout that goes straight to 100%."""
    line = written(tmp_path, MANIFEST.replace("  analysis:", "  skipAnalysis: true\n  analysis:"))
    assert run(line) == 2
    assert "no step with requests to the canary" in capsys.readouterr().err
