"""Output for programs, against its documentation."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.api.status import Status
from canary.rollout.end import Ending, ending
from canary.show.records import Records, document, ended, record
from tests.show.test_lines import SCREEN, shown
from tests.show.turns import Play

DOC = Path(__file__).parents[2] / "docs" / "output.md"


def blocks(kind: str) -> list[str]:
    """The examples in docs/output.md."""
    return re.findall(rf"```{kind}\n(.*?)```", DOC.read_text(), flags=re.DOTALL)


def printed(*, whole: bool) -> list[dict[str, Any]]:
    """The JSON lines of a good rollout, or of its beginning."""
    stream, play = StringIO(), Play()
    records = Records(stream)
    turns = play.whole() if whole else play.turns(0, 5)
    for turn in turns:
        records(turn)
    records.close(ending(turns[-1].decision) or Ending(Exit.INTERRUPTED, Reason.INTERRUPTED, "interrupted"))
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_documented_decision_is_what_the_code_prints() -> None:
    """The example is where a step was passed, to the letter and in this order."""
    example = json.loads(blocks("json")[0])
    passed = next(one for one in printed(whole=True) if one["reason"] == "StepPassed")
    assert list(passed.items()) == list(example.items())


def test_the_documented_ending_is_what_the_code_prints() -> None:
    """The last line, which alone has a code."""
    *decisions, last = printed(whole=True)
    assert last == json.loads(blocks("json")[1])
    assert not any("code" in one for one in decisions)


def test_the_documented_text_is_what_the_code_prints() -> None:
    """The same rollout as lines."""
    assert shown(*Play().whole(), screen=SCREEN) == blocks("text")[0].splitlines()


def test_every_field_is_documented() -> None:
    """Each has a row in a table."""
    rows = "\n".join(line.split("|")[1] for line in DOC.read_text().splitlines() if line.startswith("| `"))
    fields = {*record(Play().turn()), *ended(Ending(Exit.ERROR, Reason.UNDECIDED, ""), None)}
    assert set(re.findall(r"`(\w+)`", rows)) == fields


def test_an_end_without_an_outcome() -> None:
    """A run may end before its rollout does."""
    assert printed(whole=False)[-1] == {
        "code": 130,
        "reason": "Interrupted",
        "message": "interrupted",
        "outcome": None,
    }


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_status_survives_being_printed(form: Any) -> None:
    """`-o json` and `-o yaml` hold all of it."""
    play = Play()
    play.turns(0, 5, 5, 5)
    text = document(play.status, form)
    read = json.loads(text) if form == "json" else YAML(typ="safe").load(text)
    assert Status.model_validate(read) == play.status
