"""docs/backtest.md shows what the command prints for its example."""

import re
import time
from pathlib import Path

import pytest

from canary.cli.app import run

ROOT = Path(__file__).parents[2]


def test_the_page_shows_the_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Word for word, in a zone that needs no explanation."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.chdir(ROOT / "examples" / "backtest")
    assert run(["backtest", "-f", "checkout.yaml", "--samples", "incident.csv"]) == 3
    shown = re.findall(r"```text\n(checkout .*?)```", (ROOT / "docs" / "backtest.md").read_text(), re.DOTALL)
    assert shown == [capsys.readouterr().out]
