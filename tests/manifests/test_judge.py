"""`analysis.judge` as people write it: a name, or settings with signs and units."""

import json
from pathlib import Path
from typing import Any

import pytest

from canary.api.analysis import Analysis
from canary.manifests import lint, read
from canary.manifests.validation import resource
from tests.crds.objects import SEQUENTIAL, STEPS, canary

JUDGE = "spec.analysis.judge"


def problems(folder: Path, judge: Any) -> list[str]:
    """Of a Canary with this judge, which is right otherwise."""
    (folder / "canary.json").write_text(json.dumps(canary(STEPS | {"analysis.judge": judge})))
    found = lint(read([str(folder / "canary.json")]))
    return [f"{each.field}: {each.sentence}".removeprefix("spec.analysis.") for each in found]


def settings(**given: Any) -> dict[str, Any]:
    """Of the judge sequential."""
    return {"type": "sequential", **given}


@pytest.mark.parametrize(
    ("judge", "reported"),
    [
        ("sequential", []),
        (SEQUENTIAL, []),
        (5, ["judge: must be a mapping, not 5; write {type: sequential}"]),
        (["sequential"], ["judge: must be a mapping, not a list; write {type: sequential}"]),
        ("sequentiel", ["judge: 'sequentiel' is no judge; did you mean sequential?"]),
        ({"minEffect": 2}, ["judge.type: is missing"]),
        (settings(minEfect=2), ["judge.minEfect: unknown field; did you mean minEffect?"]),
        (settings(minEffect="2"), ["judge.minEffect: must be a number, not '2'; write it without quotes"]),
        (settings(minEffect=0.5), ["judge.minEffect: must be at least 1, not 0.5"]),
        (
            settings(falseRollbackRate="1"),
            ["judge.falseRollbackRate: must be a number or per cent such as 1%, not 1 in quotes"],
        ),
        (
            settings(falseRollbackRate=True),
            ["judge.falseRollbackRate: must be a number or per cent such as 1%, not true"],
        ),
        (settings(falseRollbackRate="low%"), ["judge.falseRollbackRate: must be a number, not 'low'"]),
        (settings(falseRollbackRate=90), ["judge.falseRollbackRate: must be at most 50, not 90"]),
        (settings(warmup=5), ["judge.warmup: 5 is not a duration such as 30s, 5m or 1h30m; did you mean 5s?"]),
        (settings(objective=99), ["judge.objective: must be a mapping, not 99; did you mean {successRate: 99}?"]),
        (
            settings(objective="99%"),
            ["judge.objective: must be a mapping, not '99%'; did you mean {successRate: 99}?"],
        ),
        (settings(objective={"successRate": 101}), ["judge.objective.successRate: must be less than 100, not 101"]),
        (settings(objective={"successRate": 0}), ["judge.objective.successRate: must be more than 0, not 0"]),
        (
            settings(objective={"latency": "500ms"}),
            ["judge.objective.latency: must be a mapping, not '500ms'; did you mean {max: 500ms}?"],
        ),
        (
            settings(objective={"latency": {"max": 500}}),
            ["judge.objective.latency.max: 500 is not a duration such as 250ms or 1s; did you mean 500ms?"],
        ),
        (
            settings(onInconclusive="hold"),
            ["judge.onInconclusive: must be a mapping, not 'hold'; did you mean {then: hold}?"],
        ),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_written_wrong_is_answered_with_what_was_meant(
    judge: Any, reported: list[str], tmp_path: Path
) -> None:
    """At the setting itself."""
    assert problems(tmp_path, judge) == reported


@pytest.mark.parametrize("kind", ["Canary", "CanaryPolicy"])
def test_an_unknown_setting_in_a_cluster_is_an_error(kind: str) -> None:
    """The API server keeps what is in a field without a type, and a setting that isn't used would be missed."""
    body = canary(STEPS | {"analysis.judge": settings(minEfect=2)}, kind=kind)
    body["spec"] = body["spec"] if kind == "Canary" else {"analysis": body["spec"]["analysis"]}
    found, wrong = resource(body, extra="ignore")
    assert (found, [str(one) for one in wrong]) == (
        None,
        [f"{JUDGE}.minEfect: unknown field; did you mean minEffect?"],
    )
    body["spec"]["analysis"]["judge"] = SEQUENTIAL
    assert resource(body, extra="ignore")[1] == []


@pytest.mark.parametrize("judge", ["sequential", {"type": "sequential", "minEffect": 2.0, "warmup": "1m30s"}])
def test_a_judge_is_written_as_it_was_read(judge: Any) -> None:
    """By its name alone, or with the settings that were given."""
    assert Analysis.model_validate({"judge": judge}).wire()["judge"] == judge
