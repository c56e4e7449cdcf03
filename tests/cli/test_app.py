"""The table of commands: listed without being imported, called by name, ended by sentence and code."""

import ast
import subprocess
import sys

import pytest

from canary import __version__
from canary.cli.app import COMMANDS, run

THROWAWAY = {"greet": "Greet somebody.", "broken": "Can't be imported."}


def canary(*argv: str) -> int:
    return run(argv, THROWAWAY, "tests.cli.throwaway")


@pytest.mark.parametrize("argv", [(), ("--help",), ("-h",)], ids=["no arguments", "--help", "-h"])
def test_help_lists_the_table_and_imports_no_command(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Help shows each command with its line, in the table's order, and imports none of them."""
    assert canary(*argv) == 0
    out = capsys.readouterr().out
    assert "Usage: canary" in out
    assert 0 < out.index("Greet somebody.") < out.index("Can't be imported.")
    assert "tests.cli.throwaway.broken" not in sys.modules


def test_a_commands_own_help_comes_from_its_function(capsys: pytest.CaptureFixture[str]) -> None:
    """`canary NAME --help` shows the function's docstring and its options."""
    assert canary("greet", "-h") == 0
    out = capsys.readouterr().out
    assert "Usage: canary greet" in out
    assert "Greet somebody, and end as told." in out
    assert "--times" in out


def test_a_command_gets_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments and options reach the function, converted to its types."""
    assert canary("greet", "anna", "--times", "2") == 0
    assert capsys.readouterr().out == "hello anna hello anna\n"


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        pytest.param(
            ("gret", "anna"),
            2,
            "canary: no such command 'gret'. Did you mean 'greet'?\nTry 'canary --help'.\n",
            id="an unknown command is answered with the nearest one",
        ),
        pytest.param(
            ("--verison",),
            2,
            "canary: no such option: --verison (Possible options: --version)\nTry 'canary --help'.\n",
            id="an unknown option is answered with the nearest one",
        ),
        pytest.param(
            ("greet",),
            2,
            "canary: missing argument 'name'.\nTry 'canary greet --help'.\n",
            id="a missing argument is named",
        ),
        pytest.param(
            ("greet", "anna", "--times", "0"),
            2,
            "canary: invalid value for '--times': '0' must be greater than or equal to 1\n"
            "Try 'canary greet --help'.\n",
            id="a value out of range is told in our words, not in those of a library",
        ),
        pytest.param(
            ("greet", "anna", "--tone", "lout"),
            2,
            "canary: invalid value for '--tone': 'lout' is not one of 'quiet', 'loud'.\nTry 'canary greet --help'.\n",
            id="so is a word that isn't one of the choices",
        ),
        pytest.param(
            ("greet", "anna", "--ends", "with a usage problem"),
            2,
            "canary: spec.stepWeight: 120 is more than 100.\n",
            id="a usage problem is one sentence and 2",
        ),
        pytest.param(
            ("greet", "anna", "--ends", "with a problem"),
            3,
            "canary: the canary was rolled back: 12% of 340 requests failed.\n",
            id="a problem is one sentence and its own code",
        ),
        pytest.param(
            ("greet", "anna", "--ends", "with a bug"),
            1,
            "canary: internal error: ZeroDivisionError: division by zero\nRun it again with --debug to see where.\n",
            id="a bug is one sentence, 1, and no traceback",
        ),
        pytest.param(("greet", "anna", "--ends", "with typer.Exit"), 4, "", id="typer.Exit keeps its code"),
        pytest.param(("greet", "anna", "--ends", "with a code"), 5, "", id="a returned number is the code"),
    ],
)
def test_how_a_command_ends(argv: tuple[str, ...], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An error is one sentence that starts with `canary: `, then what to do; the code says what happened."""
    assert canary(*argv) == code
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("place", [0, 4], ids=["before the command", "after it"])
def test_debug_shows_the_traceback(place: int, capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug, wherever it stands, the traceback comes before the sentence."""
    argv = ["greet", "anna", "--ends", "with a bug"]
    argv.insert(place, "--debug")
    assert canary(*argv) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert "canary: internal error: ZeroDivisionError" in err


def test_debug_after_two_dashes_is_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    """What follows `--` belongs to the command."""
    assert canary("greet", "--", "--debug") == 0
    assert capsys.readouterr().out == "hello --debug\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`canary --version` prints one line."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"canary {__version__}\n"


def test_every_command_of_the_table_answers_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Each name in the table has a file with a function `command`."""
    for name in COMMANDS:
        assert run([name, "--help"]) == 0
        assert f"Usage: canary {name}" in capsys.readouterr().out


def test_help_imports_next_to_nothing() -> None:
    """That is why it answers at once, which `make bench` measures; a count doesn't depend on the machine."""
    script = (
        "import sys; from canary.cli.app import run; code = run(['--help']); imported = set(sys.modules);"
        "known = sys.stdlib_module_names; print({one.split('.')[0] for one in imported} - known, file=sys.stderr);"
        "sys.exit(code)"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    found = {one for one in ast.literal_eval(ended.stderr) if not one.startswith("_")}
    assert {"canary", "typer"} <= found <= {"canary", "typer", "annotated_doc", "shellingham"}
