"""What the command makes of a file of samples: steps, verdicts, outcomes, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest

from canary.cli.app import run
from tests.backtest.recording import MANIFEST, as_csv, rollout

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the manifest."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.yaml").write_text(MANIFEST)
    return tmp_path


def judged(*options: str, code: int, capsys: Captured) -> Any:
    """The report as data."""
    assert run(["backtest", "-f", "web.yaml", "-o", "json", *options]) == code
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("weights", "failing", "code", "outcome", "nexts"),
    [
        pytest.param([10, 50], 99, 0, "Promoted", [None, "advance", "promote", None], id="healthy"),
        pytest.param(
            [10, 50], 4, 3, "RolledBack", [None, "advance", None, None], id="failures come with more traffic"
        ),
        pytest.param([10, 10], 99, 0, "Promoted", ["advance", "promote", None, None], id="never more than 10%"),
        pytest.param([10], 3, 4, "Undecided", ["advance", None], id="one failed evaluation, then the end"),
        pytest.param([0, 10], 99, 0, "Promoted", ["advance", "promote"], id="nothing before the first request"),
    ],
)
def test_a_judge_walks_the_plan_as_it_was_recorded(
    weights: list[int], failing: int, code: int, outcome: str, nexts: list[str | None], capsys: Captured
) -> None:
    """It enters a step once the recorded share has reached it; what was never recorded holds nothing back."""
    Path("web.csv").write_text(as_csv(rollout(weights, failing)))
    found = judged("--samples", "web.csv", code=code, capsys=capsys)
    own = found["judges"]["threshold"]
    assert own["outcome"] == outcome
    evaluated = [one["judges"]["threshold"]["next"] for one in found["evaluations"] if "threshold" in one["judges"]]
    assert evaluated[: len(nexts)] == nexts


@pytest.mark.parametrize(("bad", "said"), [(0, "it didn't fail"), (1, "it failed")])
def test_a_single_request_is_one(bad: int, said: str, folder: Path, capsys: Captured) -> None:
    """In the sentence about the canary."""
    rows = [f"2026-03-02T12:00:30Z,web,1,{bad}", "2026-03-02T12:01:00Z,web-primary,9,0"]
    (folder / "web.csv").write_text("\n".join([HEAD, *rows]))
    assert run(["backtest", "-f", "web.yaml", "--samples", "web.csv", "--from", "2026-03-02T12:00Z"]) == 4
    assert f"the canary had served 1 request by then, {said}" in " ".join(capsys.readouterr().out.split())


def test_the_table_fits_a_terminal(folder: Path, capsys: Captured) -> None:
    """Evaluations that say the same are one row, at most 80 columns wide; below it what the judge came to."""
    (folder / "web.csv").write_text(as_csv(rollout([10, 50], 8, halves=8)))
    assert run(["backtest", "-f", "web.yaml", "--samples", "web.csv"]) == 3
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    rows = [line.split(maxsplit=2)[1:] for line in out.splitlines() if ":00" in line[:8]]
    assert [row[0] for row in rows] == ["10%", "×2", "10%", "50%", "50%", "×2"]
    assert "10%      120        0  10% passed           10% passed" in out
    assert out.count("on to 50%") == 2
    assert " ".join(out.split()).count("after 6m and 6 evaluations, in step 2 of 2") == 2
    assert "2 of 2 failed checks" in " ".join(out.split())


def test_judges_go_on_after_a_promotion(folder: Path, capsys: Captured) -> None:
    """A failure that comes after it changes no outcome, and is shown."""
    (folder / "web.csv").write_text(as_csv(rollout([10, 50], 8)))
    (folder / "late.csv").write_text(as_csv(rollout([10, 50, 50], 8)))
    assert judged("--samples", "web.csv", code=0, capsys=capsys)["judges"]["threshold"]["rolledBackLater"] is None
    own = judged("--samples", "late.csv", code=0, capsys=capsys)["judges"]["threshold"]
    assert (own["outcome"], own["rolledBackLater"]) == ("Promoted", "2026-03-02T12:06:00+00:00")
    assert run(["backtest", "-f", "web.yaml", "--samples", "late.csv"]) == 0
    out = capsys.readouterr().out
    assert "it would have rolled back: request-success-rate 90% is below 99%" in " ".join(out.split())
    assert [line.count("after it: rolls back") for line in out.splitlines() if "300       30" in line][-1] == 2
    assert max(map(len, out.splitlines())) <= 80


OWN = """\
    - {name: errors, thresholdRange: {max: 1}, query: sum(errors)}
    - {name: orders, thresholdRange: {min: 99}, templateRef: {name: orders}}
"""
COUNTED = """\
---
apiVersion: canary-controller.dev/v1beta1
kind: MetricTemplate
metadata: {name: orders, namespace: shop}
spec: {counts: {total: orders_total, bad: failures_total}}
"""


def test_own_metrics_are_left_out_of_a_file(folder: Path, capsys: Captured) -> None:
    """A note says which; the other metrics are judged."""
    (folder / "web.yaml").write_text(MANIFEST + OWN + COUNTED)
    (folder / "web.csv").write_text(as_csv(rollout([10, 50], 99)))
    assert run(["backtest", "-f", "web.yaml", "--samples", "web.csv"]) == 0
    assert capsys.readouterr().err == (
        "note: a file of samples answers no query or counts of your own, here errors, orders\n"
    )


def test_a_file_judges_no_manifest_of_own_metrics_only(folder: Path, capsys: Captured) -> None:
    """Without any metric, each judge would promote."""
    (folder / "web.yaml").write_text(MANIFEST.partition("    - {name")[0] + OWN + COUNTED)
    (folder / "web.csv").write_text(as_csv(rollout([10, 50], 0)))
    assert run(["backtest", "-f", "web.yaml", "--samples", "web.csv"]) == 2
    assert "and there are only such metrics: errors, orders" in capsys.readouterr().err


def test_json_is_read_as_csv_is(folder: Path, capsys: Captured) -> None:
    """Times may be in seconds since 1970."""
    halves = list(rollout([10, 50], 4))
    rows = [
        {"time": one.at.timestamp(), "version": one.version, "total": one.total, "bad": one.bad}
        | {"slower": {"250": one.slow, "500": 0}}
        for one in halves
    ]
    (folder / "web.json").write_text(json.dumps(rows))
    (folder / "web.csv").write_text(as_csv(iter(halves)))
    found = [judged("--samples", name, code=3, capsys=capsys) for name in ("web.json", "web.csv")]
    assert found[0] == found[1]


HEAD = "time,version,total,bad"
ROW = "2026-03-02T12:00:00Z,web,10,1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "the first line lacks the column time; it has none", id="an empty file"),
        pytest.param(HEAD, "it has no rows", id="no rows"),
        pytest.param("time,version,total\n", "lacks the column bad", id="a column less"),
        pytest.param(f"{HEAD},slow\n", "the column slow is unknown", id="a column that means nothing"),
        pytest.param(f"{HEAD}\nnoon,web,10,1", "line 2: time is 'noon', not a time", id="no time"),
        pytest.param(f"{HEAD}\n{ROW}\n{ROW}", "two rows of web at 2026-03-02T12:00:00+00:00", id="a row twice"),
        pytest.param(f"{HEAD}\n2026-03-02T12:00Z,web,10,11", "line 2: bad is 11, more than total", id="more bad"),
        pytest.param(f"{HEAD}\n2026-03-02T12:00Z,web,-1,0", "line 2: total is -1, less than 0", id="fewer than none"),
        pytest.param(f"{HEAD}\n2026-03-02T12:00Z,web,1.5,0", "line 2: total is '1.5'", id="half a request"),
        pytest.param(f"{HEAD}\n2026-03-02T12:00Z,,1,0", "line 2: version is missing", id="no one's"),
        pytest.param(f"{HEAD},slower_x\n{ROW},0", "line 2: 'x' is not an edge in milliseconds", id="no edge"),
        pytest.param(f"{HEAD}\n2026-03-02T12:00Z,web,1", "line 2: bad is missing", id="a cell less"),
        pytest.param(
            f"{HEAD}\n2026-03-02T12:00Z,web,{2**53 + 1},1",
            "line 2: total is 9007199254740993, more than 2^53",
            id="more requests than can be counted",
        ),
        pytest.param(f"{HEAD}\n0001-01-01T00:00Z,web,1,0", "line 2: time is '0001", id="before all counters"),
        pytest.param(f"{HEAD}\n{ROW},0", "line 2: there are more cells than columns", id="a cell more"),
        pytest.param(
            f"{HEAD},slower_500,slower_250\n{ROW},5,3",
            "line 2: more requests were slower than 500 ms than slower than 250 ms",
            id="edges that contradict",
        ),
        pytest.param(
            f"{HEAD}\n{ROW.replace('web', 'v3')}", "no row of web; --canary names one of v3", id="no canary"
        ),
        pytest.param(f"{HEAD}\n{ROW}", "has no row of web-primary; --stable names one of web", id="one version only"),
    ],
)
def test_files_that_are_refused(text: str, said: str, folder: Path, capsys: Captured) -> None:
    """With the file, the line and what is wrong."""
    (folder / "web.csv").write_text(text)
    assert run(["backtest", "-f", "web.yaml", "--samples", "web.csv"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("canary: web.csv")
    assert said in error


def test_a_field_of_json_that_means_nothing_is_refused(folder: Path, capsys: Captured) -> None:
    """As a column is: the durations would be lost without a word."""
    (folder / "web.json").write_text(
        '[{"time": 1772452830, "version": "web", "total": 9, "bad": 1, "slower_500": 3}]'
    )
    assert run(["backtest", "-f", "web.yaml", "--samples", "web.json"]) == 2
    assert "row 1: slower_500 is unknown; there are time, version, total, bad and slower" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param([], "--from is missing: give the time", id="no range"),
        pytest.param(["--from", "noon"], "--from: 'noon' is not a time such as", id="no time"),
        pytest.param(["--from", "0001-01-01T00:00+14:00"], "--from: '0001-01-01T00:00+14:00' is not a", id="year 1"),
        pytest.param(["--to", "9999-12-31T23:00-14:00"], "--to: '9999-12-31T23:00-14:00' is not a", id="year 9999"),
        pytest.param(["--from", "2126-01-01T00:00Z"], "--from: 2126-01-01T00:00:00Z is in the future", id="no past"),
        pytest.param(["--to", "2126-01-01"], "--to: 2126-01-01T00:00:00Z is in the future", id="an end to come"),
        pytest.param(["--to", "2026-03-02T12:00Z"], "isn't after its start", id="the end before the start"),
        pytest.param(["--to", "2026-03-02T13:00:30Z"], "is shorter than one interval", id="too short"),
        pytest.param(["--to", "2026-03-05T13:00Z"], "has 4320 evaluations, more than 2000", id="too long"),
        pytest.param(["--stable", "web"], "stable and canary are both web", id="one version twice"),
        pytest.param(["--samples", "none.csv"], "none.csv: No such file or directory", id="no file"),
    ],
)
def test_ranges_that_are_refused(options: list[str], said: str, capsys: Captured) -> None:
    """In one sentence, before anything is asked."""
    begin = ["--from", "2026-03-02T13:00Z"] if "--from" not in options and options else []
    server = [] if "--samples" in options else ["--prometheus", "http://127.0.0.1:1"]
    assert run(["backtest", "-f", "web.yaml", *server, *begin, *options]) == 2
    assert said in capsys.readouterr().err


def test_nothing_to_ask(capsys: Captured) -> None:
    """Nothing is looked for in a cluster."""
    assert run(["backtest", "-f", "web.yaml", "--from", "2026-03-02"]) == 2
    assert (
        "--prometheus is missing: give the URL of the Prometheus, or a file with --samples" in capsys.readouterr().err
    )


def test_one_source(capsys: Captured) -> None:
    """Which one counts mustn't be guessed."""
    given = ["--samples", "web.csv", "--prometheus", "http://127.0.0.1:1"]
    assert run(["backtest", "-f", "web.yaml", *given]) == 2
    assert "--prometheus and --samples: give one of them" in capsys.readouterr().err
