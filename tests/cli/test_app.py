"""The table of commands: listed without being imported, called by name, ended by sentence and code."""

import ast
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from canary import __version__
from canary.cli.app import COMMANDS, GROUPS, run
from tests.examples import one_now
from tests.parts.processes import free_port

ROOT = Path(__file__).parents[2]
CANARY = [sys.executable, "-m", "canary"]
THROWAWAY = {"greet": "Greet someone.", "broken": "Can't be imported."}


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
    assert 0 < out.index("Greet someone.") < out.index("Can't be imported.")
    assert "tests.cli.throwaway.broken" not in sys.modules


def test_a_commands_own_help_comes_from_its_function(capsys: pytest.CaptureFixture[str]) -> None:
    """`canary NAME --help` shows the function's docstring and its options."""
    assert canary("greet", "-h") == 0
    out = capsys.readouterr().out
    assert "Usage: canary greet" in out
    assert "Greet someone, and end as requested." in out
    assert "--times" in out


def test_a_command_gets_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments and options reach the function, converted to its types."""
    assert canary("greet", "anna", "--times", "2") == 0
    assert capsys.readouterr().out == "hello anna hello anna\n"


@pytest.mark.parametrize(
    ("argv", "code", "reported"),
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
            id="a value out of range is reported in our words, not in those of a library",
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
            "canary: internal error: ZeroDivisionError: division by zero\n"
            "Run the command again with --debug for a traceback.\n",
            id="a bug is one sentence, 1, and no traceback",
        ),
        pytest.param(("greet", "anna", "--ends", "with typer.Exit"), 4, "", id="typer.Exit keeps its code"),
        pytest.param(("greet", "anna", "--ends", "with a code"), 5, "", id="a returned number is the code"),
    ],
)
def test_how_a_command_ends(
    argv: tuple[str, ...], code: int, reported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error is one sentence that starts with `canary: `, then what to do; the code says what happened."""
    assert canary(*argv) == code
    assert capsys.readouterr().err == reported


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


def test_the_version_command_says_what_it_runs_on(capsys: pytest.CaptureFixture[str]) -> None:
    """For a report of a problem: canary's version as `--version` has it, then Python's."""
    assert run(["version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert (first, second.split()[:2]) == (f"canary {__version__}", ["python", platform.python_version()])


def test_help_lists_every_command_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the table, in sections."""
    assert run(["--help"]) == 0
    _, *sections = re.split(r"^(?=\w+:$)", capsys.readouterr().out, flags=re.MULTILINE)
    found = {one.split(":")[0]: re.findall(r"^  (\w+)  +\w", one, re.MULTILINE) for one in sections}
    assert {title: list(GROUPS[title]) for title in GROUPS} == {title: found.get(title) for title in GROUPS}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_what_an_option_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`FILE`, `DURATION`: words of ours, never a type of Python; a choice shows its values."""
    assert run([name, "--help"]) == 0
    assert re.findall(r"<(?:list|str|path|int|float)\b.*?>", capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("canary s", {"start", "status", "skip", "simulate"}),
        ("canary run --on-t", {"--on-timeout"}),
        ("canary run --on-timeout ", {"hold", "rollback"}),
    ],
    ids=["a command", "an option of a command", "a value"],
)
def test_a_shell_completes(typed: str, offered: set[str]) -> None:
    """By a command, which answers with words."""
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1)}
    environment = {**os.environ, **words, "_CANARY_COMPLETE": "complete_bash"}
    ended = subprocess.run(CANARY, env=environment, capture_output=True, text=True, check=True)
    assert set(ended.stdout.split()) == offered


def test_a_shell_learns_how_to_complete() -> None:
    """The command that the shell asks with is the one of the test above."""
    script = subprocess.run(
        [*CANARY, "--show-completion", "bash"],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_CANARY_COMPLETE=complete_bash" in script.stdout


def test_every_command_of_the_table_answers_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Each name in the table has a file with a function `command`."""
    for name in COMMANDS:
        assert run([name, "--help"]) == 0
        assert f"Usage: canary {name}" in capsys.readouterr().out


BASIC = {"canary", "typer", "annotated_doc", "shellingham"}
MANIFESTS = BASIC | {"promql_parser", "ruamel"}
MANIFESTS |= {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}


@pytest.mark.parametrize(
    ("argv", "code", "needed"),
    [
        pytest.param("--help", 0, BASIC, id="the list of commands"),
        pytest.param("--version", 0, BASIC, id="the version"),
        pytest.param("status --help", 0, MANIFESTS, id="the help of a command"),
        pytest.param("lint -f examples/bookinfo/reviews.yaml", 0, MANIFESTS, id="lint"),
    ],
)
def test_a_command_imports_only_the_packages_that_it_needs(argv: str, code: int, needed: set[str]) -> None:
    """So that it starts at once, which `make bench` measures; the names don't depend on the machine."""
    ended, modules = imported(*argv.split())
    found = {one.partition(".")[0] for one in modules} - sys.stdlib_module_names
    assert ended == code
    assert {"canary", "typer"} <= {one for one in found if not one.startswith("_")} <= needed
    assert not {one for one in modules if one.startswith(("canary.metrics", "canary.routers", "canary.workloads"))}


def test_a_command_for_a_cluster_imports_no_models_of_kubernetes(tmp_path: Path) -> None:
    """These are 700 modules. It needs no formulas, colours and metrics either."""
    config = tmp_path / "config"
    entry = {"cluster": {"server": f"http://127.0.0.1:{free_port()}"}, "user": {}}
    named = {f"{kind}s": [{"name": "here", kind: inside}] for kind, inside in entry.items()}
    context = {"name": "here", "context": {"cluster": "here", "user": "here"}}
    config.write_text(json.dumps({**named, "contexts": [context], "current-context": "here"}))
    ended, modules = imported("list", "--kubeconfig", str(config))
    assert ended == 1
    assert "kubernetes.client.api_client" in modules
    assert not {one for one in modules if one.startswith("kubernetes.client.models.")}
    assert not {"apprise", "apscheduler", "numpy", "prometheus_api_client", "prometheus_client", "rich"} & modules


def imported(*argv: str) -> tuple[int, set[str]]:
    """The exit code of a command, and the modules that its process has imported."""
    script = (
        "import sys; from canary.cli.app import run; code = run(sys.argv[1:]);"
        "print(set(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    process = [sys.executable, "-c", script, *argv]
    ended = subprocess.run(process, check=False, cwd=ROOT, capture_output=True, text=True)
    return ended.returncode, ast.literal_eval(ended.stderr.splitlines()[-1])


def test_garbage_is_collected_once_a_command_is_imported() -> None:
    """And a collection leaves the modules out."""
    script = (
        "import gc, sys; from canary.cli import main, version;"
        "version.command = lambda: print(gc.isenabled(), gc.get_freeze_count() > len(gc.get_objects()));"
        "sys.argv[1:] = ['version']; main()"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ended.stdout == "True True\n"


@pytest.mark.parametrize(
    ("module", "reported"),
    [
        pytest.param("apscheduler.schedulers", "pip install 'canary-controller[controller]'", id="the controller's"),
        pytest.param("prometheus_client", "pip install 'canary-controller[controller]'", id="its metrics"),
        pytest.param("kubernetes", "pip install 'canary-controller'", id="a broken installation"),
        pytest.param("canary.nonsense", "internal error: ModuleNotFoundError", id="a fault of ours"),
    ],
)
def test_a_module_that_is_not_installed_is_named_with_its_extra(
    module: str, reported: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code 1, and what to install."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("canary.cli.app.import_module", missing)
    assert canary("greet", "anna") == 1
    assert reported in capsys.readouterr().err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("command", "code"), one_now([("lint -f /nowhere", 2), ("explain spec.version", 0), ("--version", 0)])
)
def test_closed_standard_streams_change_no_exit_code(command: str, code: int, closed: str) -> None:
    """Nothing is an internal error because a caller closed standard input, output or error."""
    ended = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m canary {command} {closed}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, "internal error" in ended.stderr) == (code, False)


def test_output_that_has_no_reader_is_no_internal_error() -> None:
    """A pipe whose reader went away ends the command as SIGPIPE would, or with its own code, and says nothing."""
    ended = subprocess.run(
        ["/bin/sh", "-c", f"{{ {sys.executable} -m canary crd; echo $? >&2; }} | true"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stderr.strip() in ("0", "141")
