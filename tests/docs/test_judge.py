"""docs/judge-sequential.md says what the code does: settings, tables of requests, messages, examples."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from canary.api.evidence import EvaluationResult
from canary.api.judge import JudgeSpec
from canary.api.reason import Reason
from canary.cli.app import run
from canary.engine.statistics import decision, objective
from canary.engine.statistics.state import Design, Look, design_of, fresh
from canary.engine.validation.judge import EDGES
from canary.manifests import lint, read
from canary.manifests.fields import known
from canary.show import metric_checks
from tests.manifests.test_docs import whole

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "judge-sequential.md").read_text("utf-8")
EXAMPLE = ROOT / "examples" / "sequential" / "canary.yaml"
MANIFESTS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def rows(before: str) -> Iterator[list[str]]:
    """The cells of the first table after these words."""
    table = PAGE.partition(before)[2].partition("\n|")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def design(steps: int, skew: float) -> Design:
    """One count of errors with an objective of 99%, and the usual settings."""
    usual = JudgeSpec(type="sequential")
    lanes = [(1.0, 0.01, True)]
    alpha = usual.false_rollback_rate / 100
    return design_of(alpha=alpha, effect=usual.min_effect, lanes=lanes, steps=steps, skew=skew)


def test_every_setting_is_explained() -> None:
    """With its default."""
    reported = {cells[0].strip("`").partition(".")[0] for cells in rows("## Settings")}
    assert reported == known(JudgeSpec).keys() - {"type"}
    defaults = {cells[0].strip("`"): cells[-1] for cells in rows("## Settings")}
    usual = JudgeSpec(type="sequential")
    assert defaults["falseRollbackRate"] == f"{usual.false_rollback_rate:g}%"
    assert defaults["minEffect"] == f"{usual.min_effect:g}"


@pytest.mark.parametrize("text", MANIFESTS, ids=[" ".join(text.split())[:50] for text in MANIFESTS])
def test_its_examples_are_right(text: str, tmp_path: Path) -> None:
    """As fields of an analysis; a judge alone has its metrics in its objectives."""
    fields = YAML(typ="safe", pure=True).load(text)
    fields = fields.get("analysis", fields)
    file = tmp_path / "example.yaml"
    with file.open("w") as stream:
        YAML(typ="safe", pure=True).dump(whole_of({"stepWeights": [5, 20, 50], **fields}), stream)
    assert [str(each) for each in lint(read([str(file)]))] == []


def whole_of(fields: dict[str, Any]) -> dict[str, Any]:
    """A Canary around them."""
    made = whole("stepWeights: [10]")
    made["spec"]["analysis"] = fields
    return made


def test_the_whole_example_is_right() -> None:
    assert lint(read([str(EXAMPLE)])) == ()


def simulated(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    """What the command prints of the example."""
    run(["simulate", "-f", str(EXAMPLE), *options])
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_the_simulation_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """Line by line."""
    shown = re.findall(r"^\d\d:\d\d:\d\d .*$", PAGE, re.MULTILINE)
    assert shown
    printed = simulated(capsys, "--scenario", "flaky")
    assert [line for line in shown if line not in printed] == []


def test_what_is_shown_beside_an_evaluation_is_what_was_weighed(capsys: pytest.CaptureFixture[str]) -> None:
    """With two requests a second, at some moment of the last step."""
    reported = PAGE.partition("```text\nevidence")[2].partition("```")[0].splitlines()
    shown = []
    for line in map(json.loads, simulated(capsys, "--rps", "2", "-o", "json")):
        if line.get("weighing"):
            fields = {"at": line["time"], "verdict": "hold", **line}
            evaluation = EvaluationResult.model_validate(fields)
            shown.append(["".join(span.text for span in row) for row in metric_checks.weighed(evaluation)])
    assert ["evidence" + reported[0], *reported[1:]] in shown


def test_the_requests_that_an_increase_needs() -> None:
    """If none of them fails."""
    bar, good = np.log(100), np.arange(1, 1000)
    for steps, reported in rows("An increase needs requests"):
        asked = design(int(steps), skew=0)
        state = replace(fresh(int(steps), 1), step=np.arange(1, int(steps) + 1))
        limits = decision.weigh(state, asked).limit[:, 0]
        enough = [int(good[objective.log_evidence_below(0, good, limit) >= bar][0]) for limit in limits]
        assert reported == ", ".join(map(str, enough))


def until_rolled_back(shares: list[float]) -> list[int]:
    """Requests of the canary, ten an evaluation, of which exactly these shares fail; all at once."""
    asked, each, stable = design(3, skew=0.5), np.full((len(shares), 1), 10.0), np.full((len(shares), 1), 190.0)
    look = Look(y=np.array(shares)[:, None] * each, n_c=each, x=0.002 * stable, n_b=stable)
    state, requests = fresh(len(shares), 1), np.zeros(len(shares), np.int64)
    for evaluations in range(1, 1000):
        state = decision.fold(state, look, 1, asked)
        ended = decision.weigh(state, asked).roll_back & (requests == 0)
        requests[ended] = 10 * evaluations
        if requests.all():
            break
    return requests.tolist()


def test_the_requests_that_a_rollback_needs() -> None:
    """By the share of the canary's requests that fail."""
    reported = {
        float(share.split("%")[0]) / 100: int(requests) for share, requests in rows("A rollback needs requests")
    }
    assert len(reported) >= 8
    assert list(reported.values()) == until_rolled_back(list(reported))


def test_the_reasons_are_those_of_the_code() -> None:
    """Each that is named exists."""
    named = re.findall(r"\| `([A-Z]\w+)` \|", PAGE)
    assert {"CanaryWorse", "ObjectiveMissed", "SharedOutage", "GatheringEvidence", "Inconclusive"} <= set(named)
    assert set(named) <= {one.value for one in Reason}


def test_the_edges_are_those_of_the_code() -> None:
    """From the lowest, as far as the page goes; all of them in docs/metrics.md."""
    reported = re.search(r"in milliseconds: ([\d., ]+) and\nabove", PAGE)
    assert reported is not None
    given = [float(one) for one in reported[1].split(", ")]
    assert given == list(EDGES[: len(given)])
    everything = re.search(r"has the edges ([\d., \n]+) and\n(\d+) ms", (ROOT / "docs/metrics.md").read_text())
    assert everything is not None
    assert [float(one) for one in (*everything[1].split(", "), everything[2])] == list(EDGES)
