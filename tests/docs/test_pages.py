"""Pages are checked against the code: links, exit codes, scenarios, commands, the first manifest."""

import re
from pathlib import Path

import pytest

from canary.api.exit_codes import Exit
from canary.cli.app import COMMANDS
from canary.manifests import lint, read
from canary.sandbox.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Links to files of the project, relative to the page."""
    dead = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists(page: Path) -> None:
    """`canary NAME` in a block or in backticks is a command of the table."""
    text = page.read_text()
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    named = re.findall(r"`canary ([a-z]+)\b", text) + re.findall(r"^canary ([a-z]+)\b", blocks, re.MULTILINE)
    assert set(named) - set(COMMANDS) == set()


def test_every_page_is_reached_from_the_readme() -> None:
    """A page that no one links is not found."""
    linked = set(LINK.findall((ROOT / "README.md").read_text()))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


def test_the_exit_codes_are_those_of_the_code() -> None:
    """The table of docs/run.md is `Exit`, with its docstrings."""
    reported = re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "docs/run.md").read_text(), re.MULTILINE)
    source = (ROOT / "canary/api/exit_codes.py").read_text()
    meant = re.findall(r'^    [A-Z_]+ = (\d+)\n    """(.*)"""$', source, re.MULTILINE)
    assert reported == meant
    assert [int(code) for code, _ in reported] == [code.value for code in Exit]


def test_the_scenarios_are_those_of_the_code() -> None:
    """The table of docs/simulate.md has every scenario, in words that say the same."""
    reported = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "docs/simulate.md").read_text(), re.MULTILINE))
    assert list(reported) == list(SCENARIOS)
    assert [name for name, words in reported.items() if SCENARIOS[name].summary not in f"{words} is {words}"] == []


def test_the_first_manifest_has_no_problem(tmp_path: Path) -> None:
    """What README shows first can be run as it stands."""
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "shop.yaml").write_text(block.group(1))
    assert lint(read([str(tmp_path / "shop.yaml")])) == ()


def test_every_promise_names_the_tests_that_hold_it() -> None:
    """docs/promises.md has twelve promises in order, each with at least one link to a test."""
    rows = re.findall(r"^\| (\d+) \| [^|]* \| ([^|]*) \|$", (ROOT / "docs/promises.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 13))
    tests = [LINK.findall(held) for _, held in rows]
    assert [links for links in tests if not links] == []
    assert [link for links in tests for link in links if not (ROOT / "docs" / link).is_file()] == []


def test_every_promise_is_seen_in_every_world() -> None:
    """The second table of docs/promises.md names a test function of each world; each is there."""
    text = (ROOT / "docs/promises.md").read_text()
    rows = re.findall(r"^\| (\d+) \|([^|]*)\|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 13))
    named = [[re.findall(r"([\w/]+)::(\w+)", world) for world in worlds] for _, *worlds in rows]
    assert [worlds for worlds in named if not all(worlds)] == []
    tests = [test for worlds in named for world in worlds for test in world]
    assert [one for one in tests if f"def {one[1]}(" not in (ROOT / "tests" / f"{one[0]}.py").read_text()] == []
