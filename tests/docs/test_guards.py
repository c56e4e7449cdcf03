"""docs/guards.md says what the code says: the variables with their types, and recipes that lint finds nothing in."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.engine.guards import VARIABLES
from canary.manifests import lint, read, shipped_names
from tests.manifests.test_reading import CANARY

PAGE = (Path(__file__).parents[2] / "docs" / "guards.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_variable_is_in_the_table_with_its_type() -> None:
    """In the order of the code."""
    rows = re.findall(r"^\| `([\w.]+)` \| (\w+) \| .+ \|$", PAGE, re.MULTILINE)
    assert rows == list(VARIABLES.items())


def test_the_policies_that_come_with_canary_are_named() -> None:
    named = re.findall(r"policyRef: \{name: ([\w-]+)\}", PAGE)
    assert set(named) == {"change-freeze", "largest-step"}
    assert set(named) <= set(shipped_names())


def test_there_are_recipes() -> None:
    """Else the next test would test nothing."""
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("text", EXAMPLES, ids=[" ".join(text.split())[:50] for text in EXAMPLES])
def test_a_recipe_is_right(text: str, tmp_path: Path) -> None:
    """In a Canary that has nothing wrong with it."""
    yaml = YAML(typ="safe", pure=True)
    canary: dict[str, Any] = yaml.load(CANARY)
    written = yaml.load(text)
    canary["spec"]["guards"] = written.get("spec", written)["guards"]
    file = tmp_path / "recipe.yaml"
    with file.open("w") as stream:
        yaml.dump(canary, stream)
    assert [str(each) for each in lint(read([str(file)]))] == []
