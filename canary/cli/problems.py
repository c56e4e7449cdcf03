"""What ends a command, and how it is said: one sentence for its user, and an exit code."""

import typer

EXTRAS = {
    "apscheduler": "canary-controller[controller]",
    "envoy": "canary-controller[demo]",
    "kubernetes": "canary-controller",
    "prometheus_client": "canary-controller[controller]",
}
"""By module that an installation may lack: what has to be installed."""


class CommandProblem(Exception):
    """Ends a command with one sentence for its user, and with an exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


class UsageProblem(CommandProblem):
    """The command was called wrongly, or its manifest is invalid."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code=2)


def sentence_of(error: Exception) -> tuple[str, int]:
    """The sentence and the exit code for an error."""
    match error:
        case CommandProblem():
            return str(error), error.code
        case typer.TyperException():
            return _usage(error), error.exit_code
        case typer.Abort():
            return "aborted", 1
        case ModuleNotFoundError() if (error.name or "").partition(".")[0] in EXTRAS:
            module = (error.name or "").partition(".")[0]
            return f"{module} is not installed, but this command needs it: pip install '{EXTRAS[module]}'", 1
        case _:
            kind = type(error).__name__
            return f"internal error: {kind}: {error}\nRun the command again with --debug for a traceback.", 1


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
