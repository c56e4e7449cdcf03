"""Two judges side by side on a real Envoy: exact counts, the same answers for both, and an honest table."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.demo.judges import JUDGES, EvaluationsSeen, JudgedRollout, JudgesStory, version_of
from canary.demo.load import Counted, Tally
from canary.demo.play import DemoSettings, play
from canary.demo.services import DemoService
from canary.demo.stage import BESIDE, manifest
from canary.manifests import lint, read
from canary.rollout.end import Ending
from canary.sandbox.scenarios import SCENARIOS
from tests.demo.watching import noted

ROW = re.compile(r"^  (threshold|sequential) +(rolled back|promoted) +(\d+) +([\d.]+) s +(\d+) +(\d+)$", re.MULTILINE)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_same_bad_version_under_two_judges(
    envoy_binary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both roll back; `sequential` needs fewer evaluations and lets fewer requests fail, unless the machine is too
    slow, which is said. The table has what the load has noted, and Envoy has counted the same."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pace = replace(BESIDE, interval=2, drain=1)
    assert play(DemoSettings(("bad",), rate=100, keep=True, judge="sequential", pace=pace)) == 0
    out = capsys.readouterr().out
    rows = {judge: (int(n), float(s), int(all_), int(bad)) for judge, _, n, s, all_, bad in ROW.findall(out)}
    assert list(rows) == list(JUDGES), out
    folder = next(tmp_path.iterdir())
    for judge, (_, seconds, requests, failed) in rows.items():
        own = noted(folder, version_of(2, judge))
        sent = [one.sent for one in own]
        assert (requests, failed) == (len(own), sum(one.status >= 500 for one in own))
        assert seconds == pytest.approx(max(sent) - min(sent), abs=0.06)
        assert lint(read([str(folder / judge / "canary.yaml")])) == ()
    assert "Counted alike by the load, by the versions themselves and by Envoy." in out, out
    threshold, sequential = (rows[judge] for judge in JUDGES)
    assert (threshold[0] >= 3, sequential[0] >= 1) == (True, True)  # 1 if many of the first requests fail
    if "This machine is too slow" not in out:
        fewer = [ours < theirs for ours, theirs in zip(sequential, threshold, strict=True)]
        assert fewer[:3] == [True] * 3, out
        assert sequential[3] <= threshold[3], (
            out
        )  # equal if none of the requests that it was spared would have failed
        spared = threshold[0] - sequential[0]  # 1, or more: an evaluation may meet no error of the bad version
        assert f"sequential: {spared} fewer evaluation{'s' if spared > 1 else ''}, at 0% " in out
    own_lines = [line for line in out.replace(str(folder), "/tmp").splitlines() if not re.match(r"\d\d:\d\d:", line)]
    assert max(map(len, own_lines)) <= 100


def test_what_envoy_answers_in_place_of_a_version_is_no_disagreement() -> None:
    """A version that has died counts neither a 503 nor a 504; a 500 is its own."""
    tally = Tally({"200": 3, "503": 2, "504": 1}, first=0.0, last=1.0, left=1.0, p50=8, p99=40)
    assert Counted({"v2": tally}, {"v2": {"200": 3}}, {"v2": tally.answers}).agree
    failed = replace(tally, answers={"200": 3, "500": 1})
    assert not Counted({"v2": failed}, {"v2": {"200": 3}}, {"v2": failed.answers}).agree


def test_versions_with_the_same_seed_answer_alike() -> None:
    """One request after the other; another seed gives others."""
    bad = SCENARIOS["bad"].canary
    first, second, other = (DemoService("v2", bad, seed) for seed in (1, 1, 2))
    answers = [[service.take() for _ in range(50)] for service in (first, second, other)]
    assert answers[0] == answers[1] != answers[2]
    assert {status for _, status in answers[0]} == {200, 500}


def rollout(
    judge: str, evaluations: int, seconds: float, failed: int, code: Exit = Exit.ROLLED_BACK, **more: float
) -> JudgedRollout:
    """So many evaluations, three seconds apart unless `gap` says otherwise."""
    times = [NOON + timedelta(seconds=more.get("gap", 3) * index) for index in range(evaluations)]
    seen = EvaluationsSeen(times, timedelta(seconds=more.get("late", 0)))
    canary = Tally({"200": 100, "500": failed}, first=0.0, last=seconds, left=seconds, p50=60, p99=450)
    stable = Tally({"200": 1000}, first=0.0, last=20.0, left=20.0, p50=8, p99=more.get("p99", 40))
    return JudgedRollout(judge, seen, Ending(code, Reason.CANARY_WORSE, "the end"), canary, stable)


def said(*rollouts: JudgedRollout) -> str:
    """The summary of two rollouts."""
    out = StringIO()
    JudgesStory(out, BESIDE, SCENARIOS["bad"]).summary(rollouts, Counted({}, {}, {}))
    return out.getvalue()


@pytest.mark.parametrize(
    ("evaluations", "seconds", "failed", "sentence"),
    [
        (2, 6.5, 9, "sequential: 1 fewer evaluation, at 0% 3.0 s sooner, 3 fewer failed requests."),
        (3, 9.5, 12, "sequential: as many evaluations, at 0% as soon, as many failed requests."),
        (5, 15.7, 13, "sequential: 2 more evaluations, at 0% 6.2 s later, 1 more failed request."),
    ],
)
def test_who_was_sooner_is_said_either_way(evaluations: int, seconds: float, failed: int, sentence: str) -> None:
    """Also where the judge that is shown loses."""
    text = said(rollout("threshold", 3, 9.5, 12), rollout("sequential", evaluations, seconds, failed))
    assert sentence in text.splitlines()
    assert [(n, s, f) for _, _, n, s, _, f in ROW.findall(text)] == [
        ("3", "9.5", "12"),
        (str(evaluations), f"{seconds}", str(failed)),
    ]
    assert "too slow" not in text


def test_a_promoted_version_is_not_compared() -> None:
    """There is no time until 0% then."""
    text = said(rollout("threshold", 3, 9.5, 12), rollout("sequential", 6, 20.0, 80, Exit.PROMOTED))
    assert re.search(r"sequential +promoted +6 +- +180 +80", text)
    assert "sequential: " not in text


@pytest.mark.parametrize(
    ("busy", "why"),
    [
        ({"p99": 900.0}, "v1 is healthy and took 900 ms (p99), over the limit of 250 ms"),
        ({"late": 1.6}, "sequential evaluated 1.6 s late"),
        ({"gap": 6.0}, "sequential missed 1 evaluation"),
    ],
)
def test_a_machine_that_is_too_slow_to_compare_is_named(busy: dict[str, float], why: str) -> None:
    """No matter who was sooner: it may be due to the machine."""
    text = said(rollout("threshold", 3, 9.5, 12), rollout("sequential", 2, 6.5, 9, **busy))  # type: ignore[arg-type]
    words = " ".join(text.split())
    assert "This machine is too slow" in words
    assert why in words


def test_each_manifest_is_the_judges_own() -> None:
    """They differ in the rule and in the fields that it doesn't use; the rest is equal."""
    ours, theirs = (manifest("admin: a", "shop", "v2-x", BESIDE, judge).splitlines() for judge in JUDGES)
    only = [line.strip() for line in ours if line not in theirs]
    assert only[0] == "threshold: 3"
    assert all("interval: 3s" in line for line in only[1:])
    assert "    judge: {type: sequential, warmup: 0s}" in theirs
