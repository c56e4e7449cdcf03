"""The `canary` command: its table of commands, and its own options. `problems.py` says an error.

A command is a file beside this one, `NAME.py`, with one function `command` in typer's way of signing; the
`ACTIONS` are made in `actions.py`. It is imported when it is called, so that `canary --help` costs no more
than this file and typer do. The function returns None, or the exit code.
"""

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from canary import __version__
from canary.cli import collect_garbage

from .problems import sentence_of

GROUPS: dict[str, dict[str, str]] = {
    "Release": {
        "run": "Run one rollout to its end; the exit code is its outcome.",
        "start": "Start a rollout of a Canary object: set spec.version.",
        "wait": "Wait for the end of a Canary object's rollout.",
        "undo": "Go back to the previous version, as a rollout or at once.",
    },
    "See": {
        "watch": "Watch a rollout until it is over.",
        "status": "Show the state of a rollout, and what it waits for.",
        "list": "List the rollouts of a namespace, or of all namespaces.",
        "describe": "Show a rollout in detail: spec, conditions, checks, Events.",
        "history": "List the finished rollouts, and the revisions to go back to.",
    },
    "Steer": {
        "approve": "Approve the gate that a rollout waits at.",
        "reject": "Reject the canary at a gate: roll back.",
        "pause": "Block increases until resume; rollbacks still happen.",
        "resume": "End a pause.",
        "skip": "End the present step early.",
        "promote": "Send all traffic to the canary, without the remaining steps.",
        "rollback": "Send all traffic back to the stable version, or go back to an earlier revision.",
        "retry": "Try a version and revision again that failed.",
    },
    "Write": {
        "lint": "Check manifests, and show each error with its position.",
        "explain": "Explain a field of a manifest.",
        "metrics": "Ask each metric of a manifest now, and show the queries.",
        "simulate": "Show what a manifest would do, on virtual time.",
        "backtest": "Show what each judge would have decided on recorded metrics.",
        "policy": "Show what an analysis means at some traffic, before any rollout.",
        "import": "Write manifests of Flagger or Argo Rollouts as canary's.",
    },
    "Operate": {
        "controller": "Run the controller: reconcile the Canaries of a cluster.",
        "loadtester": "Run the server that starts load and tests for hooks.",
        "crd": "Print the CustomResourceDefinitions of canary's kinds.",
        "demo": "Run demo rollouts on a real Envoy under a real load.",
        "version": "Print the versions of canary and Python.",
    },
}
"""What `canary --help` lists, in this order: a group, and a command's name and its help in one line."""
COMMANDS = {name: line for group in GROUPS.values() for name, line in group.items()}
ACTIONS = {name: line for name, line in GROUPS["Steer"].items() if name != "rollback"}
"""Commands that only add an action for the rollout; the line is their whole help."""

UNREAD = 141
"""The exit code where the reader of standard output went away, as a shell reports SIGPIPE."""
HELP = {"help_option_names": ["-h", "--help"]}


WORDS: dict[str, tuple[str, ...]] = {
    "ADDRESS": ("listen",),
    "COUNT": ("workers", "burst", "seed"),
    "DURATION": ("timeout", "wait_for_lock", "resync", "lease_duration"),
    "FILE": ("file", "policy", "plot", "state", "kubeconfig", "samples"),
    "FOLDER": ("directory",),
    "LABELS": ("selector",),
    "NAME": (
        "cluster_name",
        "namespace",
        "context",
        "lease",
        "lease_namespace",
        "scenario",
        "author",
        "action_policy",
        "stable",
        "canary",
        "judge",
    ),
    "PERCENTAGE": ("error_rate",),
    "RATE": ("rps", "qps"),
    "REVISION": ("revision", "to"),
    "PATTERN": ("allow",),
    "SCRIPT": ("allow_bash",),
    "TEXT": ("comment",),
    "TIME": ("at", "begin", "end"),
    "URL": ("prometheus", "metrics_server", "notify"),
    "URLS": ("allowed_metrics_servers",),
    "VERSION": ("version", "for_version"),
}
"""The names of options by the word for their value. A choice shows its values, a flag takes none."""
_BY_NAME = {name: word for word, names in WORDS.items() for name in names}


def run(argv: Sequence[str], commands: Mapping[str, str] = COMMANDS, package: str = "canary.cli") -> int:
    """Run one command line, without the program's name, and return its exit code."""
    arguments, debug = _take_debug(argv)
    try:
        group = _group(commands, package)
        result = group.main(args=arguments or ["--help"], prog_name="canary", standalone_mode=False)
        return _flushed(result if isinstance(result, int) else 0)
    except (BrokenPipeError, SystemExit) as left:
        if not isinstance(left.__context__ or left, BrokenPipeError):  # click's own way out of a broken pipe
            raise
        _discard_output()
        return UNREAD
    except Exception as error:  # noqa: BLE001 - the last stop: a person gets a sentence for any error
        if debug:
            traceback.print_exception(error)
        sentence, code = sentence_of(error)
        print(f"canary: {sentence}", file=sys.stderr)
        return code


def _flushed(code: int) -> int:
    """The code of a command that is done, also where its last lines have no reader any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    return code


def _discard_output() -> None:
    from canary.show.outputs import discard_output

    discard_output()


def _take_debug(argv: Sequence[str]) -> tuple[list[str], bool]:
    """Remove `--debug` from any place before `--`, so users can append it to a command."""
    end = argv.index("--") if "--" in argv else len(argv)
    options = [argument for argument in argv[:end] if argument != "--debug"]
    return [*options, *argv[end:]], len(options) < end


def _group(commands: Mapping[str, str], package: str) -> TyperGroup:
    app = typer.Typer(cls=_Grouped, rich_markup_mode=None, callback=_options, context_settings=HELP)
    group = typer.main.get_command(app)
    if not isinstance(group, TyperGroup):
        raise AssertionError("a Typer app with a callback is a group")
    for name, line in commands.items():
        group.add_command(_Lazy(name, line, package))
    return group


class _Grouped(TyperGroup):
    """Lists its commands in the groups of the table; those that stand in none come last."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group, all in the same two columns."""
        others = {name: one.help or "" for name, one in self.commands.items() if name not in COMMANDS}
        width = max(len(name) for name in self.commands)
        for title, lines in (*GROUPS.items(), ("Commands", others)):
            rows = [(name.ljust(width), line) for name, line in lines.items() if name in self.commands]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class _Lazy(TyperCommand):
    """A command that is known by its name and one line of help until it is called."""

    def __init__(self, name: str, line: str, package: str) -> None:
        super().__init__(name, help=line, short_help=line, rich_markup_mode=None)
        self.module = f"{package}.{name.replace('-', '_')}"

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command, and let it parse its own arguments; what follows runs on its context."""
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(self.name, context_settings=HELP)(self._function())
        collect_garbage()
        found = typer.main.get_command(app)
        name_values(found.params)
        return found.make_context(info_name, args, parent, **extra)

    def _function(self) -> Callable[..., Any]:
        name = self.name or ""
        if name in ACTIONS:
            from canary.cli.actions import asking

            return asking(name, ACTIONS[name])
        function: Callable[..., Any] = import_module(self.module).command
        return function


def name_values(parameters: Iterable[object]) -> None:
    """Give each option of a command the word for its value; an argument's own name says what it is."""
    for one in parameters:
        if isinstance(one, TyperArgument):
            one.display_type_rich = lambda ctx: ""  # type: ignore[method-assign]
        if isinstance(one, TyperOption) and not one.is_flag and not one.type_descriptor.is_choice:
            one.metavar = _BY_NAME.get(one.name or "", one.metavar)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"canary {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Move traffic to a new version in steps, check metrics at each step, then promote it or roll it back."""
