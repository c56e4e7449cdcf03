"""The same recording in a real Prometheus and in a file."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from canary.cli.app import run
from tests.backtest.recording import MANIFEST, NOON, as_csv, as_openmetrics, rollout
from tests.parts.prometheus import Prometheus

END = "2026-03-02T12:04:30Z"


@pytest.fixture
def recorded(
    prometheus_binary: Path, promtool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Prometheus]:
    """A Prometheus with the rollout in its past, which scrapes nothing; the file of samples says the same."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.yaml").write_text(MANIFEST)
    (tmp_path / "web.csv").write_text(as_csv(rollout([10, 50], 4)))
    (tmp_path / "web.om").write_text(as_openmetrics(rollout([10, 50], 4)))
    part = Prometheus(prometheus_binary, tmp_path / "prometheus")
    data = str(part.folder / "data")
    blocks = [str(promtool), "tsdb", "create-blocks-from", "openmetrics", "web.om", data]
    subprocess.run(blocks, check=True, capture_output=True, cwd=tmp_path)
    part.start()
    yield part
    part.kill()


def report(capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    """The report as data; the threshold judge rolls back."""
    assert run(["backtest", "-f", "web.yaml", "-o", "json", *options]) == 3
    return json.loads(capsys.readouterr().out)


def test_a_recording_is_judged_as_it_was(recorded: Prometheus, capsys: pytest.CaptureFixture[str]) -> None:
    """Exact counts at the nominal times of the past, less the lag; a file with the same requests has the same
    verdicts, and needs no lag."""
    asked = report(capsys, "--prometheus", recorded.url, "--from", NOON.isoformat(), "--to", END)
    read = report(capsys, "--samples", "web.csv")
    totals = [
        [(one["canary"]["total"], one["canary"]["bad"]) for one in found["evaluations"]] for found in (asked, read)
    ]
    assert totals == [[(30, 0), (60, 0), (180, 15), (300, 30)], [(60, 0), (60, 0), (300, 30), (300, 30)]]
    for name in asked["judges"]:
        verdicts = [[one["judges"][name]["verdict"] for one in found["evaluations"]] for found in (asked, read)]
        assert verdicts[0] == verdicts[1]
    assert [one["judges"]["threshold"]["step"] for one in asked["evaluations"]] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--canary", "wbe"], "there is no data of wbe in the namespace shop", id="a wrong name"),
        pytest.param(["-n", "shpo"], "there is no data of web in the namespace shpo", id="a wrong namespace"),
        pytest.param(
            ["--prometheus", "http://127.0.0.1:1"], "the metrics can't be read: connection refused", id="no answer"
        ),
    ],
)
def test_a_past_that_is_not_there(
    options: list[str], said: str, recorded: Prometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and exit code 1, instead of a table of nothing."""
    given = ["--prometheus", recorded.url, "--from", NOON.isoformat(), "--to", END, *options]
    assert run(["backtest", "-f", "web.yaml", *given]) == 1
    assert said in capsys.readouterr().err
