"""docs/install.md has the values and the permissions as they are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from canary.kube.rbac import (
    ALERTS,
    HOOKS,
    LEAD,
    METRIC_APIS,
    METRIC_SECRETS,
    OF_ALL,
    PRIMARY_SECRETS,
    PROOF,
    Permission,
)
from canary.registry import LOOKED_AFTER, PRIMARIES
from tests.chart.helm import CHART
from tests.chart.test_render import leaves

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGE = (ROOT / "docs" / "install.md").read_text("utf-8")
LINE = re.compile(r"^( *)(\w+):(?: (?P<value>.*?))?(?:  # (?P<comment>.+))?$")


def commented() -> Iterator[tuple[str, str, str]]:
    """Each value of values.yaml: its path, as it is written, and its comment."""
    path: list[str] = []
    for line in (CHART / "values.yaml").read_text("utf-8").splitlines():
        found = LINE.match(line)
        if found is None:
            continue
        path = [*path[: len(found[1]) // 2], found[2]]
        if found["value"]:
            yield ".".join(path), found["value"], found["comment"] or ""


GROUPS = sorted({path.partition(".")[0] for path, _, _ in commented() if "." in path})


def rows(permissions: tuple[Permission, ...]) -> str:
    """A table's lines."""
    return "\n".join(_row(one) for one in permissions)


def _row(one: Permission) -> str:
    only = ", only its own" if one.on else ""
    verbs = ", ".join(one.verbs)
    return f"| {one.resources[0].group} | {', '.join(one.names)}{only} | {verbs} | {one.why} |".replace("|  |", "| |")


def values() -> str:
    """The table of values."""
    return "\n".join(f"| `{path}` | `{value}` | {comment} |" for path, value, comment in commented())


def test_every_value_has_its_meaning_beside_it() -> None:
    """In one line, and all that Helm reads."""
    found = {path: json.dumps(YAML(typ="safe").load(value)) for path, value, _ in commented()}
    shown = YAML(typ="safe").load(CHART / "values.yaml")
    assert found == {".".join(path): json.dumps(value) for path, value in leaves(shown)}
    assert [path for path, _, comment in commented() if not comment] == []


def test_the_page_has_every_value() -> None:
    """In the same order, with the same words."""
    assert f"| Value | Default | Means |\n|---|---|---|\n{values()}\n" in PAGE


def test_the_schema_says_the_same() -> None:
    """An editor that reads it shows what each value means, and each group of values."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))["properties"]
    groups = {name: one["properties"] for name, one in schema.items() if name in GROUPS}
    reported = {name: one.get("description") for name, one in schema.items() if name not in GROUPS}
    reported |= {f"{name}.{key}": one.get("description") for name, of in groups.items() for key, one in of.items()}
    assert reported.pop("global")
    assert reported == {path: comment for path, _, comment in commented()}
    assert [name for name in GROUPS if not schema[name].get("description")] == []


def first_install(page: str) -> list[str]:
    """The first `helm install` of a page, word by word."""
    found = re.search(r"^helm install (?:.*\\\n)*.*$", page, re.MULTILINE)
    assert found is not None
    return found[0].replace("\\\n", " ").split()


def test_what_readme_installs_can_start() -> None:
    """An image that is somewhere, and a Prometheus: as the page has it."""
    assert first_install(README) == first_install(PAGE)


@pytest.mark.parametrize(
    "permissions",
    [LOOKED_AFTER, PRIMARIES, PRIMARY_SECRETS, METRIC_SECRETS, METRIC_APIS, HOOKS, ALERTS, OF_ALL, LEAD, PROOF],
    ids=[
        "looked after",
        "primaries",
        "Secrets",
        "Secrets of templates",
        "metric APIs",
        "hooks",
        "alerts",
        *("of all", "lead", "proof"),
    ],
)
def test_the_page_has_every_permission(permissions: tuple[Permission, ...]) -> None:
    """With its reason."""
    assert f"|---|---|---|---|\n{rows(permissions)}\n\n" in PAGE
