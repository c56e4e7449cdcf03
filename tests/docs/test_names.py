"""One class name has one meaning in the whole package, and the picture of the house is what is checked."""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

CANARY = Path(__file__).parents[2] / "canary"


def test_no_class_name_is_defined_twice() -> None:
    """A reader who searches for a class finds one definition."""
    defined: dict[str, list[str]] = defaultdict(list)
    for path in sorted(CANARY.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                defined[node.name].append(str(path.relative_to(CANARY)))
    assert {name: places for name, places in defined.items() if len(places) > 1} == {}


@pytest.mark.parametrize("where", ["canary/**/*.py", "docs/**/*.md", "*.md"])
def test_every_file_of_ours_that_is_named_exists(where: str) -> None:
    """In the same folder, or by its path from the package or the repository; pages may leave the path away."""
    root = CANARY.parent
    names = {path.name for path in CANARY.rglob("*.py")}
    stale = [
        f"{path.relative_to(root)}: {name}"
        for path in root.glob(where)
        for name in re.findall(r"`((?:\w+/)*[a-z_]+\.py)`", path.read_text("utf-8"))
        if not any((folder / name).exists() for folder in (path.parent, path.parent.parent, CANARY, root))
        and not (path.suffix == ".md" and name in names)
    ]
    assert stale == []


def test_the_picture_of_the_house_is_what_the_linter_holds() -> None:
    """Each package stands in it, from top to bottom as imports may go."""
    root = CANARY.parent
    layers = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    contract = [set(layer.split(" | ")) for layer in layers if layer != "__main__"]
    house = (root / "docs/architecture.md").read_text().partition("canary/\n")[2].partition("```")[0]
    found = re.findall(r"(\w+)(?:/|\.py)(?= )", "\n".join(re.findall(r"^  \w.*$", house, re.MULTILINE)))
    drawn = iter(dict.fromkeys(name for name in found if name in set[str]().union(*contract)))
    assert [{next(drawn, "") for _ in layer} for layer in contract] == contract
