"""Every example of docs/manifest.md and docs/kinds.md is one that lint has nothing to say about."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.api.analysis import Analysis
from canary.api.kinds import KINDS
from canary.manifests import lint, read
from canary.manifests.fields import known

from .test_reading import SHORT

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "".join((DOCS / page).read_text("utf-8") for page in ("manifest.md", "kinds.md"))
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGES, re.DOTALL)


def whole(text: str) -> dict[str, Any]:
    """The example itself, or a Canary around fields of its spec or analysis."""
    data: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    if "kind" in data:
        return data
    canary: dict[str, Any] = YAML(typ="safe", pure=True).load(SHORT)
    rate = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
    fields = {"analysis": {"metrics": [rate], **data}} if data.keys() <= known(Analysis).keys() else data
    canary["spec"] |= fields
    return canary


def test_there_are_examples() -> None:
    """Else the next test would test nothing."""
    assert len(EXAMPLES) >= 11


@pytest.mark.parametrize("text", EXAMPLES, ids=[" ".join(text.split())[:50] for text in EXAMPLES])
def test_an_example_is_right(text: str, tmp_path: Path) -> None:
    """Neither error nor warning."""
    file = tmp_path / "example.yaml"
    with file.open("w") as stream:
        YAML(typ="safe", pure=True).dump(whole(text), stream)
    assert [str(each) for each in lint(read([str(file)]))] == []


def test_every_kind_has_an_example() -> None:
    """One at least, with a kind of its own."""
    text = (DOCS / "kinds.md").read_text("utf-8")
    assert set(re.findall(r"^kind: (\w+)$", text, re.MULTILINE)) | {"CanaryPolicy"} == set(KINDS)


def test_every_field_of_an_analysis_is_in_the_docs() -> None:
    text = (DOCS / "manifest.md").read_text("utf-8")
    assert [name for name in known(Analysis) if name not in text] == []
