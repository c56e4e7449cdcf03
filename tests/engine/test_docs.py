"""docs/phases.md and docs/rules.md say what the tables and the chain say."""

import inspect
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from canary.api.reason import Reason
from canary.engine.decision_rules import ACTIVE, ENDING, Rule
from canary.engine.judges import JUDGES
from canary.engine.phases import NEEDS
from tests.engine import diagram

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("part", [diagram.diagram, diagram.needs, diagram.transitions])
def test_phases_are_drawn_from_the_tables(part: object) -> None:
    """Exactly; `python -c 'from tests.engine.diagram import *; print(diagram())'` prints the new one."""
    assert callable(part)
    assert f"\n{part()}\n" in (DOCS / "phases.md").read_text()


def test_every_phase_is_in_the_diagram() -> None:
    drawn = set(re.findall(r"[A-Z]\w+", diagram.diagram()))
    assert {phase.value for phase in NEEDS} <= drawn


def test_no_label_has_a_second_colon() -> None:
    """Mermaid would end it there."""
    assert all(line.count(":") <= 1 for line in diagram.diagram().splitlines())


def rows(rules: Sequence[Rule]) -> list[tuple[str, str, str]]:
    """Number, name, and the first line of what each rule says of itself."""
    said = [(rule.__doc__ or "").strip().splitlines()[0] for rule in rules]
    return [(str(n), rule.__name__, line) for n, (rule, line) in enumerate(zip(rules, said, strict=True), 1)]


def test_the_rules_are_listed_in_their_order() -> None:
    """Both chains, each with its own words."""
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", (DOCS / "rules.md").read_text(), re.MULTILINE)
    assert listed == rows(ACTIVE) + rows(ENDING)


@pytest.mark.parametrize("judge", JUDGES)
def test_the_judges_reasons_are_explained(judge: str) -> None:
    """Every reason that it can give is in its page."""
    source = Path(inspect.getfile(type(JUDGES[judge]))).read_text()
    given = {Reason[name].value for name in re.findall(r"\bReason\.([A-Z_]+)\b", source)}
    page = (DOCS / f"judge-{judge}.md").read_text()
    assert {reason for reason in given if f"`{reason}`" not in page} == set()
