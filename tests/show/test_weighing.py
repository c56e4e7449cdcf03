"""What people see of a judge that weighs evidence, at 80 columns."""

from dataclasses import replace
from typing import Any

import pytest

from canary.api.evidence import CheckResult, EvaluationResult, ValueBounds, Weighing
from canary.api.reason import Reason
from canary.show.live_rows import Scene, rows
from canary.show.metric_checks import weighed
from canary.show.records import record
from canary.show.summary import status_lines
from canary.show.terminal import PLAIN
from tests.engine.situations import NOW
from tests.rollout.wired import driven

NARROW = replace(PLAIN, width=80)
RULES: dict[str, Any] = {"judge": "sequential", "threshold": 5}
HOOKS = [{"type": "rollout", "name": "check", "url": "http://tester.test/"}]


@pytest.mark.parametrize("scenario", ["good", "bad", "flaky", "slow", "quiet"])
def test_each_picture_fits_80_columns(scenario: str) -> None:
    """Status and the live view, at each turn of a rollout; both have a row for evidence, bounds and requests."""
    run = driven(scenario, **RULES)
    run.run()
    scene = Scene("web", "canary approve web")
    shown: set[str] = set()
    for turn in run.turns:
        scene = scene.then(turn)
        block = status_lines(turn.decision.status, "web", turn.at, NARROW)
        live = [NARROW.paint(row) for row in rows(scene, turn.at, NARROW)]
        assert max(map(len, (*block, *live))) <= 80
        shown |= {line.split()[0] for line in (*block, *live) if line.strip()}
    assert {"evidence", "success", "requests"} <= shown


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        pytest.param({"judge": "sequential"}, False, id="none can end the rollout"),
        pytest.param({"judge": "sequential", "webhooks": HOOKS}, True, id="those of webhooks can"),
        pytest.param({"judge": "threshold"}, True, id="the judge counts them"),
    ],
)
def test_failed_checks_are_shown_where_they_count(rules: dict[str, Any], shown: bool) -> None:
    run = driven("good", **RULES | rules)
    run.run()
    turn = run.turns[2]
    scene = Scene("web", "canary approve web").then(turn)
    block = status_lines(turn.decision.status, "web", turn.at, NARROW)
    live = [NARROW.paint(row) for row in rows(scene, turn.at, NARROW)]
    assert [any(line.startswith("failed checks") for line in part) for part in (block, live)] == [shown] * 2
    assert any("next evaluation in" in line for line in live)


def test_json_has_the_numbers() -> None:
    """Of the last evaluation; null before the first."""
    run = driven("bad", **RULES)
    run.run()
    records = [record(turn) for turn in run.turns]
    assert records[0]["weighing"] is None
    seen = next(one for one in records if one["weighing"])
    assert seen["weighing"]["bar"] == 100
    assert seen["checks"][0]["canaryBounds"]["low"] < seen["checks"][0]["canary"]


def evaluation(**weighing: object) -> EvaluationResult:
    given = {"evidence": 31.4, "bar": 100, "requests": 120, **weighing}
    check = CheckResult(
        metric="request-success-rate",
        result="passed",
        canary=98.0,
        canary_bounds=ValueBounds(low=95.12, high=99.4),
        stable_bounds=ValueBounds(low=99.5, high=100),
    )
    return EvaluationResult(
        at=NOW,
        verdict="hold",
        reason=Reason.GATHERING_EVIDENCE,
        message="",
        checks=(check,),
        weighing=Weighing.model_validate(given),
    )


@pytest.mark.parametrize(
    ("weighing", "requests"),
    [
        pytest.param({"needed": 230, "remaining": "2m10s"}, "about 230 needed, about 2m10s to go", id="some to go"),
        pytest.param({"needed": 230}, "about 230 needed, none comes", id="without traffic"),
        pytest.param({"needed": 120, "remaining": "0s"}, "120 needed", id="enough"),
        pytest.param({}, "and too many of them fail", id="never"),
    ],
)
def test_rows(weighing: dict[str, object], requests: str) -> None:
    assert [PLAIN.paint(row) for row in weighed(evaluation(**weighing))] == [
        "evidence        31 against the canary, rolls back at 100",
        "success rate    canary 95.12% to 99.4%, stable 99.5% to 100%",
        f"requests        120 in this step, {requests}",
    ]
