"""docs/commands.md says what `canary --help` says."""

import re
from pathlib import Path

from canary.api.exit_codes import Exit
from canary.cli.actions import CONTROLLER_SECONDS
from canary.cli.app import COMMANDS
from canary.waiting.wait import SILENT

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")


def test_every_command_is_in_the_table_in_the_order_of_help() -> None:
    """One that is added to the command line is missed here."""
    assert re.findall(r"^\| `canary (\w+)` \|", PAGE, re.MULTILINE) == list(COMMANDS)


def test_the_exit_codes_that_differ_are_codes() -> None:
    """Promoted and invalid mean the same everywhere."""
    reported = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert reported == {code.value for code in Exit} - {Exit.PROMOTED, Exit.INVALID}


def test_the_patience_that_is_documented_is_the_codes() -> None:
    """With the controller, and with what runs behind a version."""
    assert f"waits up to {CONTROLLER_SECONDS:g} s and says" in PAGE
    assert f"behind the version for {SILENT.total_seconds():g} s." in PAGE
