"""The `canary` command: its table of commands, its own options, and how an error is told.

A command is a file beside this one, `NAME.py`, with one function `command` in typer's way of signing; it
is imported when it is called, so that `canary --help` costs no more than this file and typer do. The
function returns None, or the exit code.
"""

import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from canary import __version__

COMMANDS: dict[str, str] = {
    "run": "Drive one rollout to its end; the exit code says what happened.",
    "start": "Let a Canary object want another version.",
    "wait": "Wait until a Canary object's rollout is over; the exit code says how.",
    "watch": "Watch a Canary object's rollout until it is over.",
    "status": "Show where a rollout stands, and what it waits for.",
    "list": "List the rollouts of a namespace, or of all.",
    "describe": "Tell all that is known of a rollout.",
    "history": "List the rollouts that are over.",
    "approve": "Open the gate that a rollout waits at.",
    "reject": "Say no at a gate: roll back.",
    "pause": "Raise nothing until resumed.",
    "resume": "Go on after a pause.",
    "skip": "Leave the present step without what is missing of it.",
    "promote": "Go to 100% without the remaining steps.",
    "rollback": "Send everything back to the stable version.",
    "retry": "Let what failed be tried again.",
    "lint": "Check manifests, and say what is wrong and where.",
    "explain": "Explain a field of a manifest.",
    "simulate": "Show what a manifest would do, on virtual time.",
    "controller": "Look after the Canaries of a cluster, inside of it.",
    "crd": "Print the CustomResourceDefinitions of canary's kinds.",
    "demo": "Watch rollouts on a real Envoy under a real load.",
}
"""What `canary --help` lists, in this order: a command's name and its help in one line."""


HELP = {"help_option_names": ["-h", "--help"]}


class Problem(Exception):
    """Ends a command with one sentence for its user, and with an exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


class UsageProblem(Problem):
    """The command was called wrongly, or its manifest is invalid."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code=2)


def run(argv: Sequence[str], commands: Mapping[str, str] = COMMANDS, package: str = "canary.cli") -> int:
    """Run one command line, without the program's name, and return its exit code."""
    arguments, debug = _take_debug(argv)
    try:
        group = _group(commands, package)
        result = group.main(args=arguments or ["--help"], prog_name="canary", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, a person gets a sentence
        if debug:
            traceback.print_exception(error)
        sentence, code = _told(error)
        print(f"canary: {sentence}", file=sys.stderr)
        return code


def _take_debug(argv: Sequence[str]) -> tuple[list[str], bool]:
    """Take `--debug` out, wherever it stands before `--`: nobody repeats a command to move an option."""
    end = argv.index("--") if "--" in argv else len(argv)
    options = [argument for argument in argv[:end] if argument != "--debug"]
    return [*options, *argv[end:]], len(options) < end


def _told(error: Exception) -> tuple[str, int]:
    """The sentence and the exit code for an error."""
    match error:
        case Problem():
            return str(error), error.code
        case typer.TyperException():
            return _usage(error), error.exit_code
        case typer.Abort():
            return "aborted", 1
        case _:
            kind = type(error).__name__
            return f"internal error: {kind}: {error}\nRun it again with --debug to see where.", 1


def _usage(error: typer.TyperException) -> str:
    must = f": {_refused(error)}must be "
    message = error.format_message().replace(": Value error, ", ": ").replace(": Input should be ", must)
    context = getattr(error, "ctx", None)
    hint = f"\nTry '{context.command_path} --help'." if context is not None else ""
    return message[:1].lower() + message[1:] + hint


def _refused(error: BaseException) -> str:
    """The value of an option that isn't of its type, in quotes: pydantic says only what it should be."""
    cause = error.__cause__
    found = cause.errors() if isinstance(cause, ValueError) and hasattr(cause, "errors") else []
    return f"{found[0]['input']!r} " if found else ""


def _group(commands: Mapping[str, str], package: str) -> TyperGroup:
    app = typer.Typer(add_completion=False, rich_markup_mode=None, callback=_options, context_settings=HELP)
    group = typer.main.get_group(app)
    for name, line in commands.items():
        group.add_command(_Lazy(name, line, package))
    return group


class _Lazy(TyperCommand):
    """A command that is known by its name and one line of help until it is called."""

    def __init__(self, name: str, line: str, package: str) -> None:
        super().__init__(name, help=line, short_help=line, rich_markup_mode=None)
        self.module = f"{package}.{name.replace('-', '_')}"

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command, and let it parse its own arguments; what follows runs on its context."""
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(self.name, context_settings=HELP)(import_module(self.module).command)
        return typer.main.get_command(app).make_context(info_name, args, parent, **extra)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"canary {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Shift traffic to a new version in steps, judge each step, promote it or roll it back."""
